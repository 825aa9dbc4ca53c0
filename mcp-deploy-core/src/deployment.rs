//! What a backend reports: deployments, their instances, log lines, changes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spec::Transport;
use crate::{
    DeploymentName, DeploymentSpec, Error, Failure, FailureReason, ImageRef, McpReport, Relaxation, Result,
    TemplateId, TransportKind,
};

/// What a backend reports about a spec that it runs; its JSON is the same from the library, the API and the CLI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Deployment {
    /// Its name.
    #[serde(rename = "deployment_name")]
    pub name: DeploymentName,
    /// The template that it was made from.
    pub template_id: TemplateId,
    /// The template's version.
    pub template_version: String,
    /// The name of the backend that runs it.
    pub backend: String,
    /// Where it stands.
    pub status: Status,
    /// The platform's own readiness: every wanted instance is ready, and at least one is.
    pub ready: bool,
    /// How many instances are wanted, and how many are ready.
    pub replicas: Replicas,
    /// The instances that exist.
    pub instances: Vec<Instance>,
    /// The image.
    #[cfg_attr(feature = "utoipa", schema(value_type = String))]
    pub image: ImageRef,
    /// How it is talked to.
    pub transport: TransportKind,
    /// The address for clients; `None` where nothing listens.
    pub endpoint: Option<String>,
    /// Counts the specs that this name has had, from 1.
    pub revision: u64,
    /// When the name was first deployed.
    #[cfg_attr(feature = "utoipa", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[cfg_attr(feature = "utoipa", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
    /// The configuration, secret values as `***`.
    pub configuration: BTreeMap<String, Value>,
    /// Which parts of the default hardening the template takes back.
    pub relaxations: Vec<Relaxation>,
    /// Where somebody else has changed what was deployed, as places in the platform's own objects; the next
    /// deploy takes it back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// What the server answered, filled by verbs that ask it.
    pub mcp: Option<McpReport>,
    /// Why it does not work, where it does not.
    pub failure: Option<Failure>,
}

impl Deployment {
    /// What is known of a spec before any platform reports on it: pending, with no instance.
    pub fn pending(spec: &DeploymentSpec, backend: &'static str, now: Timestamp) -> Self {
        let Transport { kind, .. } = spec.transport;
        Self {
            name: spec.name.clone(),
            template_id: spec.template.id.clone(),
            template_version: spec.template.version.clone(),
            backend: backend.to_owned(),
            status: Status::Pending,
            ready: false,
            replicas: Replicas { desired: spec.replicas, ready: 0 },
            instances: Vec::new(),
            image: spec.image.clone(),
            transport: kind,
            endpoint: None,
            revision: 1,
            created_at: now,
            updated_at: now,
            configuration: spec.configuration.clone(),
            relaxations: spec.security.relaxations(),
            drift: Vec::new(),
            mcp: None,
            failure: None,
        }
    }
}

impl Deployment {
    /// Whether nothing more is to come by itself: it is ready, stopped as it should be, or failed.
    pub fn is_settled(&self) -> bool {
        self.ready || matches!(self.status, Status::Failed | Status::Stopped)
    }

    /// Itself, unless it failed.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] with its failure.
    pub fn or_failed(self) -> Result<Self> {
        if self.status != Status::Failed {
            return Ok(self);
        }
        let unknown = || Failure::new(FailureReason::Unknown, "the backend gave no reason");
        let failure = Box::new(self.failure.unwrap_or_else(unknown));
        Err(Error::Failed { name: self.name, failure, recovery: None })
    }
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Accepted; nothing has started yet.
    Pending,
    /// Instances are starting.
    Starting,
    /// Every wanted instance is ready.
    Running,
    /// Some instances are ready, or one that was ready is not.
    Degraded,
    /// It does not work; [`Deployment::failure`] says why.
    Failed,
    /// Scaled to 0; everything is kept.
    Stopped,
    /// Being removed.
    Deleting,
}

impl Status {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Starting,
        Self::Running,
        Self::Degraded,
        Self::Failed,
        Self::Stopped,
        Self::Deleting,
    ];

    /// The word, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Deleting => "deleting",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many instances are wanted, and how many are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Replicas {
    /// Wanted; 0 is a stopped deployment.
    pub desired: u32,
    /// Ready.
    pub ready: u32,
}

/// One container or pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Instance {
    /// The platform's id; a new one after every restart of the deployment.
    pub id: String,
    /// When it started, where it has.
    #[cfg_attr(feature = "utoipa", schema(value_type = Option<String>, format = DateTime))]
    pub started_at: Option<Timestamp>,
    /// Whether it is ready.
    pub ready: bool,
    /// How often its process was started again; `None` where a listing does not know.
    pub restarts: Option<u32>,
}

/// An earlier spec of a deployment, which can be deployed again.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Its number.
    pub number: u64,
    /// When it was deployed.
    pub created_at: Timestamp,
    /// The whole spec, secrets included.
    pub spec: DeploymentSpec,
}

/// One line that a server wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// When, where the platform knows.
    #[cfg_attr(feature = "utoipa", schema(value_type = Option<String>, format = DateTime))]
    pub timestamp: Option<Timestamp>,
    /// The id of the instance that wrote it.
    pub instance: String,
    /// Where it was written to.
    pub stream: LogSource,
    /// The line, without its end.
    pub message: String,
}

/// Where a log line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a watch yields: `Changed` for all that is there, one `Synced`, then what happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A deployment as it is now.
    Changed(Arc<Deployment>),
    /// All that was there has been told; comes again after a cut.
    Synced,
    /// A deployment is no longer there.
    Gone(DeploymentName),
}

impl Event {
    /// What has happened between two looks at the same deployments, for a backend that watches by looking.
    pub fn between(
        before: &BTreeMap<DeploymentName, Arc<Deployment>>,
        now: &BTreeMap<DeploymentName, Arc<Deployment>>,
    ) -> Vec<Self> {
        let changed = now.iter().filter(|(name, deployment)| before.get(*name) != Some(*deployment));
        let changed = changed.map(|(_, deployment)| Self::Changed(Arc::clone(deployment)));
        let gone = before.keys().filter(|name| !now.contains_key(*name)).cloned().map(Self::Gone);
        changed.chain(gone).collect()
    }
}
