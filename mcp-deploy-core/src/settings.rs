//! The program's configuration: one struct, read by the binaries, passed to everything else.

mod environment;
mod file;
mod http;
mod kubernetes;
mod port_range;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::environment::Variable;
pub use self::http::{HttpLimits, HttpSettings};
pub use self::kubernetes::{KubernetesSettings, Token};
pub use self::port_range::{PortRange, PortRangeError};
use crate::TemplateRepository;

/// Where images of templates that name none come from.
const DEFAULT_IMAGE_REGISTRY: &str = "ghcr.io/data-everything";

/// The configuration of a program. Flags win over the environment, that wins over the settings file, and that
/// over the defaults.
///
/// ```
/// use mcp_deploy_core::Settings;
///
/// let mut settings = Settings::default();
/// settings.apply_environment(|name| (name == "MCP_DEPLOYMENT_BACKEND").then(|| "mock".to_owned()))?;
/// assert_eq!(settings.backend.as_deref(), Some("mock"));
/// # Ok::<(), mcp_deploy_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The default backend; where none is set, `mock`, or the only one that is built in.
    pub backend: Option<String>,
    /// Where images of templates that name none come from; default `ghcr.io/data-everything`.
    pub image_registry: String,
    /// Directories of templates, searched before the built-in ones.
    pub templates: Vec<PathBuf>,
    /// Git repositories of templates, searched after the directories.
    pub template_repositories: Vec<TemplateRepository>,
    /// The directory that copies of those repositories are kept in; programs choose one where none is set.
    pub templates_cache: Option<PathBuf>,
    /// The Docker backend's own settings.
    pub docker: DockerSettings,
    /// The Kubernetes backend's own settings.
    pub kubernetes: KubernetesSettings,
    /// The mock's own settings.
    pub mock: MockSettings,
    /// The HTTP server's own settings.
    pub http: HttpSettings,
}

/// The Docker backend's own settings.
///
/// A daemon is looked for at [`host`](Self::host), then in the [`context`](Self::context), then at the usual
/// addresses of Docker, Colima and Podman.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DockerSettings {
    /// Where the daemon listens: `unix:///var/run/docker.sock`, `tcp://10.0.0.5:2376`, `ssh://me@host`, or
    /// `npipe:////./pipe/docker_engine`.
    pub host: Option<String>,
    /// The context of Docker's own command line; default its current one.
    pub context: Option<String>,
    /// The directory of Docker's own configuration: contexts and logins; default `.docker` in the user's home.
    pub config: Option<PathBuf>,
    /// The directory of `ca.pem`, `cert.pem` and `key.pem`. Where it is set, `tcp` means TLS.
    pub cert_path: Option<PathBuf>,
    /// Whether `tcp` means TLS where no `cert_path` is set; the certificates are then in `config`.
    pub tls_verify: bool,
    /// The address of the host at which new deployments are published; default `127.0.0.1`.
    pub bind: IpAddr,
    /// The ports that new deployments get; default 21000 to 21999.
    pub port_range: PortRange,
}

impl Default for DockerSettings {
    fn default() -> Self {
        Self {
            host: None,
            context: None,
            config: None,
            cert_path: None,
            tls_verify: false,
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port_range: "21000-21999".parse().expect("it is a range"),
        }
    }
}

/// The mock's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MockSettings {
    /// The file that holds its state; in memory where none is set.
    pub state: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backend: None,
            image_registry: DEFAULT_IMAGE_REGISTRY.to_owned(),
            templates: Vec::new(),
            template_repositories: Vec::new(),
            templates_cache: None,
            docker: DockerSettings::default(),
            kubernetes: KubernetesSettings::default(),
            mock: MockSettings::default(),
            http: HttpSettings::default(),
        }
    }
}
