//! `setup kubernetes`: what a cluster has to have for a server that deploys there.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
#[cfg(feature = "serve")]
use mcp_deploy_core::Error as CoreError;
#[cfg(feature = "serve")]
use mcp_deploy_http::{Role, TokenEntry};
#[cfg(feature = "serve")]
use mcp_deploy_k8s::InClusterServer;
use mcp_deploy_k8s::{Credentials, KubernetesBackend};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::Context;
#[cfg(feature = "serve")]
use super::token::Made;
use crate::error::{Error, Result};
use crate::output::{print, print_documents, talk};
use crate::{backends, values};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make the namespace, an account with exactly the rights that deploying needs, and a token of it
    ///
    /// Prints the environment of a server that deploys with that account. Run it again for another token: what is
    /// there already stays.
    Kubernetes(Options),
}

#[derive(Args)]
pub(crate) struct Options {
    /// How long the token lives, as in `720h`; the cluster may give less
    #[arg(long, value_name = "DURATION", default_value = "720h", value_parser = values::duration)]
    duration: Duration,
    /// Where to write the certificates of the cluster, where they are not the system's
    #[arg(long, value_name = "FILE", default_value = "mcp-deploy-ca.crt")]
    ca_file: PathBuf,
    /// Only print the objects, for who may make them
    #[arg(long)]
    print: bool,
    #[cfg(feature = "serve")]
    #[command(flatten)]
    server: Server,
}

/// A server in the cluster.
#[cfg(feature = "serve")]
#[derive(Args)]
struct Server {
    /// Print a server too, two replicas behind the Service `mcp-platform-backend`
    #[arg(long, requires = "print")]
    in_cluster: bool,
    /// The image of the server; by default `mcp-deploy-server` of this version, from the image registry
    #[arg(long, value_name = "IMAGE", requires = "in_cluster")]
    image: Option<String>,
    /// The file of the tokens that its clients show; by default a new one of the role `admin`, which is told
    #[arg(long, value_name = "FILE", requires = "in_cluster")]
    tokens_file: Option<PathBuf>,
    /// The host at which an Ingress exposes the server; its certificate is the Secret `mcp-platform-backend-tls`
    #[arg(long, value_name = "HOST", requires = "in_cluster")]
    ingress_host: Option<String>,
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<()> {
    let Command::Kubernetes(options) = command;
    let kubernetes = backends::kubernetes(&context.settings);
    if options.print {
        return print_documents(&objects(options, &kubernetes, context)?);
    }
    let credentials = context.wait_for(kubernetes.setup(options.duration))??;
    talk(&format!("the token ends at {}", credentials.expires_at));
    print(&environment(&credentials, &options.ca_file)?)
}

#[cfg(not(feature = "serve"))]
fn objects(_: &Options, kubernetes: &KubernetesBackend, _: &Context) -> Result<Vec<Value>> {
    Ok(kubernetes.setup_manifests())
}

#[cfg(feature = "serve")]
fn objects(options: &Options, kubernetes: &KubernetesBackend, context: &Context) -> Result<Vec<Value>> {
    let Server { in_cluster, image, tokens_file, ingress_host } = &options.server;
    if !in_cluster {
        return Ok(kubernetes.setup_manifests());
    }
    let usual = || {
        let registry = context.settings.image_registry.trim_end_matches('/');
        format!("{registry}/mcp-deploy-server:{}", env!("CARGO_PKG_VERSION"))
    };
    let tokens = if let Some(file) = tokens_file {
        let entries = TokenEntry::read_all(file).map_err(|wrong| CoreError::invalid("", wrong))?;
        entries.iter().map(|entry| entry.line() + "\n").collect()
    } else {
        let Made { token, line } = Made::of("setup", Role::Admin)?;
        talk(&format!(
            "the token that its clients show, told this once; once applied, it replaces those of before (keep them with \
             --tokens-file): {token}"
        ));
        line
    };
    Ok(kubernetes.server_manifests(&InClusterServer {
        image: image.clone().unwrap_or_else(usual),
        tokens,
        ingress_host: ingress_host.clone(),
    }))
}

/// The lines of an environment file.
fn environment(credentials: &Credentials, ca_file: &Path) -> Result<String> {
    let Credentials { endpoint, token, expires_at: _, authorities, namespace } = credentials;
    let mut lines = format!(
        "MCP_DEPLOYMENT_BACKEND=kubernetes\n\
         MCP_NAMESPACE={namespace}\n\
         KUBERNETES_CLUSTER_ENDPOINT={endpoint}\n\
         KUBERNETES_SERVICE_ACCOUNT_TOKEN={}\n",
        token.0.expose_secret(),
    );
    if let Some(authorities) = authorities {
        fs::write(ca_file, authorities)
            .map_err(|source| Error::Io { operation: "write the certificates of the cluster", source })?;
        let file = fs::canonicalize(ca_file).unwrap_or_else(|_| ca_file.to_owned());
        writeln!(lines, "MCP_KUBERNETES_CA_FILE={}", file.display())
            .expect("writing to a String does not fail");
    }
    Ok(lines)
}
