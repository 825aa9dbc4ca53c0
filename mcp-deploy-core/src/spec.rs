//! The spec: everything that a backend needs to run a server, and nothing of a platform.

mod process;
mod serving;
mod surroundings;

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

pub use self::process::{PullPolicy, Relaxation, RestartPolicy, RunAsUser, Security};
pub use self::serving::{Health, Tool, Transport, TransportKind};
pub use self::surroundings::{
    AccessMode, Autoscaling, Exposure, Mount, Network, Peer, Placement, ResourceAmounts, Resources, Volume,
};
use crate::{DeploymentName, ImageRef, TemplateId};

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
    /// When it is pulled. `None` is `missing`; for an image whose tag is `latest`, or that has none, it is
    /// `always`, and the image that is there will do where the registry does not give another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
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
    /// The port of the host at which it is published; `None` leaves the choice to the backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
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
    /// Whether two specs are the same deployment, in the same size or in another.
    pub fn is_resized(&self, other: &Self) -> bool {
        Self { replicas: other.replicas, ..self.clone() } == *other
    }

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
        let named: Vec<String> =
            named.as_ref().and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned().collect();
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
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose_secret()))
    }
}

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        self.expose().eq(other.expose())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.names().map(|name| (name, REDACTED))).finish()
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
        Err(de::Error::custom("the values of secrets are not in a serialized spec; use `from_parts`"))
    }
}
