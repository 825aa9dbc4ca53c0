//! `setup kubernetes`: what a cluster has to have for a server that deploys there.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use mcp_deploy_k8s::Credentials;
use secrecy::ExposeSecret;

use super::Context;
use crate::error::{Error, Result};
use crate::output::{print, talk, yaml};
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
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<()> {
    let Command::Kubernetes(options) = command;
    let kubernetes = backends::kubernetes(&context.settings);
    if options.print {
        return kubernetes
            .setup_manifests()
            .iter()
            .try_for_each(|object| print(&format!("---\n{}", yaml(object)?)));
    }
    let credentials = context.wait_for(kubernetes.setup(options.duration))??;
    talk(&format!("the token ends at {}", credentials.expires_at));
    print(&environment(&credentials, &options.ca_file)?)
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
