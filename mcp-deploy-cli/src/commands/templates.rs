//! The commands on templates, one file each.

mod list;
mod refresh;
mod show;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::Catalog;

#[cfg(feature = "authoring")]
use super::authoring;
use super::completions;
use crate::error::Result;
use crate::output::Format;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the templates of all sources
    #[command(visible_alias = "ls")]
    List,
    /// Show a template and the configuration that it takes
    Show(ShowOptions),
    /// Fetch the templates of your repositories now
    Refresh,
    #[cfg(feature = "authoring")]
    #[command(flatten)]
    Authoring(authoring::TemplatesCommand),
}

#[derive(Args)]
pub(crate) struct ShowOptions {
    /// The template: its id, its directory or its file
    #[arg(add = ArgValueCandidates::new(completions::template_ids))]
    template: String,
}

pub(crate) fn run(command: &Command, catalog: &Catalog, format: Format) -> Result<()> {
    match command {
        Command::List => list::run(catalog, format),
        Command::Show(ShowOptions { template: named }) => show::run(named, catalog, format),
        Command::Refresh => refresh::run(catalog, format),
        #[cfg(feature = "authoring")]
        Command::Authoring(command) => authoring::run_on_files(command, format),
    }
}
