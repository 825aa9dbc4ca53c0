//! `serve`: the HTTP API.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use mcp_deploy_core::{Catalog, DeploymentManager, HttpSettings};
use mcp_deploy_http::{Api, serve};

use super::Context;
use crate::error::Result;
use crate::output::talk;

#[derive(Args)]
pub(crate) struct Options {
    /// The address and port; by default `127.0.0.1:8000`
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<SocketAddr>,
    /// The file of the tokens that clients show, as `token new` makes them; it is read again when it changes
    #[arg(long, value_name = "FILE")]
    tokens_file: Option<PathBuf>,
    /// A host by which clients may call the server, beside those of this machine
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// An origin whose web pages may call the server, as in `https://console.example`
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Do without tokens where others can reach the server: whoever does may deploy and delete
    #[arg(long)]
    insecure_no_auth: bool,
}

pub(crate) fn run(options: Options, context: &Context) -> Result<()> {
    let settings = options.over(context.settings.http.clone());
    let backends = context.manager.backends();
    let default = context.backend().or(backends.default_name()).map(str::to_owned);
    let backends = backends.clone().default_to(default);
    // One that is not there is told before anybody asks for it.
    backends.get(None)?;
    let catalog = Catalog::new(context.settings.templates.iter().cloned());
    let manager = DeploymentManager::new(catalog, backends, &context.settings);
    context.say_if_simulated()?;
    let started = |address| talk(&format!("serving http://{address}/api/templates/; Ctrl-C ends it"));
    context.until_stopped(async |stopped| serve(Api::new(manager), &settings, started, stopped).await)??;
    Ok(())
}

impl Options {
    /// What is given here wins over the settings.
    fn over(self, settings: HttpSettings) -> HttpSettings {
        let Self { bind, tokens_file, allow_host, allow_origin, insecure_no_auth } = self;
        HttpSettings {
            bind: bind.unwrap_or(settings.bind),
            tokens_file: tokens_file.or(settings.tokens_file),
            allowed_hosts: [settings.allowed_hosts, allow_host].concat(),
            allowed_origins: [settings.allowed_origins, allow_origin].concat(),
            insecure_no_auth: insecure_no_auth || settings.insecure_no_auth,
        }
    }
}
