//! The HTTP server's own settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The HTTP server's own settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// The address and port of the server; default `127.0.0.1:8000`.
    pub bind: SocketAddr,
    /// The file of the tokens that clients may show; where none is set, nobody has to show one.
    pub tokens_file: Option<PathBuf>,
    /// The hosts by which clients may call the server, beside those of this machine.
    pub allowed_hosts: Vec<String>,
    /// The origins whose web pages may call the server, as in `https://console.example`, beside its own.
    pub allowed_origins: Vec<String>,
    /// Whether a server that others can reach may do without tokens.
    pub insecure_no_auth: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000),
            tokens_file: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            insecure_no_auth: false,
        }
    }
}
