//! What stands in the labels of what we make: written, and read back.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use bollard::models::ContainerInspectResponse;
use jiff::Timestamp;
use mcp_deploy_core::{DeploymentName, DeploymentSpec, Selector};
use secrecy::SecretString;

/// Whether an object is of this project: every one of ours carries it.
const MANAGED_BY: (&str, &str) = ("managed-by", "mcp-platform");
const DEPLOYMENT: &str = "mcp-deploy.dev/deployment";
const TEMPLATE: &str = "mcp-deploy.dev/template";
const REVISION: &str = "mcp-deploy.dev/revision";
/// Where on the host it is published.
const ADDRESS: &str = "mcp-deploy.dev/address";
/// When the name was first deployed, and this container made.
const CREATED_AT: &str = "mcp-deploy.dev/created-at";
const UPDATED_AT: &str = "mcp-deploy.dev/updated-at";
/// The spec without the values of its secrets; those are in the container's environment.
const SPEC: &str = "mcp-deploy.dev/spec";
/// The name of a volume within its deployment; one that is anonymous has none.
const VOLUME: &str = "mcp-deploy.dev/volume";

pub(crate) type Labels = HashMap<String, String>;

/// What stands beside the spec in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) revision: u64,
    /// Where on the host it is published.
    pub(crate) address: SocketAddr,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// A container of ours, as its labels describe it.
#[derive(Debug, Clone)]
pub(crate) struct Ours {
    /// Without the values of its secrets where only a listing is known.
    pub(crate) spec: DeploymentSpec,
    pub(crate) placed: Placed,
}

impl Ours {
    /// Of an inspected container; `None` where it is not ours.
    pub(crate) fn of(container: &ContainerInspectResponse) -> Option<Self> {
        let config = container.config.as_ref()?;
        Self::read(config.labels.as_ref()?, config.env.as_deref())
    }

    /// Reads the labels; `None` where they are not ours. `environment` has the values of the secrets.
    pub(crate) fn read(labels: &Labels, environment: Option<&[String]>) -> Option<Self> {
        if !is_ours(labels) {
            return None;
        }
        let plain: serde_json::Value = serde_json::from_str(labels.get(SPEC)?).ok()?;
        let values: HashMap<&str, &str> =
            environment.into_iter().flatten().filter_map(|variable| variable.split_once('=')).collect();
        let value = |name: &str| SecretString::from(values.get(name).copied().unwrap_or_default());
        let secrets: BTreeMap<String, SecretString> =
            plain["secrets"].as_object()?.keys().map(|name| (name.clone(), value(name))).collect();
        Some(Self {
            spec: DeploymentSpec::from_parts(plain, secrets).ok()?,
            placed: Placed {
                revision: labels.get(REVISION)?.parse().ok()?,
                address: labels.get(ADDRESS)?.parse().ok()?,
                created_at: labels.get(CREATED_AT)?.parse().ok()?,
                updated_at: labels.get(UPDATED_AT)?.parse().ok()?,
            },
        })
    }
}

/// The labels of the network.
pub(crate) fn of_network() -> Labels {
    labels([])
}

/// The labels of a volume; one that an image declares has no name.
pub(crate) fn of_volume(deployment: &DeploymentName, volume: Option<&str>) -> Labels {
    let mut labels = labels([(DEPLOYMENT, deployment.to_string())]);
    labels.extend(volume.map(|volume| (VOLUME.to_owned(), volume.to_owned())));
    labels
}

/// The labels of a container that never runs.
pub(crate) fn of_tool(deployment: &DeploymentName) -> Labels {
    labels([(DEPLOYMENT, deployment.to_string())])
}

/// The labels of a container that runs a spec.
pub(crate) fn of_container(spec: &DeploymentSpec, placed: Placed) -> Result<Labels, serde_json::Error> {
    let Placed { revision, address, created_at, updated_at } = placed;
    Ok(labels([
        (DEPLOYMENT, spec.name.to_string()),
        (TEMPLATE, spec.template.id.to_string()),
        (REVISION, revision.to_string()),
        (ADDRESS, address.to_string()),
        (CREATED_AT, created_at.to_string()),
        (UPDATED_AT, updated_at.to_string()),
        (SPEC, serde_json::to_string(spec)?),
    ]))
}

fn labels<const N: usize>(more: [(&str, String); N]) -> Labels {
    let (key, value) = MANAGED_BY;
    let ours = [(key, value.to_owned())];
    ours.into_iter().chain(more).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Whether an object is one that we made.
pub(crate) fn is_ours(labels: &Labels) -> bool {
    let (key, value) = MANAGED_BY;
    labels.get(key).is_some_and(|found| found == value)
}

/// The deployment that an object of ours belongs to.
pub(crate) fn deployment(labels: &Labels) -> Option<DeploymentName> {
    labels.get(DEPLOYMENT).filter(|_| is_ours(labels))?.parse().ok()
}

/// Whether a volume has a name: then it outlives its containers.
pub(crate) fn is_named_volume(labels: &Labels) -> bool {
    labels.contains_key(VOLUME)
}

/// Where on the host a container of ours is published, stopped or not.
pub(crate) fn address(labels: &Labels) -> Option<SocketAddr> {
    labels.get(ADDRESS).filter(|_| is_ours(labels))?.parse().ok()
}

/// A filter of the daemon for what is ours and is selected.
pub(crate) fn filter(selector: &Selector) -> HashMap<&'static str, Vec<String>> {
    let Selector { name, template } = selector;
    let (key, value) = MANAGED_BY;
    let name = name.as_ref().map(|name| format!("{DEPLOYMENT}={name}"));
    let template = template.as_ref().map(|template| format!("{TEMPLATE}={template}"));
    let labels = [format!("{key}={value}")].into_iter().chain(name).chain(template).collect();
    HashMap::from([("label", labels)])
}
