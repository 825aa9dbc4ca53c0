//! `delete NAME...`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::{DeleteOptions, DeploymentName, Error as CoreError};

use super::{Context, completions};
use crate::error::{Error, Result};
use crate::output::talk;

#[derive(Args)]
pub(crate) struct Options {
    /// The deployments
    #[arg(required = true, value_name = "NAME", add = ArgValueCandidates::new(completions::deployment_names))]
    names: Vec<DeploymentName>,
    /// Count one that is not there as removed
    #[arg(long)]
    ignore_not_found: bool,
    /// Remove the named volumes too, with all that is in them
    #[arg(long)]
    volumes: bool,
}

/// Every name is tried, and every error is told.
pub(crate) fn run(options: &Options, context: &Context) -> Result<()> {
    let delete_options = DeleteOptions { volumes: options.volumes };
    let mut errors = Vec::new();
    for name in &options.names {
        match context.wait_for(context.manager.delete(context.backend(), name, delete_options))? {
            Ok(()) => talk(&format!("deleted `{name}`")),
            Err(CoreError::NotFound { .. }) if options.ignore_not_found => {}
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Verbs(errors)) }
}
