//! An MCP server over streamable HTTP, with the health checks of a container beside it.

mod check;
mod serve;
mod settings;
mod tools;

use std::process::ExitCode;
use std::{env, io};

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
    tracing_subscriber::fmt().with_max_level(settings.log_level).with_writer(io::stderr).init();
    Ok(serve::until_stopped(settings).await?)
}
