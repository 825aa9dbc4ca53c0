//! How a cluster is reached: a token and an endpoint, a kubeconfig, or the service account of the own pod.

use std::path::Path;
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::client::retry::RetryPolicy;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use mcp_deploy_core::{BoxError, Error, KubernetesSettings, Result, Token, one_line};
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;

use crate::error::sorted;
use crate::names::BACKEND;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// An answer of 429, 503 or 504 is tried again so often, beginning with the shortest pause; a `Retry-After` is
/// heeded.
const TRIES: u32 = 4;
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How many requests may wait for a connection.
const WAITING_REQUESTS: usize = 1024;

/// A cluster that was found.
pub(crate) struct Access {
    pub(crate) client: Client,
    /// The URL of the API server.
    pub(crate) url: String,
    /// The certificates, in PEM, that the API server's own one is checked against, where they are not the system's.
    pub(crate) authorities: Option<String>,
    /// Whether we are one of its pods: then the addresses of its Services are ours too.
    pub(crate) is_inside: bool,
}

impl Access {
    /// Finds the cluster of some settings; nothing is reached yet.
    pub(crate) async fn find(settings: &KubernetesSettings) -> Result<Self> {
        let (mut config, is_inside) = match (&settings.endpoint, &settings.token) {
            (Some(endpoint), Some(token)) => (of_token(settings, endpoint, token)?, false),
            (None, Some(_)) => return Err(half("/KUBERNETES_CLUSTER_ENDPOINT", "the URL of the API server")),
            (Some(_), None) => return Err(half("/KUBERNETES_SERVICE_ACCOUNT_TOKEN", "a token for it")),
            (None, None) => of_kubeconfig_or_pod(settings).await?,
        };
        config.connect_timeout = Some(CONNECT_PATIENCE);
        config.default_retry = false;
        let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let authorities = authorities(&config)?;
        Ok(Self { client: client(config)?, url, authorities, is_inside })
    }
}

fn half(variable: &str, wanted: &str) -> Error {
    Error::invalid(variable, format!("is not set, and the other half of the address is: give {wanted}"))
}

fn of_token(settings: &KubernetesSettings, endpoint: &str, Token(token): &Token) -> Result<Config> {
    let url = endpoint
        .parse()
        .map_err(|error| Error::invalid("/KUBERNETES_CLUSTER_ENDPOINT", format!("is no URL: {error}")))?;
    let mut config = Config::new(url);
    config.auth_info = AuthInfo { token: Some(token.clone()), ..AuthInfo::default() };
    config.root_cert_file.clone_from(&settings.ca_file);
    Ok(config)
}

async fn of_kubeconfig_or_pod(settings: &KubernetesSettings) -> Result<(Config, bool)> {
    let asked = !settings.kubeconfig.is_empty() || settings.context.is_some();
    let outside = match of_kubeconfig(settings).await {
        Ok(config) => return Ok((config, false)),
        Err(error) if asked => return Err(unusable(&error)),
        Err(error) => error,
    };
    match Config::incluster() {
        Ok(config) => Ok((config, true)),
        Err(_) if matches!(outside, KubeconfigError::ReadConfig(..) | KubeconfigError::FindPath) => {
            let reason = "there is no kubeconfig, and this is no pod of a cluster; set `KUBECONFIG`, or \
                 `KUBERNETES_CLUSTER_ENDPOINT` and `KUBERNETES_SERVICE_ACCOUNT_TOKEN`";
            Err(Error::Unavailable { backend: BACKEND, source: reason.into() })
        }
        Err(_) => Err(unusable(&outside)),
    }
}

async fn of_kubeconfig(settings: &KubernetesSettings) -> Result<Config, KubeconfigError> {
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    if settings.kubeconfig.is_empty() {
        return Config::from_kubeconfig(&options).await;
    }
    let mut merged = Kubeconfig::default();
    for path in settings.kubeconfig.iter().filter(|path| is_given(path)) {
        merged = merged.merge(Kubeconfig::read_from(path)?)?;
    }
    Config::from_custom_kubeconfig(merged, &options).await
}

/// A list of paths may have empty ones, as at its end.
fn is_given(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

fn unusable(error: &KubeconfigError) -> Error {
    Error::invalid("/KUBECONFIG", format!("cannot be used: {}", one_line(error)))
}

fn authorities(config: &Config) -> Result<Option<String>> {
    if let Some(file) = &config.root_cert_file {
        let read = std::fs::read_to_string(file);
        return read.map(Some).map_err(|error| {
            let problem = format!("cannot be read: {}: {error}", file.display());
            Error::invalid("/MCP_KUBERNETES_CA_FILE", problem)
        });
    }
    let pem = |certificate: &Vec<u8>| pem::encode(&pem::Pem::new("CERTIFICATE", certificate.clone()));
    Ok(config.root_cert.as_ref().map(|certificates| certificates.iter().map(pem).collect()))
}

fn client(config: Config) -> Result<Client> {
    let failed = |error: BoxError| Error::backend(BACKEND, "prepare the connection to the API server", error);
    let policy = RetryPolicy::new(SHORTEST_PAUSE, LONGEST_PAUSE, TRIES, true);
    let policy = policy.map_err(|error| failed(error.into()))?;
    let builder = ClientBuilder::try_from(config)
        .map_err(|error| sorted("prepare the connection to the API server", error))?
        .with_layer(&BufferLayer::new(WAITING_REQUESTS))
        .with_layer(&RetryLayer::new(policy));
    Ok(builder.build())
}
