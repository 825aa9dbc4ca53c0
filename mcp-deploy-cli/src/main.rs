//! `mcp-deploy`: deploys MCP servers from templates and proves that they answer.

mod args;
mod backends;
mod commands;
mod env_file;
mod error;
mod output;
mod progress;
mod prompt;
mod settings;
mod values;

use std::env;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use tracing::Level;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Cli, LogFormat};
use crate::output::talk;

fn main() -> ExitCode {
    // A shell that completes a line runs this program: then it prints the candidates and ends here.
    CompleteEnv::with_factory(Cli::command).complete();
    let Cli { global, command } = Cli::parse();
    log_to_stderr(global.log_format, command.usual_log());
    let format = global.output;
    match commands::run(command, &global) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.tell(format);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Logs what `RUST_LOG` asks for, or what is usual.
fn log_to_stderr(format: LogFormat, usual: &str) {
    let wanted = env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty());
    let wanted: Result<Targets, _> = wanted.as_deref().unwrap_or(usual).parse();
    let wanted = wanted.unwrap_or_else(|error| {
        talk(&format!("warning: `RUST_LOG` is not heeded: {error}"));
        Targets::default()
    });
    let colour = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(io::stderr);
    let discreet = filter_fn(|metadata| is_discreet(metadata.target(), *metadata.level()));
    let log = tracing_subscriber::registry().with(wanted).with(discreet);
    match format {
        LogFormat::Text => log.with(lines).init(),
        LogFormat::Json => log.with(lines.json()).init(),
    }
}

/// Whether a line of the log can hold no secret. Below info the client of Docker writes whole requests and answers,
/// and with them the environment of containers, and the client of MCP what tools are called with; whatever
/// `RUST_LOG` asks for, that is not shown.
fn is_discreet(target: &str, level: Level) -> bool {
    !["bollard", "rmcp"].iter().any(|talkative| target.starts_with(talkative)) || level <= Level::INFO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_to_docker_and_to_servers_are_not_logged() {
        assert!(!is_discreet("bollard::docker", Level::DEBUG) && !is_discreet("bollard::read", Level::TRACE));
        assert!(!is_discreet("rmcp::service", Level::TRACE) && is_discreet("rmcp::service", Level::WARN));
        assert!(
            is_discreet("bollard::docker", Level::WARN) && is_discreet("mcp_deploy_docker", Level::TRACE)
        );
    }
}
