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

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

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
    log_to_stderr();
    serve::until_stopped(settings).await.map_err(|error| vec![error.to_string()])
}

/// The SDK has three lines for each request: only its warnings are told.
fn log_to_stderr() {
    let told = Targets::new().with_default(Level::INFO).with_target("rmcp", Level::WARN);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(lines.with_filter(told)).init();
}
