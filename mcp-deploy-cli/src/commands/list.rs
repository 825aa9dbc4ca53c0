//! `list`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::{Error as CoreError, Listed, Selector, TemplateId};

use super::{Context, completions};
use crate::error::{Error, Result};
use crate::output::{show, talk};

#[derive(Args)]
pub(crate) struct Options {
    /// Ask each server over MCP
    #[arg(long)]
    probe: bool,
    /// Only those of this template
    #[arg(long, value_name = "ID", add = ArgValueCandidates::new(completions::template_ids))]
    template: Option<TemplateId>,
}

/// Shows what can be told, then which backends could not tell.
pub(crate) fn run(options: Options, context: &Context) -> Result<()> {
    let selector = Selector { template: options.template, ..Selector::default() };
    let manager = &context.manager;
    let Listed { mut deployments, errors } =
        context.wait_for(manager.list(context.backend(), &selector))??;
    if options.probe {
        deployments = context.wait_for(manager.ask_all(deployments))?;
    }
    // A machine without a daemon is no error where nobody named that backend.
    let default = manager.backends().default_name();
    let is_aside = |name: &str, error: &CoreError| {
        context.backend().is_none() && Some(name) != default && matches!(error, CoreError::Unavailable { .. })
    };
    let (aside, errors): (Vec<_>, Vec<_>) =
        errors.into_iter().partition(|(name, error)| is_aside(name, error));
    if !aside.is_empty() {
        let names: Vec<&str> = aside.iter().map(|(name, _)| *name).collect();
        let names = names.join(" and ");
        talk(&format!("note: {names} cannot be reached: what runs there is not in the list"));
    }
    if errors.is_empty() || !deployments.is_empty() {
        show(&deployments, context.format)?;
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Error::Verbs(errors.into_iter().map(|(_, error)| error).collect()))
}
