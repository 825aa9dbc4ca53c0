//! The spec: everything that a backend needs to run a server, and nothing of a platform.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::{Cpu, DeploymentName, ImageRef, Memory, TemplateId};

/// What stands where a secret was.
pub const REDACTED: &str = "***";

/// Template, configuration and overrides, resolved.
///
/// Two equal specs are the same deployment: deploying the second changes nothing. `Debug` and `Serialize` show
/// the names of secrets and `***` for their values; [`into_parts`](Self::into_parts) is the one way to store a
/// spec whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentSpec {
    /// The name of the deployment.
    pub name: DeploymentName,
    /// The template that it was resolved from.
    pub template: TemplateVersion,
    /// The image.
    pub image: ImageRef,
    /// What replaces the image's entry point; empty keeps it.
    pub command: Vec<String>,
    /// The arguments, each one item; no shell sees them.
    pub args: Vec<String>,
    /// Plain environment variables.
    pub env: BTreeMap<String, String>,
    /// Environment variables whose values are secret.
    pub secrets: Secrets,
    /// The configuration as reports show it, secret values as `***`.
    pub configuration: BTreeMap<String, Value>,
    /// How the server is talked to.
    pub transport: Transport,
    /// The HTTP health contract; `None` where the image does not keep one.
    pub health: Option<Health>,
    /// Limits and requests.
    pub resources: Resources,
    /// How many instances; 0 is a stopped deployment.
    pub replicas: u32,
    /// Named volumes.
    pub volumes: Vec<Volume>,
    /// Paths of the host.
    pub mounts: Vec<Mount>,
    /// What happens when the server's process ends.
    pub restart: RestartPolicy,
    /// User, file system and capabilities.
    pub security: Security,
    /// What the server may reach.
    pub network: Network,
    /// An address outside the platform.
    pub exposure: Option<Exposure>,
    /// Replicas by load.
    pub autoscaling: Option<Autoscaling>,
    /// Where instances may run.
    pub placement: Option<Placement>,
    /// Whether any instance can answer any request; `false` where the server keeps sessions.
    pub stateless: bool,
    /// The tools that the template's author promises.
    pub tools: Vec<Tool>,
    /// How a mock simulates it; other backends pass over it.
    pub mock: Option<Value>,
}

impl DeploymentSpec {
    /// The spec without the values of its secrets, and these apart, for a backend that stores both.
    pub fn into_parts(self) -> Result<(Value, BTreeMap<String, SecretString>), serde_json::Error> {
        let plain = serde_json::to_value(&self)?;
        Ok((plain, self.secrets.0))
    }

    /// The opposite of [`into_parts`](Self::into_parts).
    ///
    /// # Errors
    ///
    /// When the plain part is no spec, or names other secrets than those given: a placeholder never
    /// becomes a value.
    pub fn from_parts(
        mut plain: Value,
        secrets: BTreeMap<String, SecretString>,
    ) -> Result<Self, serde_json::Error> {
        let named = plain.get_mut("secrets").map(Value::take);
        let named: Vec<String> = named
            .as_ref()
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
            .cloned()
            .collect();
        if !named.iter().eq(secrets.keys()) {
            let given: Vec<&str> = secrets.keys().map(String::as_str).collect();
            return Err(de::Error::custom(format!(
                "the spec names the secrets `{}`, and `{}` were given",
                named.join(" "),
                given.join(" "),
            )));
        }
        if let Some(object) = plain.as_object_mut() {
            object.insert("secrets".to_owned(), Value::Object(Map::new()));
        }
        let mut spec: Self = serde_json::from_value(plain)?;
        spec.secrets = Secrets(secrets);
        Ok(spec)
    }
}

/// Which template, in which version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateVersion {
    /// The template's id.
    pub id: TemplateId,
    /// The template's version.
    pub version: String,
}

/// Environment variables whose values are secret: `Debug` and `Serialize` show `***`.
#[derive(Clone, Default)]
pub struct Secrets(pub BTreeMap<String, SecretString>);

impl Secrets {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and exposed values, for the place where the platform takes them.
    pub fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
    }
}

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        self.expose().eq(other.expose())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.names().map(|name| (name, REDACTED)))
            .finish()
    }
}

impl Serialize for Secrets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.names().map(|name| (name, REDACTED)))
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names: BTreeMap<String, de::IgnoredAny> = BTreeMap::deserialize(deserializer)?;
        if names.is_empty() {
            return Ok(Self::default());
        }
        Err(de::Error::custom(
            "the values of secrets are not in a serialized spec; use `from_parts`",
        ))
    }
}

/// How the server is talked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transport {
    /// The protocol.
    pub kind: TransportKind,
    /// The port inside the container; `PORT` tells the server.
    pub port: u16,
    /// The path of the MCP endpoint.
    pub path: String,
}

/// A transport of the MCP specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransportKind {
    /// One endpoint over HTTP, since revision 2025-03-26.
    StreamableHttp,
    /// Two endpoints, an event stream and posts, of revision 2024-11-05.
    Sse,
    /// Standard input and output.
    Stdio,
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::StreamableHttp => "streamable-http",
            Self::Sse => "sse",
            Self::Stdio => "stdio",
        })
    }
}

/// The HTTP health contract of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// The path that says the process is alive; default `/health`.
    pub liveness: String,
    /// The path that says it can serve; default `/ready`.
    pub readiness: String,
    /// Between two checks; default 30 s.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// How long one check may take; default 3 s.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How long a start may take before failures count; default 5 s.
    #[serde(with = "duration")]
    pub start_period: Duration,
    /// How many failures in a row count; default 3.
    pub retries: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            liveness: "/health".to_owned(),
            readiness: "/ready".to_owned(),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(3),
            start_period: Duration::from_secs(5),
            retries: 3,
        }
    }
}

/// Durations as authors write them: `30s`, `1m30s`, `500ms`, or a number of seconds.
mod duration {
    use super::{Deserialize, Deserializer, Duration, Serializer, Value, de};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = duration.as_millis();
        if millis.is_multiple_of(1000) {
            serializer.collect_str(&format_args!("{}s", millis / 1000))
        } else {
            serializer.collect_str(&format_args!("{millis}ms"))
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let malformed = || de::Error::custom("a duration is written like `30s`, `1m30s` or `500ms`");
        match Value::deserialize(deserializer)? {
            Value::Number(seconds) => seconds.as_u64().map(Duration::from_secs).ok_or_else(malformed),
            Value::String(text) => {
                let duration: jiff::SignedDuration = text.parse().map_err(|_| malformed())?;
                Duration::try_from(duration).map_err(|_| malformed())
            }
            _ => Err(malformed()),
        }
    }
}

/// Limits and requests of one instance, in the shape of Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// What it may use at most.
    pub limits: ResourceAmounts,
    /// What is kept free for it, where the platform schedules.
    pub requests: ResourceAmounts,
}

/// Amounts of what a platform can limit; `None` leaves the backend's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceAmounts {
    /// CPU time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
}

/// A named volume: made when missing, kept by `delete` unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name within the deployment.
    pub name: String,
    /// Where it is mounted.
    pub path: String,
    /// How large, where the platform can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Memory>,
    /// Who may mount it at once; default `ReadWriteOnce`.
    #[serde(default)]
    pub access_mode: AccessMode,
    /// The platform's class of storage; default the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

/// Who may mount a volume at once, in the words of Kubernetes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessMode {
    /// One machine.
    #[default]
    ReadWriteOnce,
    /// Many machines, for reading.
    ReadOnlyMany,
    /// Many machines.
    ReadWriteMany,
}

/// A path of the host, mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The path on the host; absolute.
    pub host_path: String,
    /// The path inside.
    pub path: String,
    /// Whether the server may not write.
    #[serde(default)]
    pub read_only: bool,
}

/// What happens when the server's process ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// It is started again, also after a restart of the platform.
    #[default]
    Always,
    /// It is started again when it ended with an error.
    OnFailure,
    /// It stays ended.
    Never,
}

/// User, file system and capabilities; the default is the hardened one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// The user; default 1000.
    pub run_as_user: RunAsUser,
    /// Whether the root file system is read-only (`/tmp` and `HOME` are writable); default true.
    pub read_only_root: bool,
    /// Linux capabilities that are added to none.
    pub add_capabilities: Vec<String>,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            run_as_user: RunAsUser::default(),
            read_only_root: true,
            add_capabilities: Vec::new(),
        }
    }
}

impl Security {
    /// Which parts of the default hardening are taken back.
    pub fn relaxations(&self) -> Vec<Relaxation> {
        let Self {
            run_as_user,
            read_only_root,
            add_capabilities,
        } = self;
        let mut relaxations = Vec::new();
        if matches!(run_as_user, RunAsUser::Image | RunAsUser::Id(0)) {
            relaxations.push(Relaxation::RunAsUser);
        }
        if !read_only_root {
            relaxations.push(Relaxation::ReadOnlyRoot);
        }
        if !add_capabilities.is_empty() {
            relaxations.push(Relaxation::AddCapabilities);
        }
        relaxations
    }
}

/// A part of the default hardening that a template takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relaxation {
    /// It runs as root, or as whoever the image says.
    RunAsUser,
    /// Its root file system is writable.
    ReadOnlyRoot,
    /// It has Linux capabilities.
    AddCapabilities,
}

/// Who the server runs as: a number, or `image`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunAsUser {
    /// This user id.
    Id(u32),
    /// Whoever the image says.
    Image,
}

impl Default for RunAsUser {
    fn default() -> Self {
        Self::Id(1000)
    }
}

impl Serialize for RunAsUser {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => serializer.serialize_u32(*id),
            Self::Image => serializer.serialize_str("image"),
        }
    }
}

impl<'de> Deserialize<'de> for RunAsUser {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == "image" => Ok(Self::Image),
            Value::Number(id) => match id.as_u64().map(u32::try_from) {
                Some(Ok(id)) => Ok(Self::Id(id)),
                _ => Err(de::Error::custom(
                    "`run_as_user` is a user id from 0 to 4294967295",
                )),
            },
            _ => Err(de::Error::custom("`run_as_user` is a user id or `image`")),
        }
    }
}

/// What the server may reach: `all`, `none`, or `{"allow": [...]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Everything.
    #[default]
    All,
    /// Nothing.
    None,
    /// These, and DNS.
    Allow(Vec<Peer>),
}

/// A peer that the server may reach; exactly one of `cidr`, `namespace` and `host` is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Peer {
    /// Addresses, as in `10.0.0.0/8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// A namespace of the same platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// These ports; all where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

/// An address outside the platform.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exposure {
    /// The host name; default made from the deployment's name and the platform's domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Which controller serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The secret that holds the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_secret: Option<String>,
    /// Who issues the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Whether to go without TLS.
    pub insecure: bool,
}

/// Replicas by load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscaling {
    /// The fewest; default 1.
    #[serde(default = "one")]
    pub min_replicas: u32,
    /// The most.
    pub max_replicas: u32,
    /// The CPU use to aim at, in percent of the request; default 80.
    #[serde(default = "eighty")]
    pub target_cpu_percent: u32,
}

fn one() -> u32 {
    1
}

fn eighty() -> u32 {
    80
}

/// Where instances may run, in the shapes of Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Placement {
    /// Labels that a machine must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are tolerated.
    pub tolerations: Vec<Value>,
    /// Affinity rules.
    pub affinity: Option<Value>,
    /// The names of pull secrets.
    pub image_pull_secrets: Vec<String>,
    /// The priority class.
    pub priority_class: Option<String>,
    /// The runtime class.
    pub runtime_class: Option<String>,
}

/// A tool that a template's author promises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema of its arguments.
    pub input_schema: Map<String, Value>,
}
