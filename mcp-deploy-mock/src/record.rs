//! What is known of one deployment.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mcp_deploy_core::{DeploymentSpec, LogLine};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::faults::Faults;

/// The backend's name.
pub(crate) const BACKEND: &str = "mock";

/// One deployment.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) spec: StoredSpec,
    pub(crate) faults: Faults,
    pub(crate) revision: u64,
    pub(crate) desired: u32,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) instances: Vec<Started>,
    /// What instances wrote that are no more.
    pub(crate) written: Vec<LogLine>,
    /// Earlier specs, oldest first.
    pub(crate) earlier: Vec<Earlier>,
}

/// One instance, from its start on.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) id: String,
    pub(crate) at: Timestamp,
}

/// An earlier spec.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Earlier {
    pub(crate) number: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) spec: StoredSpec,
}

/// A spec, whole: serialized it holds the values of its secrets, so it has no `Debug`.
#[derive(Clone, PartialEq)]
pub(crate) struct StoredSpec(pub(crate) DeploymentSpec);

#[derive(Serialize, Deserialize)]
struct Parts {
    plain: Value,
    secrets: BTreeMap<String, String>,
}

impl Serialize for StoredSpec {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (plain, secrets) = self.0.clone().into_parts().map_err(serde::ser::Error::custom)?;
        let secrets =
            secrets.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect();
        Parts { plain, secrets }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StoredSpec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Parts { plain, secrets } = Parts::deserialize(deserializer)?;
        let secrets = secrets.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect();
        DeploymentSpec::from_parts(plain, secrets).map(Self).map_err(serde::de::Error::custom)
    }
}
