//! The commands on templates, one file each.

mod list;
mod new;
mod refresh;
mod scaffold;
mod schema;
mod show;
mod validate;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::Catalog;

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
    /// Check templates, and the Dockerfiles beside them; everything that is wrong is listed
    Validate(validate::Options),
    /// Write a new template: a server that runs, its Dockerfile and its tests
    New(new::Options),
    /// Print the JSON Schema of a template's file, for editors
    Schema,
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
        Command::Validate(options) => validate::run(options, format),
        Command::New(options) => new::run(options, format),
        Command::Schema => schema::run(format),
    }
}
