//! `serve`: the HTTP API.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use mcp_deploy_core::{Catalog, DeploymentManager, HttpSettings};
use mcp_deploy_http::{serve, stopped};

use super::Context;
use crate::error::{Error, Result};
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
    /// The file of the server's certificate, in PEM, for TLS; it is read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The file of the certificate's private key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let who shows no token read `/metrics`
    #[arg(long)]
    open_metrics: bool,
    /// How many requests a second one client may send; 0 is any number; by default 100
    #[arg(long, value_name = "REQUESTS")]
    rate_limit: Option<u32>,
    /// Do without tokens where others can reach the server: whoever does may deploy and delete
    #[arg(long)]
    insecure_no_auth: bool,
}

pub(crate) fn run(options: Options, context: &Context) -> Result<()> {
    let http = options.over(context.settings.http.clone());
    context.say_if_simulated()?;
    let scheme = if http.tls_cert.is_some() { "https" } else { "http" };
    let started = |address| talk(&format!("serving {scheme}://{address}/api/templates/; Ctrl-C ends it"));
    context.run(async {
        let stopped = stopped().map_err(|source| Error::Io { operation: "listen to signals", source })?;
        Ok(serve(manager(context)?, &http, started, stopped).await?)
    })
}

/// A manager whose default backend is the chosen one.
fn manager(context: &Context) -> Result<DeploymentManager> {
    let Context { settings, .. } = context;
    let backends = context.manager.backends();
    let default = context.backend().or(backends.default_name()).map(str::to_owned);
    let backends = backends.clone().default_to(default);
    // One that is not there is told before anybody asks for it.
    backends.get(None)?;
    // Whoever serves a cluster answers from memory; a cluster that nobody serves is not watched.
    #[cfg(feature = "kubernetes")]
    let backends = match backends.default_name() {
        Some("kubernetes") => backends.with(crate::backends::kubernetes(settings).cached()),
        _ => backends,
    };
    let catalog = Catalog::from_settings(settings)?;
    Ok(DeploymentManager::new(catalog, backends, settings))
}

impl Options {
    /// What is given here wins over the settings.
    fn over(self, settings: HttpSettings) -> HttpSettings {
        let Self { bind, tokens_file, allow_host, allow_origin, tls_cert, tls_key, .. } = self;
        HttpSettings {
            bind: bind.unwrap_or(settings.bind),
            tokens_file: tokens_file.or(settings.tokens_file),
            allowed_hosts: [settings.allowed_hosts, allow_host].concat(),
            allowed_origins: [settings.allowed_origins, allow_origin].concat(),
            insecure_no_auth: self.insecure_no_auth || settings.insecure_no_auth,
            tls_cert: tls_cert.or(settings.tls_cert),
            tls_key: tls_key.or(settings.tls_key),
            open_metrics: self.open_metrics || settings.open_metrics,
            rate_limit: self.rate_limit.unwrap_or(settings.rate_limit),
            limits: settings.limits,
        }
    }
}
