//! An MCP server that reads and writes files in the directories that it is given, over streamable HTTP.

mod check;
mod exclusions;
mod listing;
mod place;
mod read;
mod refusal;
mod sandbox;
mod search;
mod serve;
mod settings;
mod tools;
mod write;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            for problem in problems {
                // That nobody reads it is no reason for a panic.
                let _ = writeln!(io::stderr(), "error: {problem}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Vec<String>> {
    let variable = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    if env::args().nth(1).as_deref() == Some("--check") {
        let port = settings::port(variable).map_err(|problem| vec![problem])?;
        return check::health(port).map_err(|error| vec![format!("port {port}: {error}")]);
    }
    let settings = Settings::read(variable)?;
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    serve::until_stopped(settings).await.map_err(|error| vec![error.to_string()])
}
