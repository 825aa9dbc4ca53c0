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
    /// The file of the server's certificate and of those that vouch for it, in PEM. With it the server speaks TLS;
    /// it is read again when it changes.
    pub tls_cert: Option<PathBuf>,
    /// The file of the certificate's private key, in PEM.
    pub tls_key: Option<PathBuf>,
    /// Whether `/metrics` is open to those who show no token.
    pub open_metrics: bool,
    /// How many requests one client may send in a second, on average and at once; 0 is any number. Default 100.
    pub rate_limit: u32,
    /// How much may be under way, and for how long.
    pub limits: HttpLimits,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000),
            tokens_file: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            insecure_no_auth: false,
            tls_cert: None,
            tls_key: None,
            open_metrics: false,
            rate_limit: 100,
            limits: HttpLimits::default(),
        }
    }
}

/// How much may be under way in the HTTP API, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// How long a platform may take to answer a question, in seconds; default 30.
    pub answer_seconds: u32,
    /// How long a client waits for the end of a change, in seconds; the change goes on. Default 600.
    pub change_seconds: u32,
    /// How long the head of a request, and then its body, may take to arrive, in seconds; default 10.
    pub arrival_seconds: u32,
    /// How long what is under way may take when the server ends, in seconds; default 30. What takes longer is cut, and
    /// the next deploy of the same name mends it.
    pub grace_seconds: u32,
    /// How many streams, of events or of logs, are sent at a time; default 2,000.
    pub streams: usize,
    /// How many deploys are under way at a time on one backend; default 32.
    pub deploys: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            answer_seconds: 30,
            change_seconds: 600,
            arrival_seconds: 10,
            grace_seconds: 30,
            streams: 2000,
            deploys: 32,
        }
    }
}
