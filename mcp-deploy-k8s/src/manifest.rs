//! From a spec to the objects that run it: pure.

mod container;
mod network;
mod pod;
mod scaling;
mod storage;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec as PodDeployment};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use mcp_deploy_core::{DeploymentSpec, Violations};

pub(crate) use self::container::{CONTAINER, config_map_of};
pub(crate) use self::network::{external_url, host};
use crate::labels;
use crate::names;

/// How many ReplicaSets of earlier revisions stay, as many as there are revisions.
pub(crate) const KEPT_REVISIONS: u32 = 10;
/// After so many seconds without progress the platform itself calls a rollout failed.
const PROGRESS_DEADLINE_SECONDS: i32 = 600;

/// What stands beside the spec in the objects of a deployment.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) namespace: String,
    pub(crate) revision: u64,
    /// How many instances just now; the spec says how many were deployed.
    pub(crate) replicas: u32,
    /// When this revision was deployed.
    pub(crate) deployed_at: Option<Timestamp>,
    /// When the spec was changed last, or its size.
    pub(crate) updated_at: Option<Timestamp>,
    /// When all instances of this revision were replaced last.
    pub(crate) restarted_at: Option<String>,
    /// The name of the Secret; `None` where there are no secrets.
    pub(crate) secret: Option<String>,
    /// The uid of the Deployment, which owns all else but claims; `None` before it is there.
    pub(crate) owner: Option<String>,
    /// The domain below which deployments are exposed.
    pub(crate) ingress_host: Option<String>,
}

impl Placed {
    pub(crate) fn owned_by(&self, deployment: &ObjectMeta) -> Self {
        Self { owner: deployment.uid.clone(), ..self.clone() }
    }
}

/// The objects of a deployment.
#[derive(Debug, Clone)]
pub(crate) struct Manifests {
    pub(crate) deployment: Deployment,
    pub(crate) config_map: ConfigMap,
    pub(crate) secret: Option<Secret>,
    pub(crate) service: Service,
    pub(crate) network_policy: NetworkPolicy,
    pub(crate) ingress: Option<Ingress>,
    pub(crate) autoscaler: Option<HorizontalPodAutoscaler>,
    pub(crate) disruption_budget: Option<PodDisruptionBudget>,
    pub(crate) claims: Vec<PersistentVolumeClaim>,
}

/// The objects of a spec.
///
/// # Errors
///
/// Every part of the spec that this platform cannot read, with a pointer into the spec.
pub(crate) fn render(spec: &DeploymentSpec, placed: &Placed) -> Result<Manifests, Violations> {
    let mut violations = Violations::default();
    let config_map = config_map(spec, placed);
    let config_name = config_map.metadata.name.as_deref().unwrap_or_default();
    let pod = pod::template(spec, placed, config_name, &mut violations);
    let network_policy = network::policy(spec, placed, &mut violations);
    let ingress = network::ingress(spec, placed, &mut violations);
    let manifests = Manifests {
        deployment: Deployment {
            metadata: ObjectMeta { annotations: Some(annotations(spec, placed)), ..metadata(spec, placed) },
            spec: Some(PodDeployment {
                replicas: scaling::replicas(spec, placed),
                selector: LabelSelector {
                    match_labels: Some(labels::of_pods(&spec.name)),
                    ..LabelSelector::default()
                },
                strategy: Some(storage::strategy(spec)),
                revision_history_limit: i32::try_from(KEPT_REVISIONS).ok(),
                progress_deadline_seconds: Some(PROGRESS_DEADLINE_SECONDS),
                template: pod,
                ..PodDeployment::default()
            }),
            ..Deployment::default()
        },
        secret: secret(spec, placed),
        service: network::service(spec, placed),
        network_policy,
        ingress,
        autoscaler: scaling::autoscaler(spec, placed),
        disruption_budget: scaling::disruption_budget(spec, placed),
        claims: storage::claims(spec, placed),
        config_map,
    };
    violations.into_result(manifests)
}

/// The namespace of all deployments, where it is ours to make.
pub(crate) fn namespace(name: &str) -> Namespace {
    Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels::of_platform()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

fn annotations(spec: &DeploymentSpec, placed: &Placed) -> labels::Map {
    let plain = serde_json::to_string(spec).expect("a spec is a JSON object");
    let mut annotations =
        labels::map([(labels::SPEC, &plain), (labels::REVISION, &placed.revision.to_string())]);
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let some = [
        (labels::DEPLOYED_AT, at(placed.deployed_at)),
        (labels::UPDATED_AT, at(placed.updated_at)),
        (labels::SECRET, placed.secret.clone()),
    ];
    annotations.extend(some.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    annotations
}

/// What every object has; its name is the deployment's.
fn metadata(spec: &DeploymentSpec, placed: &Placed) -> ObjectMeta {
    ObjectMeta {
        name: Some(spec.name.to_string()),
        namespace: Some(placed.namespace.clone()),
        labels: Some(labels::of(spec)),
        ..ObjectMeta::default()
    }
}

/// The same of an object that goes with the Deployment.
pub(crate) fn owned(spec: &DeploymentSpec, placed: &Placed) -> ObjectMeta {
    let owner = placed.owner.as_ref().map(|uid| OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: spec.name.to_string(),
        uid: uid.clone(),
        ..OwnerReference::default()
    });
    ObjectMeta { owner_references: owner.map(|owner| vec![owner]), ..metadata(spec, placed) }
}

/// The plain variables. A changed one is another ConfigMap, so that the pods follow and an earlier revision stays
/// whole.
fn config_map(spec: &DeploymentSpec, placed: &Placed) -> ConfigMap {
    let mut data = spec.env.clone();
    if !spec.secrets.names().any(|name| name == "HOME") {
        data.entry("HOME".to_owned()).or_insert_with(|| "/tmp".to_owned());
    }
    let name = names::hashed(&spec.name, &serde_json::to_vec(&data).expect("a map of texts is JSON"));
    ConfigMap {
        metadata: ObjectMeta { name: Some(name), ..owned(spec, placed) },
        data: Some(data),
        immutable: Some(true),
        ..ConfigMap::default()
    }
}

/// The secret variables. Its name says nothing of them.
fn secret(spec: &DeploymentSpec, placed: &Placed) -> Option<Secret> {
    let name = placed.secret.clone()?;
    let bytes = |(name, value): (&str, &str)| (name.to_owned(), ByteString(value.as_bytes().to_vec()));
    Some(Secret {
        metadata: ObjectMeta { name: Some(name), ..owned(spec, placed) },
        data: Some(spec.secrets.expose().map(bytes).collect()),
        immutable: Some(true),
        ..Secret::default()
    })
}

#[cfg(test)]
mod tests;
