//! An MCP server over streamable HTTP, with the health checks of a container beside it.

mod check;
mod serve;
mod settings;
mod tools;

use std::process::ExitCode;
use std::{env, io};

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
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::read(|name| env::var(name).ok())?;
    if env::args().nth(1).as_deref() == Some("--check") {
        return Ok(check::health(settings.port)?);
    }
    log_to_stderr(settings.log_level);
    Ok(serve::until_stopped(settings).await?)
}

/// The SDK has three lines for each request, and for debugging all that is in it: only its warnings are told.
fn log_to_stderr(level: Level) {
    let told = Targets::new().with_default(level).with_target("rmcp", level.min(Level::WARN));
    let lines = fmt::layer().with_writer(io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(told)).init();
}
