//! `templates list`, `show`, `refresh` and `validate`.

mod list;
mod refresh;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::{Catalog, Violations};
use serde::Serialize;

use super::{completions, warn};
use crate::error::Result;
use crate::output::{Format, Show, show};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the templates of all sources
    #[command(visible_alias = "ls")]
    List,
    /// Show a template and the configuration that it takes
    Show(ShowOptions),
    /// Fetch the templates of your repositories now
    Refresh,
    /// Check a template's file or directory; everything that is wrong is listed
    Validate(ValidateOptions),
}

#[derive(Args)]
pub(crate) struct ShowOptions {
    /// The template: its id, its directory or its file
    #[arg(add = ArgValueCandidates::new(completions::template_ids))]
    template: String,
}

#[derive(Args)]
pub(crate) struct ValidateOptions {
    /// The template's file, or the directory that holds it
    path: PathBuf,
}

pub(crate) fn run(command: &Command, catalog: &Catalog, format: Format) -> Result<()> {
    match command {
        Command::List => list::run(catalog, format),
        Command::Show(ShowOptions { template: named }) => show::run(named, catalog, format),
        Command::Refresh => refresh::run(catalog, format),
        Command::Validate(ValidateOptions { path }) => validate(path, format),
    }
}

/// What a check found.
#[derive(Serialize)]
struct Checked {
    id: String,
    version: String,
    warnings: Violations,
}

fn validate(path: &Path, format: Format) -> Result<()> {
    let template = Catalog::load(path)?;
    warn(&template);
    let checked =
        Checked { id: template.id.to_string(), version: template.version, warnings: template.warnings };
    show(&checked, format)
}

impl Show for Checked {
    fn table(&self, _wide: bool) -> String {
        format!("`{}` {} is a good template\n", self.id, self.version)
    }

    fn names(&self) -> Vec<&str> {
        vec![&self.id]
    }
}
