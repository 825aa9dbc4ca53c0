//! `start`, `stop`, `restart` and `scale`: verbs on a deployment that is there.

use std::future::Future;

use clap::Args;
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::{Deployment, DeploymentName, Result as CoreResult};
use tokio::sync::mpsc;

use super::{Context, completions};
use crate::args::WaitOptions;
use crate::error::Result;
use crate::output::show;
use crate::progress;

#[derive(Args)]
pub(crate) struct Options {
    /// The deployment
    #[arg(add = ArgValueCandidates::new(completions::deployment_names))]
    name: DeploymentName,
    #[command(flatten)]
    waiting: WaitOptions,
}

#[derive(Args)]
pub(crate) struct ScaleOptions {
    #[command(flatten)]
    deployment: Options,
    /// The number of instances; 0 stops it and keeps everything
    #[arg(value_name = "N")]
    replicas: u32,
}

pub(crate) fn start(options: &Options, context: &Context) -> Result<()> {
    context.say_if_simulated()?;
    let started = context.manager.start(context.backend(), &options.name);
    settle(started, options, context)
}

pub(crate) fn stop(options: &Options, context: &Context) -> Result<()> {
    let stopped = context.manager.scale(context.backend(), &options.name, 0);
    settle(stopped, options, context)
}

pub(crate) fn restart(options: &Options, context: &Context) -> Result<()> {
    context.say_if_simulated()?;
    let restarted = context.manager.restart(context.backend(), &options.name);
    settle(restarted, options, context)
}

pub(crate) fn scale(options: &ScaleOptions, context: &Context) -> Result<()> {
    let ScaleOptions { deployment, replicas } = options;
    let scaled = context.manager.scale(context.backend(), &deployment.name, *replicas);
    settle(scaled, deployment, context)
}

/// Waits for the verb, then until the server answers or is stopped, and shows the deployment.
fn settle(
    verb: impl Future<Output = CoreResult<Deployment>>,
    Options { name, waiting }: &Options,
    context: &Context,
) -> Result<()> {
    let settled = async {
        let deployment = verb.await?;
        match waiting.patience() {
            Some(patience) => context.manager.wait(context.backend(), name, patience).await,
            None => Ok(deployment),
        }
    };
    let (_, no_steps) = mpsc::unbounded_channel();
    let deployment = context.wait_for(progress::spin(no_steps, settled))??;
    show(&deployment, context.format)
}
