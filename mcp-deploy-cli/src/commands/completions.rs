//! `completions SHELL`, and the names that a shell completes.

use std::io;
use std::time::Duration;

use clap::Args;
use clap_complete::env::Shells;
use clap_complete::{CompletionCandidate, Shell};
use mcp_deploy_core::{Catalog, Listed, Selector, Summary};
use tokio::time::timeout;

use super::Context;
use crate::args::GlobalOptions;
use crate::error::{Error, Result};
use crate::output::print;
use crate::settings;

/// A person waits for the completion of a word no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Args)]
#[command(after_help = "\
Bash, in ~/.bashrc:  source <(mcp-deploy completions bash)
Zsh, in ~/.zshrc:    source <(mcp-deploy completions zsh)
Fish:                mcp-deploy completions fish > ~/.config/fish/completions/mcp-deploy.fish")]
pub(crate) struct Options {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(Options { shell }: &Options) -> Result<()> {
    let program = "mcp-deploy";
    let unwritable = |source| Error::Io { operation: "write the script", source };
    let shells = Shells::builtins();
    let completer = shells
        .completer(&shell.to_string())
        .ok_or_else(|| unwritable(io::Error::from(io::ErrorKind::Unsupported)))?;
    let mut script = Vec::new();
    completer.write_registration("COMPLETE", program, program, program, &mut script).map_err(unwritable)?;
    print(&String::from_utf8_lossy(&script))
}

/// The ids of the templates.
pub(crate) fn template_ids() -> Vec<CompletionCandidate> {
    let settings = settings::load(&GlobalOptions::default()).unwrap_or_default();
    // What is here: a person who completes a word waits for no repository.
    let templates = Catalog::from_settings(&settings).unwrap_or_default().overview().templates;
    let candidate = |Summary { id, description, .. }: Summary| {
        CompletionCandidate::new(id.as_str()).help(Some(description.into()))
    };
    templates.into_iter().map(candidate).collect()
}

/// The names of the deployments, as far as the backends tell them in time.
pub(crate) fn deployment_names() -> Vec<CompletionCandidate> {
    let Ok(context) = Context::new(&GlobalOptions::default()) else {
        return Vec::new();
    };
    let all = Selector::default();
    let list = context.wait_for(async { timeout(PATIENCE, context.manager.list(None, &all)).await });
    let Ok(Ok(Ok(Listed { deployments, .. }))) = list else {
        return Vec::new();
    };
    deployments.iter().map(|deployment| CompletionCandidate::new(deployment.name.as_str())).collect()
}
