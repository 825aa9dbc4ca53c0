//! What a user asks for: a configuration from several sources, and overrides.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// What to make of a template. Later sources of configuration win: the schema's defaults, the template's
/// `default_config`, [`file`](Self::file), [`environment`](Self::environment), [`set`](Self::set) and
/// [`configuration`](Self::configuration).
///
/// Nothing is checked before [`resolve`](crate::resolve), which then lists everything that is wrong at once.
/// `Debug` shows names and never values: any of them may be a secret.
///
/// ```
/// use mcp_deploy_core::Request;
///
/// let request = Request::default().name("demo-one").set("log_level", "debug").env("API_TOKEN", "s3cret");
/// assert!(!format!("{request:?}").contains("s3cret"));
/// ```
#[derive(Clone, Default)]
pub struct Request {
    /// The name of the deployment; a new one is derived where none is given.
    pub name: Option<String>,
    /// A configuration file.
    pub file: Map<String, Value>,
    /// Environment variables: one that carries a property sets it, the others are passed on.
    pub environment: BTreeMap<String, String>,
    /// Text values by key, nested with dots; converted to the type that the schema wants.
    pub set: Vec<(String, String)>,
    /// Typed values by key.
    pub configuration: Map<String, Value>,
    /// What is changed beside the configuration.
    pub overrides: Overrides,
}

/// What a user changes beside the configuration; as text, so that all that is wrong is found together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Another image.
    pub image: Option<String>,
    /// When the image is pulled: `always`, `missing` or `never`.
    pub pull_policy: Option<String>,
    /// The port of the host.
    pub host_port: Option<u16>,
    /// How many instances.
    pub replicas: Option<u32>,
    /// The memory limit, as in `512Mi`.
    pub memory: Option<String>,
    /// The CPU limit, as in `0.5` or `500m`.
    pub cpus: Option<String>,
}

impl Request {
    /// Names the deployment.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds what a configuration file holds.
    #[must_use]
    pub fn file(mut self, file: Map<String, Value>) -> Self {
        self.file = file;
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets a key, nested with dots, to what a text stands for.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, text: impl Into<String>) -> Self {
        self.set.push((key.into(), text.into()));
        self
    }

    /// Sets a key to a typed value.
    #[must_use]
    pub fn value(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.configuration.insert(key.into(), value.into());
        self
    }

    /// Changes the image.
    #[must_use]
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.overrides.image = Some(image.into());
        self
    }

    /// Changes when the image is pulled.
    #[must_use]
    pub fn pull_policy(mut self, policy: impl Into<String>) -> Self {
        self.overrides.pull_policy = Some(policy.into());
        self
    }

    /// Chooses the port of the host.
    #[must_use]
    pub fn host_port(mut self, port: u16) -> Self {
        self.overrides.host_port = Some(port);
        self
    }

    /// Changes the number of instances.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.overrides.replicas = Some(replicas);
        self
    }

    /// Changes the memory limit.
    #[must_use]
    pub fn memory(mut self, memory: impl Into<String>) -> Self {
        self.overrides.memory = Some(memory.into());
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, file, environment, set, configuration, overrides } = self;
        f.debug_struct("Request")
            .field("name", name)
            .field("file", &file.keys().collect::<Vec<_>>())
            .field("environment", &environment.keys().collect::<Vec<_>>())
            .field("set", &set.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .field("configuration", &configuration.keys().collect::<Vec<_>>())
            .field("overrides", overrides)
            .finish()
    }
}
