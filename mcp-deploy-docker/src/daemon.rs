//! Where the daemon is, and a connection to it in a version that both speak.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use mcp_deploy_core::{DockerSettings, Error, Result};
use tokio::time::timeout;

use crate::client_config::{ClientConfig, Context};
use crate::error::refusal;
use crate::names::BACKEND;

/// How long a daemon may take for the first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// How long a daemon may take for any other, in seconds; the stop of a container is the longest.
const ANSWER_SECONDS: u64 = 120;
/// The oldest version of the Engine API that has all we need: that of Docker 20.10.
const OLDEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// A daemon that has answered.
#[derive(Debug, Clone)]
pub(crate) struct Daemon {
    pub(crate) docker: Docker,
    pub(crate) address: String,
    pub(crate) place: Place,
}

/// The host that a daemon runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// This one.
    Here,
    /// Another one, by its name.
    Elsewhere(String),
}

/// A place where a daemon may listen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    address: String,
    /// The directory of `ca.pem`, `cert.pem` and `key.pem`, where the daemon is spoken to with TLS.
    certificates: Option<PathBuf>,
}

impl Daemon {
    /// The first daemon that answers where the settings say, or where daemons usually are.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] with all places that were tried and why there is none, [`Error::Unsupported`] for
    /// a daemon that is too old.
    pub(crate) async fn find(settings: &DockerSettings) -> Result<Self> {
        let mut tried = Vec::new();
        for candidate in candidates(settings)? {
            match Self::at(&candidate).await {
                Ok(daemon) => return Ok(daemon),
                Err(error @ Error::Unsupported { .. }) => return Err(error),
                Err(error) => tried.push(format!("`{}`: {}", candidate.address, cause(&error))),
            }
        }
        let source = format!(
            "no daemon answers at {}; `DOCKER_HOST` or `DOCKER_CONTEXT` names another",
            tried.join(", nor at ")
        );
        Err(Error::Unavailable { backend: BACKEND, source: source.into() })
    }

    async fn at(candidate: &Candidate) -> Result<Self> {
        let Candidate { address, certificates } = candidate;
        let away = |source: String| Error::Unavailable { backend: BACKEND, source: source.into() };
        if let Some(socket) = address.strip_prefix("unix://")
            && !Path::new(socket).exists()
        {
            return Err(away("there is no such socket".to_owned()));
        }
        let docker = open(address, certificates.as_deref()).map_err(|error| away(error.to_string()))?;
        let version = match timeout(FIRST_ANSWER, agreed_version(&docker)).await {
            Ok(Ok(version)) => version,
            Ok(Err(error)) => return Err(away(mcp_deploy_core::one_line(&error))),
            Err(_) => return Err(away(format!("no answer within {} s", FIRST_ANSWER.as_secs()))),
        };
        if version < OLDEST {
            return Err(Error::Unsupported {
                backend: BACKEND,
                feature: format!(
                    "the daemon at `{address}`: it speaks version {version} of the Engine API, and {OLDEST} \
                     (Docker 20.10) is the oldest that will do"
                ),
            });
        }
        Ok(Self { docker: in_version(docker, version), address: address.clone(), place: Place::of(address) })
    }
}

impl Place {
    /// The host in a daemon's address.
    fn of(address: &str) -> Self {
        let host = || {
            let (scheme, rest) = address.split_once("://")?;
            let is_network = matches!(scheme, "tcp" | "http" | "https" | "ssh");
            let authority: http::uri::Authority = rest.split('/').next()?.parse().ok()?;
            let host = authority.host();
            let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            let is_here = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
            (is_network && !is_here).then(|| host.to_owned())
        };
        host().map_or(Self::Here, Self::Elsewhere)
    }

    /// Where a client here reaches what is published at an address of the daemon's host; `None` where it is the
    /// loopback interface of another host.
    pub(crate) fn reach(&self, published: SocketAddr) -> Option<String> {
        let (ip, port) = (published.ip(), published.port());
        match self {
            Self::Here if ip.is_unspecified() => Some(SocketAddr::new(loopback(ip), port).to_string()),
            Self::Elsewhere(_) if ip.is_loopback() => None,
            Self::Elsewhere(host) if ip.is_unspecified() => Some(format!("{host}:{port}")),
            Self::Here | Self::Elsewhere(_) => Some(published.to_string()),
        }
    }
}

fn loopback(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Where to look, in order. A place that somebody has named is the only one.
fn candidates(settings: &DockerSettings) -> Result<Vec<Candidate>> {
    let DockerSettings { host, context, config: _, cert_path, tls_verify, bind: _, port_range: _ } = settings;
    if let Some(host) = host {
        let config = ClientConfig::directory(settings).filter(|_| *tls_verify);
        let is_tcp = host.starts_with("tcp://") || host.starts_with("https://");
        let certificates = cert_path.clone().or(config).filter(|_| is_tcp);
        return Ok(vec![Candidate { address: host.clone(), certificates }]);
    }
    let config = ClientConfig::read(settings)?;
    let context = context.as_deref().or(config.current_context.as_deref());
    if let Some(name) = context.filter(|name| *name != "default") {
        let Context { host, certificates } = Context::find(settings, name)?;
        return Ok(vec![Candidate { address: host, certificates }]);
    }
    let usual = usual_addresses().into_iter();
    Ok(usual.map(|address| Candidate { address, certificates: None }).collect())
}

/// Where Docker, rootless Docker, Docker Desktop, Colima, Rancher Desktop, `OrbStack` and Podman listen.
#[cfg(unix)]
fn usual_addresses() -> Vec<String> {
    let mut sockets = vec![PathBuf::from("/var/run/docker.sock")];
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    sockets.extend(runtime.as_ref().map(|runtime| runtime.join("docker.sock")));
    if let Some(home) = std::env::home_dir() {
        let below_home = [
            ".docker/run/docker.sock",
            ".docker/desktop/docker.sock",
            ".colima/default/docker.sock",
            ".rd/docker.sock",
            ".orbstack/run/docker.sock",
        ];
        sockets.extend(below_home.map(|socket| home.join(socket)));
    }
    sockets.extend(runtime.map(|runtime| runtime.join("podman/podman.sock")));
    sockets.push(PathBuf::from("/run/podman/podman.sock"));
    sockets.into_iter().map(|socket| format!("unix://{}", socket.display())).collect()
}

#[cfg(windows)]
fn usual_addresses() -> Vec<String> {
    vec!["npipe:////./pipe/docker_engine".to_owned()]
}

/// A handle on a daemon; nothing is reached yet. The environment, which bollard would read, plays no part.
fn open(address: &str, certificates: Option<&Path>) -> Result<Docker, bollard::errors::Error> {
    match (certificates, address.split_once("://")) {
        (Some(directory), _) => Docker::connect_with_ssl(
            address,
            &directory.join("key.pem"),
            &directory.join("cert.pem"),
            &directory.join("ca.pem"),
            ANSWER_SECONDS,
            API_DEFAULT_VERSION,
        ),
        (None, Some(("tcp" | "http", _))) => {
            Docker::connect_with_http(address, ANSWER_SECONDS, API_DEFAULT_VERSION)
        }
        (None, _) => Docker::connect_with_host(address),
    }
}

/// The newest version of the Engine API that both speak. A daemon that does not speak ours says which is its
/// newest; to ask for it in so many words would take it some milliseconds, in which it asks its own parts.
async fn agreed_version(docker: &Docker) -> Result<ClientVersion, bollard::errors::Error> {
    let Err(error) = in_version(docker.clone(), *API_DEFAULT_VERSION).ping().await else {
        return Ok(*API_DEFAULT_VERSION);
    };
    match refusal(&error) {
        Some((_, words)) => match newest(words) {
            Some(version) => Ok(version),
            None => Ok(docker.clone().negotiate_version().await?.client_version()),
        },
        None => Err(error),
    }
}

/// `1.41` of `client version 1.53 is too new. Maximum supported API version is 1.41`.
fn newest(words: &str) -> Option<ClientVersion> {
    let (_, version) = words.trim_end_matches('.').rsplit_once("API version is ")?;
    let (major, minor) = version.trim().split_once('.')?;
    Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
}

/// Requests in a version: without one a daemon takes its newest.
fn in_version(docker: Docker, version: ClientVersion) -> Docker {
    docker.with_request_modifier(move |mut request: BollardRequest| {
        let mut parts = request.uri().clone().into_parts();
        if let Some(path) = &parts.path_and_query {
            parts.path_and_query = format!("/v{version}{path}").parse().ok();
        }
        if let Ok(uri) = http::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        request
    })
}

/// What stands behind an error, which says of itself only that nothing can be reached.
fn cause(error: &Error) -> String {
    mcp_deploy_core::causes(error).join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> DockerSettings {
        DockerSettings { host: Some(address.to_owned()), ..DockerSettings::default() }
    }

    #[test]
    fn a_host_that_is_named_is_the_only_one_and_a_certificate_path_means_tls() {
        let settings = DockerSettings { cert_path: Some("/certs".into()), ..at("tcp://10.0.0.5:2376") };
        let candidate = |certificates: Option<&str>, address: &str| Candidate {
            address: address.to_owned(),
            certificates: certificates.map(PathBuf::from),
        };
        assert_eq!(candidates(&settings).unwrap(), [candidate(Some("/certs"), "tcp://10.0.0.5:2376")]);
        let socket = DockerSettings { cert_path: Some("/certs".into()), ..at("unix:///x.sock") };
        assert_eq!(candidates(&socket).unwrap(), [candidate(None, "unix:///x.sock")]);
        let verified =
            DockerSettings { tls_verify: true, config: Some("/config".into()), ..at("tcp://10.0.0.5:2376") };
        assert_eq!(candidates(&verified).unwrap(), [candidate(Some("/config"), "tcp://10.0.0.5:2376")]);
    }

    #[test]
    fn a_host_elsewhere_is_told_from_this_one() {
        assert_eq!(Place::of("tcp://10.0.0.5:2376"), Place::Elsewhere("10.0.0.5".to_owned()));
        assert_eq!(Place::of("ssh://me@build.example:22"), Place::Elsewhere("build.example".to_owned()));
        for here in [
            "unix:///var/run/docker.sock",
            "tcp://127.0.0.1:2375",
            "tcp://[::1]:2375",
            "http://localhost",
            "npipe:////./pipe/docker_engine",
        ] {
            assert_eq!(Place::of(here), Place::Here, "{here}");
        }
    }

    #[test]
    fn a_daemon_that_is_older_says_what_it_speaks() {
        let words = "client version 1.53 is too new. Maximum supported API version is 1.41";
        let version = newest(words).unwrap();
        assert_eq!((version.major_version, version.minor_version), (1, 41));
        assert!(newest("page not found").is_none());
    }

    #[tokio::test]
    async fn the_error_lists_what_was_tried() {
        let error = Daemon::find(&at("unix:///nowhere/docker.sock")).await.unwrap_err();
        let told = mcp_deploy_core::one_line(&error);
        assert_eq!(
            told,
            "docker cannot be reached: no daemon answers at `unix:///nowhere/docker.sock`: there is no such \
             socket; `DOCKER_HOST` or `DOCKER_CONTEXT` names another"
        );
    }

    #[test]
    fn what_is_published_is_reached_from_here_or_not_at_all() {
        let reach = |address: &str, published: &str| Place::of(address).reach(published.parse().unwrap());
        assert_eq!(reach("unix:///x", "127.0.0.1:1").as_deref(), Some("127.0.0.1:1"));
        assert_eq!(reach("unix:///x", "0.0.0.0:1").as_deref(), Some("127.0.0.1:1"));
        assert_eq!(reach("ssh://me@far", "127.0.0.1:1"), None);
        assert_eq!(reach("ssh://me@far", "0.0.0.0:1").as_deref(), Some("far:1"));
        assert_eq!(reach("tcp://far:2376", "10.0.0.5:1").as_deref(), Some("10.0.0.5:1"));
    }
}
