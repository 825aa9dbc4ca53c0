//! The Kubernetes backend's own settings.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::REDACTED;

/// The Kubernetes backend's own settings.
///
/// A cluster is reached at [`endpoint`](Self::endpoint) with [`token`](Self::token) where both are set; else by
/// the kubeconfig; else, inside of a pod, by its service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KubernetesSettings {
    /// The namespace of all deployments; default `mcp-servers`.
    pub namespace: String,
    /// The kubeconfig files, of which the first to name a thing wins; default `.kube/config` in the user's home.
    pub kubeconfig: Vec<PathBuf>,
    /// The context of the kubeconfig; default its current one.
    pub context: Option<String>,
    /// The URL of the API server, for a token without a kubeconfig.
    pub endpoint: Option<String>,
    /// A service account's token.
    pub token: Option<Token>,
    /// The file of the certificates, in PEM, that the API server's own one is checked against; default the
    /// system's.
    pub ca_file: Option<PathBuf>,
    /// The domain below which exposed deployments get their host names.
    pub ingress_host: Option<String>,
}

impl Default for KubernetesSettings {
    fn default() -> Self {
        Self {
            namespace: "mcp-servers".to_owned(),
            kubeconfig: Vec::new(),
            context: None,
            endpoint: None,
            token: None,
            ca_file: None,
            ingress_host: None,
        }
    }
}

/// A bearer token: `Debug` and `Serialize` show `***`.
#[derive(Clone)]
pub struct Token(pub SecretString);

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token.into())
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_nowhere() {
        let settings =
            KubernetesSettings { token: Some("c4n4ry".to_owned().into()), ..KubernetesSettings::default() };
        let shown = format!("{settings:?} {}", serde_json::to_string(&settings).unwrap());
        assert!(!shown.contains("c4n4ry"), "{shown}");
    }
}
