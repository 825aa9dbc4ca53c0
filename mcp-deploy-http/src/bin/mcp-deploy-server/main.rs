//! `mcp-deploy-server`: the HTTP API as a program of its own, for a container. Its settings come from the environment
//! and from a file, by `MCP_SETTINGS`; it takes no arguments.

mod backends;
mod log;

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use etcetera::BaseStrategy;
use mcp_deploy_core::{Catalog, DeploymentManager, Settings, one_line};
use mcp_deploy_http::{serve, stopped};

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    log::to_stderr();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> Result<(), Failure> {
    if let Some(argument) = env::args().nth(1) {
        return Err(format!(
            "`{argument}` is not heeded: this program takes no arguments; its settings are environment variables, and \
             a file that `MCP_SETTINGS` names"
        )
        .into());
    }
    let stopped = stopped()?;
    let settings = settings()?;
    let backends = backends::join(&settings);
    // One that is not there is told before anybody asks for it.
    backends.get(None)?;
    let catalog = Catalog::from_settings(&settings)?;
    let manager = DeploymentManager::new(catalog, backends, &settings);
    let started = |address| tracing::info!(%address, "serving");
    Ok(serve(manager, &settings.http, started, stopped).await?)
}

fn settings() -> Result<Settings, Failure> {
    let file = env::var_os("MCP_SETTINGS").filter(|file| !file.is_empty());
    let mut settings =
        file.map_or_else(|| Ok(Settings::default()), |file| Settings::read(Path::new(&file)))?;
    settings.apply_environment(|name| env::var(name).ok())?;
    if let (None, Ok(user)) = (&settings.templates_cache, etcetera::choose_base_strategy()) {
        settings.templates_cache = Some(user.cache_dir().join("mcp-deploy").join("templates"));
    }
    Ok(settings)
}
