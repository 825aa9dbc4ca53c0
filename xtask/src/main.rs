//! `cargo xtask`: the project's own commands, the same for a developer and for CI.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of a command line program")]

mod bench;
mod dist;
mod e2e;
mod images;
mod invariants;
mod lint;
mod measure;
mod report;
mod test;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xshell::Shell;

#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about = "The project's own commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check formatting, clippy, every crate alone, features, crate boundaries, docs and licences
    Lint {
        /// Run only this step; may be repeated
        #[arg(long, value_name = "STEP")]
        only: Vec<lint::Step>,
    },
    /// Run all tests, then the doctests
    Test {
        /// Passed on to the test programs, for example the name of a test
        #[arg(last = true, value_name = "ARGS")]
        arguments: Vec<String>,
    },
    /// Try a platform with a server, or the HTTP API with a client, that others have written
    E2e {
        /// Which platform
        platform: e2e::Platform,
        /// What brings an image onto the nodes of the cluster, as in `kind load docker-image`; the image's name
        /// follows
        #[arg(long, value_name = "COMMAND")]
        load: Option<String>,
    },
    /// Build the images of the built-in templates and of `mcp-deploy-server` on the local Docker daemon, without a
    /// registry
    Images,
    /// Build the program as it is handed out, small, and print where it is
    Dist {
        /// Only these features of `mcp-deploy-cli`, for example `docker`
        #[arg(long, value_name = "FEATURES")]
        features: Option<String>,
    },
    /// Measure speed and memory on this machine and print a Markdown table
    Bench,
    /// Run a program once and print its wall time and peak memory
    #[command(hide = true)]
    Measure {
        #[arg(last = true, required = true, value_name = "PROGRAM")]
        command_line: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(workspace::root());
    match command {
        Command::Lint { only } => lint::run(&sh, &only),
        Command::Test { arguments } => test::run(&sh, &arguments),
        Command::E2e { platform, load } => e2e::run(&sh, platform, load.as_deref()),
        Command::Images => images::run(&sh),
        Command::Dist { features } => {
            println!("{}", dist::run(&sh, features.as_deref())?.display());
            Ok(())
        }
        Command::Bench => bench::run(&sh),
        Command::Measure { command_line } => measure::run(&command_line),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
