//! The program's configuration: one struct, read by the binaries, passed to everything else.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Violation, Violations};

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
    /// The Docker backend's own settings.
    pub docker: DockerSettings,
    /// The mock's own settings.
    pub mock: MockSettings,
}

/// The Docker backend's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DockerSettings {
    /// Where the daemon listens, as in `unix:///var/run/docker.sock`; default the platform's usual address.
    pub host: Option<String>,
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
            docker: DockerSettings::default(),
            mock: MockSettings::default(),
        }
    }
}

/// An environment variable that sets a part of [`Settings`].
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it sets.
    pub meaning: &'static str,
    apply: fn(&mut Settings, &str),
}

impl Settings {
    /// Every variable that [`apply_environment`](Self::apply_environment) reads.
    pub const VARIABLES: &[Variable] = &[
        Variable {
            name: "MCP_DEPLOYMENT_BACKEND",
            meaning: "the default backend",
            apply: |settings, value| settings.backend = Some(value.to_owned()),
        },
        Variable {
            name: "MCP_IMAGE_REGISTRY",
            meaning: "where images of templates that name none come from",
            apply: |settings, value| value.clone_into(&mut settings.image_registry),
        },
        Variable {
            name: "MCP_TEMPLATES_DIR",
            meaning: "directories of templates, separated like `PATH`",
            apply: |settings, value| settings.templates = std::env::split_paths(value).collect(),
        },
        Variable {
            name: "DOCKER_HOST",
            meaning: "where the Docker daemon listens",
            apply: |settings, value| settings.docker.host = Some(value.to_owned()),
        },
        Variable {
            name: "MCP_MOCK_STATE",
            meaning: "the file that holds the mock's state",
            apply: |settings, value| settings.mock.state = Some(PathBuf::from(value)),
        },
    ];

    /// Applies environment variables, which `lookup` finds; an empty one counts as absent.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where a value holds a NUL or a line break: no setting can.
    pub fn apply_environment(&mut self, lookup: impl Fn(&str) -> Option<String>) -> Result<()> {
        let mut violations = Violations::default();
        for variable in Self::VARIABLES {
            match lookup(variable.name) {
                Some(value) if value.contains(['\0', '\n', '\r']) => {
                    violations
                        .push(Violation::new(format!("/{}", variable.name), "holds a line break or a NUL"));
                }
                Some(value) if !value.is_empty() => (variable.apply)(self, &value),
                _ => {}
            }
        }
        violations.into_result(()).map_err(Error::from)
    }
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
                _ => None,
            })
            .unwrap();
        assert_eq!(settings.backend.as_deref(), Some("docker"));
        assert_eq!(settings.image_registry, "localhost:5000");
    }

    #[test]
    fn a_line_break_is_no_setting() {
        let error = Settings::default().apply_environment(|_| Some("a\nb".to_owned())).unwrap_err();
        assert!(error.to_string().contains("/MCP_MOCK_STATE"), "{error}");
    }
}
