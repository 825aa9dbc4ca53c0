//! `status NAME`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::DeploymentName;

use super::{Context, completions};
use crate::error::Result;
use crate::output::show;

#[derive(Args)]
pub(crate) struct Options {
    /// The deployment
    #[arg(add = ArgValueCandidates::new(completions::deployment_names))]
    name: DeploymentName,
}

pub(crate) fn run(Options { name }: &Options, context: &Context) -> Result<()> {
    let deployment = context.wait_for(context.manager.status(context.backend(), name))??;
    show(&deployment, context.format)
}
