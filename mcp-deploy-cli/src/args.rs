//! The command line: the options of every command, and the commands.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mcp_deploy_core::Settings;

#[cfg(feature = "authoring")]
use crate::commands::authoring;
#[cfg(feature = "docker")]
use crate::commands::gc;
use crate::commands::{call, completions, delete, deploy, lifecycle, list, logs, status, templates, tools};
#[cfg(feature = "kubernetes")]
use crate::commands::{render, setup};
#[cfg(feature = "serve")]
use crate::commands::{serve, token};
use crate::output::Format;
use crate::settings::SETTINGS_VARIABLE;
use crate::values;

/// Deploys MCP servers from templates and proves that they answer.
#[derive(Parser)]
#[command(name = "mcp-deploy", version, after_help = after_help())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// How to print what is asked for
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// The backend to act on; `list` spans all where none is named
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) backend: Option<String>,
    /// The settings file; by default `mcp-deploy/mcp-deploy.toml` in the user's config directory
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// The context of the kubeconfig
    #[cfg(feature = "kubernetes")]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The Kubernetes namespace
    #[cfg(feature = "kubernetes")]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// How to log what `RUST_LOG` asks for
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One object a line
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Deploy a template, and wait until its server answers over MCP
    ///
    /// The same name and the same configuration change nothing; a changed configuration is an update in place,
    /// and goes back to what worked where the new one does not.
    Deploy(Box<deploy::Options>),
    /// List deployments
    #[command(visible_alias = "ls")]
    List(list::Options),
    /// Show a deployment, and what its server answers now
    Status(status::Options),
    /// Print what a server wrote
    Logs(logs::Options),
    /// Remove deployments
    #[command(visible_alias = "rm")]
    Delete(delete::Options),
    /// Start a stopped deployment, with one instance
    Start(lifecycle::Options),
    /// Stop a deployment and keep everything
    Stop(lifecycle::Options),
    /// Replace all instances; the address stays
    Restart(lifecycle::Options),
    /// Change the number of instances
    Scale(lifecycle::ScaleOptions),
    /// List the tools of a server
    Tools(tools::Options),
    /// Call a tool of a server
    ///
    /// Exits with 1 where the tool answers that it failed.
    Call(call::Options),
    #[cfg(feature = "authoring")]
    #[command(flatten)]
    Authoring(authoring::Command),
    #[cfg_attr(feature = "authoring", doc = "List, show, fetch, check and write templates")]
    #[cfg_attr(not(feature = "authoring"), doc = "List, show and fetch templates")]
    #[command(subcommand)]
    Templates(templates::Command),
    /// Remove what Docker deployments have left and nothing owns any more
    ///
    /// Containers of interrupted updates, anonymous volumes, and the network when no deployment is left; never an
    /// image, a named volume, or what is not ours. Where an update is under way it waits for 20 seconds to see
    /// whether it goes on.
    #[cfg(feature = "docker")]
    Gc(gc::Options),
    /// Print the Kubernetes objects of a deployment, ready for `kubectl apply -f -`
    ///
    /// They are the same each time, and no cluster is reached.
    #[cfg(feature = "kubernetes")]
    Render(Box<render::Options>),
    /// Prepare a platform for a server that deploys there
    #[cfg(feature = "kubernetes")]
    #[command(subcommand)]
    Setup(setup::Command),
    /// Serve the HTTP API: the same verbs for a front end
    #[cfg(feature = "serve")]
    Serve(serve::Options),
    /// Make tokens for clients of the HTTP API
    #[cfg(feature = "serve")]
    #[command(subcommand)]
    Token(token::Command),
    /// Show the backends: which are built in, which can be reached, which is the default
    Backends,
    /// Print the script that completes commands, templates and deployments in a shell
    Completions(completions::Options),
}

impl Command {
    /// What is logged where `RUST_LOG` says nothing: of a command nothing, for its errors are told anyway.
    pub(crate) fn usual_log(&self) -> &'static str {
        match self {
            #[cfg(feature = "serve")]
            Self::Serve(_) => "warn,rmcp=off,mcp_deploy_http=info",
            _ => "off",
        }
    }
}

/// How long to wait for a server.
#[derive(Args)]
pub(crate) struct WaitOptions {
    /// Return as soon as the platform has accepted it
    #[arg(long)]
    no_wait: bool,
    /// How long to wait until the server answers over MCP, as in `30s` or `2m`
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = values::duration)]
    timeout: Duration,
}

impl WaitOptions {
    /// How long to wait, where it is waited at all.
    pub(crate) fn patience(&self) -> Option<Duration> {
        (!self.no_wait).then_some(self.timeout)
    }
}

/// The features of this program, and whether it has them.
const PARTS: [(&str, bool); 5] = [
    ("authoring", cfg!(feature = "authoring")),
    ("docker", cfg!(feature = "docker")),
    ("kubernetes", cfg!(feature = "kubernetes")),
    ("mock", cfg!(feature = "mock")),
    ("serve", cfg!(feature = "serve")),
];

fn after_help() -> String {
    let mut help = "\
Exit codes:
  0    done
  1    a backend met an error, or a tool answered that it failed
  2    the command line is wrong
  3    the template, the configuration or the settings break rules; all of them are listed
  4    there is no such template, deployment, tool or backend
  5    something that is not ours is in the way, or another deploy came after this one
  6    the platform cannot be reached; trying again may help
  7    the platform refused
  8    the server failed, or did not answer in time
  9    the backend does not support a part of the deployment
  130  interrupted

Environment:
"
    .to_owned();
    let ours = (SETTINGS_VARIABLE, "the settings file");
    let all = Settings::VARIABLES.iter().map(|variable| (variable.name, variable.meaning));
    let all: Vec<_> = [ours].into_iter().chain(all).collect();
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, meaning) in all {
        writeln!(help, "  {name:<width$}  {meaning}").expect("writing to a String does not fail");
    }
    help + &left_out(&PARTS)
}

/// Why a command may be unknown here that another program of this name has.
fn left_out(parts: &[(&str, bool)]) -> String {
    let missing: Vec<&str> = parts.iter().filter(|(_, is_in)| !is_in).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return String::new();
    }
    format!(
        "\nThis program was built without {}; `--features` of cargo brings them in.\n",
        missing.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn help_names_what_was_left_out_and_nothing_else() {
        let told = left_out(&[("authoring", false), ("docker", true), ("mock", false)]);
        assert_eq!(
            told,
            "\nThis program was built without authoring, mock; `--features` of cargo brings them in.\n"
        );
        assert_eq!(left_out(&[("docker", true)]), "");
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
