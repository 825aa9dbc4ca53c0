//! The environment variables that set a part of the settings.

use std::env;
use std::path::PathBuf;

use super::{PortRangeError, Settings};
use crate::{Error, Result, TemplateRepositoryError, Violation, Violations};

/// An environment variable that sets a part of [`Settings`].
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it sets.
    pub meaning: &'static str,
    apply: fn(&mut Settings, String) -> Result<(), String>,
}

impl Variable {
    const fn new(
        name: &'static str,
        meaning: &'static str,
        apply: fn(&mut Settings, String) -> Result<(), String>,
    ) -> Self {
        Self { name, meaning, apply }
    }
}

impl Settings {
    /// Every variable that [`apply_environment`](Self::apply_environment) reads.
    pub const VARIABLES: &[Variable] = &[
        Variable::new("MCP_DEPLOYMENT_BACKEND", "the default backend", |settings, value| {
            set(&mut settings.backend, Some(value))
        }),
        Variable::new(
            "MCP_IMAGE_REGISTRY",
            "where images of templates that name none come from",
            |settings, value| set(&mut settings.image_registry, value),
        ),
        Variable::new(
            "MCP_TEMPLATES_DIR",
            "directories of templates, separated like `PATH`",
            |settings, value| set(&mut settings.templates, env::split_paths(&value).collect()),
        ),
        Variable::new(
            "MCP_TEMPLATES_REPO",
            "git repositories of templates, as `URL[#ref][:directory]`, separated by spaces",
            |settings, value| {
                let repositories: Result<_, TemplateRepositoryError> =
                    value.split_whitespace().map(str::parse).collect();
                let repositories = repositories.map_err(|error| format!("is wrong: {error}"));
                set(&mut settings.template_repositories, repositories?)
            },
        ),
        Variable::new(
            "MCP_TEMPLATES_CACHE",
            "the directory that copies of those repositories are kept in",
            |settings, value| set(&mut settings.templates_cache, Some(PathBuf::from(value))),
        ),
        Variable::new("DOCKER_HOST", "where the Docker daemon listens", |settings, value| {
            set(&mut settings.docker.host, Some(value))
        }),
        Variable::new("DOCKER_CONTEXT", "the Docker context", |settings, value| {
            set(&mut settings.docker.context, Some(value))
        }),
        Variable::new("DOCKER_CONFIG", "the directory of Docker's own configuration", |settings, value| {
            set(&mut settings.docker.config, Some(PathBuf::from(value)))
        }),
        Variable::new(
            "DOCKER_CERT_PATH",
            "the directory of the certificates for a Docker daemon with TLS",
            |settings, value| set(&mut settings.docker.cert_path, Some(PathBuf::from(value))),
        ),
        Variable::new(
            "DOCKER_TLS_VERIFY",
            "where it is set, a Docker daemon at `tcp` is spoken to with TLS",
            |settings, _| set(&mut settings.docker.tls_verify, true),
        ),
        Variable::new(
            "MCP_DOCKER_BIND",
            "the address at which Docker publishes new deployments",
            |settings, value| {
                let address = value.parse().map_err(|_| format!("is `{value}`, which is no IP address"));
                set(&mut settings.docker.bind, address?)
            },
        ),
        Variable::new(
            "MCP_PORT_RANGE",
            "the ports that Docker gives to new deployments",
            |settings, value| {
                let range = value.parse().map_err(|error: PortRangeError| format!("is wrong: {error}"));
                set(&mut settings.docker.port_range, range?)
            },
        ),
        Variable::new("MCP_NAMESPACE", "the Kubernetes namespace of all deployments", |settings, value| {
            set(&mut settings.kubernetes.namespace, value)
        }),
        Variable::new("KUBECONFIG", "the kubeconfig files, separated like `PATH`", |settings, value| {
            set(&mut settings.kubernetes.kubeconfig, env::split_paths(&value).collect())
        }),
        Variable::new("MCP_KUBERNETES_CONTEXT", "the context of the kubeconfig", |settings, value| {
            set(&mut settings.kubernetes.context, Some(value))
        }),
        Variable::new(
            "KUBERNETES_CLUSTER_ENDPOINT",
            "the URL of the Kubernetes API server, for a token",
            |settings, value| set(&mut settings.kubernetes.endpoint, Some(value)),
        ),
        Variable::new(
            "KUBERNETES_SERVICE_ACCOUNT_TOKEN",
            "the token for that API server",
            |settings, value| set(&mut settings.kubernetes.token, Some(value.into())),
        ),
        Variable::new(
            "MCP_KUBERNETES_CA_FILE",
            "the certificates that the API server is checked against",
            |settings, value| set(&mut settings.kubernetes.ca_file, Some(PathBuf::from(value))),
        ),
        Variable::new(
            "MCP_INGRESS_HOST",
            "the domain below which deployments on Kubernetes are exposed",
            |settings, value| set(&mut settings.kubernetes.ingress_host, Some(value)),
        ),
        Variable::new("MCP_MOCK_STATE", "the file that holds the mock's state", |settings, value| {
            set(&mut settings.mock.state, Some(PathBuf::from(value)))
        }),
        Variable::new("MCP_BIND", "the address and port of the HTTP server", |settings, value| {
            let wrong = || format!("is `{value}`, which is no address with a port, as in `127.0.0.1:8000`");
            set(&mut settings.http.bind, value.parse().map_err(|_| wrong())?)
        }),
        Variable::new(
            "MCP_API_TOKENS_FILE",
            "the file of the tokens that clients of the HTTP server show",
            |settings, value| set(&mut settings.http.tokens_file, Some(PathBuf::from(value))),
        ),
        Variable::new(
            "MCP_ALLOWED_HOSTS",
            "the hosts by which clients may call the HTTP server, separated by commas",
            |settings, value| set(&mut settings.http.allowed_hosts, words(&value)),
        ),
        Variable::new(
            "MCP_ALLOWED_ORIGINS",
            "the origins whose web pages may call the HTTP server, separated by commas",
            |settings, value| set(&mut settings.http.allowed_origins, words(&value)),
        ),
        Variable::new(
            "MCP_TLS_CERT",
            "the file of the HTTP server's certificate, for TLS",
            |settings, value| set(&mut settings.http.tls_cert, Some(PathBuf::from(value))),
        ),
        Variable::new("MCP_TLS_KEY", "the file of that certificate's private key", |settings, value| {
            set(&mut settings.http.tls_key, Some(PathBuf::from(value)))
        }),
        Variable::new(
            "MCP_OPEN_METRICS",
            "whether `/metrics` of the HTTP server needs no token: `true` or `false`",
            |settings, value| {
                let open = value.parse().map_err(|_| format!("is `{value}`, and neither `true` nor `false`"));
                set(&mut settings.http.open_metrics, open?)
            },
        ),
        Variable::new(
            "MCP_RATE_LIMIT",
            "how many requests a second one client may send to the HTTP server; 0 is any number",
            |settings, value| {
                let limit =
                    value.parse().map_err(|_| format!("is `{value}`, which is no number of requests"));
                set(&mut settings.http.rate_limit, limit?)
            },
        ),
    ];

    /// Applies environment variables, which `lookup` finds; an empty one counts as absent.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with every value that cannot be: one that is wrong for its setting, and one that holds
    /// a NUL or a line break.
    pub fn apply_environment(&mut self, lookup: impl Fn(&str) -> Option<String>) -> Result<()> {
        let mut violations = Violations::default();
        for variable in Self::VARIABLES {
            let applied = match lookup(variable.name) {
                Some(value) if value.contains(['\0', '\n', '\r']) => {
                    Err("holds a line break or a NUL".to_owned())
                }
                Some(value) if !value.is_empty() => (variable.apply)(self, value),
                _ => Ok(()),
            };
            if let Err(problem) = applied {
                violations.push(Violation::new(format!("/{}", variable.name), problem));
            }
        }
        violations.into_result(()).map_err(Error::from)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what cannot be wrong is set like what can")]
fn set<T>(place: &mut T, value: T) -> Result<(), String> {
    *place = value;
    Ok(())
}

fn words(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_and_an_empty_variable_is_none() {
        let mut settings = Settings { backend: Some("docker".to_owned()), ..Settings::default() };
        settings
            .apply_environment(|name| match name {
                "MCP_DEPLOYMENT_BACKEND" => Some(String::new()),
                "MCP_IMAGE_REGISTRY" => Some("localhost:5000".to_owned()),
                "MCP_PORT_RANGE" => Some("8000-8009".to_owned()),
                _ => None,
            })
            .unwrap();
        assert_eq!(settings.backend.as_deref(), Some("docker"));
        assert_eq!(settings.image_registry, "localhost:5000");
        assert_eq!(settings.docker.port_range.ports(), 8000..=8009);
    }

    #[test]
    fn every_value_that_cannot_be_is_told_at_once() {
        let error = Settings::default()
            .apply_environment(|name| match name {
                "MCP_MOCK_STATE" => Some("a\nb".to_owned()),
                "MCP_DOCKER_BIND" => Some("localhost".to_owned()),
                "MCP_PORT_RANGE" => Some("9-8".to_owned()),
                "MCP_TEMPLATES_REPO" => Some("/srv/x https://me:s3cret@example.com/x".to_owned()),
                _ => None,
            })
            .unwrap_err();
        insta::assert_snapshot!(error, @r"
        4 rules are broken:
          `/MCP_TEMPLATES_REPO` is wrong: `https://example.com/x` holds a user or a password: leave them out, and let a credential helper of git give them
          `/MCP_DOCKER_BIND` is `localhost`, which is no IP address
          `/MCP_PORT_RANGE` is wrong: `9-8` is no range of ports: write it like `21000-21999`, the smaller port first, from 1 to 65535
          `/MCP_MOCK_STATE` holds a line break or a NUL
        ");
    }
}
