//! What surrounds a server: resources, volumes, network, machines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Cpu, Memory};

/// Limits and requests of one instance, in the shape of Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Resources {
    /// What it may use at most.
    pub limits: ResourceAmounts,
    /// What is kept free for it, where the platform schedules.
    pub requests: ResourceAmounts,
}

/// Amounts of what a platform can limit; `None` leaves the backend's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Mount {
    /// The path on the host; absolute.
    pub host_path: String,
    /// The path inside.
    pub path: String,
    /// Whether the server may not write.
    #[serde(default)]
    pub read_only: bool,
}

/// What the server may reach: `all`, `none`, or `{"allow": [...]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
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
