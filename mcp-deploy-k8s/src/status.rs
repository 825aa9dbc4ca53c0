//! What a cluster tells of a deployment, as a report: pure.

mod drift;
mod failure;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment as Live;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use mcp_deploy_core::{Deployment, Instance, Replicas, Status};

use self::drift::Change;
pub(crate) use self::failure::{refusal, told_of};
use crate::index::Index;
use crate::labels::{self, Ours};
use crate::names::BACKEND;
use crate::{manifest, time};

/// What is remembered of a Deployment.
pub(crate) type Slim = (Live, Vec<Change>);

/// A Deployment of ours as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) ours: Ours,
    pub(crate) drift: Vec<Change>,
    pub(crate) live: Live,
}

impl Observed {
    /// `None` where it is not ours.
    pub(crate) fn of(live: Live, ingress_host: Option<&str>) -> Option<Self> {
        let ours = Ours::of(&live)?;
        Some(Self { drift: drift::of(&ours, &live, ingress_host), ours, live })
    }

    /// What to remember of it: the Deployment without what the drift has been read out of, and the drift.
    pub(crate) fn slim(self) -> Slim {
        let Self { ours: _, drift, mut live } = self;
        live.metadata.managed_fields = None;
        if let Some(spec) = &mut live.spec {
            spec.template.spec = None;
        }
        (live, drift)
    }

    pub(crate) fn of_slim((live, drift): Slim) -> Option<Self> {
        Some(Self { ours: Ours::of(&live)?, drift, live })
    }
}

/// The report on a deployment, from its pods among those that are known, of whatever revision, and what the platform
/// says of them. It is ready when the platform's controller and the pods themselves agree.
pub(crate) fn report(
    observed: &Observed,
    pods: &Index<Pod>,
    events: &Index<Event>,
    ingress_host: Option<&str>,
) -> Deployment {
    let Observed { ours, drift, live } = observed;
    let desired = desired(live);
    let pods: Vec<&Pod> = pods.of(ours.spec.name.as_str()).collect();
    let (current, earlier): (Vec<&Pod>, Vec<&Pod>) =
        pods.iter().filter(|pod| is_active(pod)).partition(|pod| is_current(pod, live));
    let ready = current.iter().filter(|pod| is_ready(pod)).count();
    let is_complete =
        ready == desired && current.len() == desired && earlier.is_empty() && is_rolled_out(live, desired);
    let all_current: Vec<&Pod> = pods.iter().copied().filter(|pod| is_current(pod, live)).collect();
    let verdict = failure::of(live, &all_current, events);

    let status = if live.metadata.deletion_timestamp.is_some() {
        Status::Deleting
    } else if desired == 0 {
        Status::Stopped
    } else if is_complete {
        Status::Running
    } else if verdict.as_ref().is_some_and(|verdict| verdict.is_sure) && (ready == 0 || !earlier.is_empty()) {
        Status::Failed
    } else if ready > 0 && earlier.is_empty() {
        Status::Degraded
    } else if current.iter().any(|pod| is_scheduled(pod)) || !earlier.is_empty() {
        Status::Starting
    } else {
        Status::Pending
    };
    let created_at = created_at(live);
    let spec = &ours.spec;
    let mut instances: Vec<Instance> = current.iter().chain(&earlier).map(|pod| instance(pod)).collect();
    instances.sort_by(|one, other| one.id.cmp(&other.id));
    Deployment {
        status,
        ready: status == Status::Running,
        replicas: Replicas { desired: count(desired), ready: count(ready) },
        instances,
        endpoint: (desired > 0).then(|| endpoint(ours, live, ingress_host)),
        revision: ours.revision,
        updated_at: ours.updated_at.unwrap_or(created_at),
        drift: drift.iter().map(|change| change.pointer.clone()).collect(),
        failure: verdict.filter(|_| is_troubled(status)).map(|verdict| verdict.failure),
        ..Deployment::pending(spec, BACKEND, created_at)
    }
}

pub(crate) fn created_at(live: &Live) -> Timestamp {
    live.metadata.creation_timestamp.as_ref().map(time::read).unwrap_or_default()
}

/// Whether there may be more to say of it than its objects do: then its events are worth a question.
pub(crate) fn is_troubled(status: Status) -> bool {
    matches!(status, Status::Pending | Status::Starting | Status::Degraded | Status::Failed)
}

fn endpoint(ours: &Ours, live: &Live, ingress_host: Option<&str>) -> String {
    let namespace = live.metadata.namespace.as_deref().unwrap_or_default();
    let inside =
        || format!("http://{}{}", manifest::host(&ours.spec.name, namespace), ours.spec.transport.path);
    manifest::external_url(&ours.spec, ingress_host).unwrap_or_else(inside)
}

/// Whether all pods are of the template as it is now, as far as the Deployment's controller has seen: the labels
/// of pods do not tell those apart that somebody else's edit has made.
fn is_rolled_out(live: &Live, desired: usize) -> bool {
    let Some(status) = &live.status else { return false };
    let desired = i32::try_from(desired).unwrap_or(i32::MAX);
    status.observed_generation >= live.metadata.generation
        && [status.replicas, status.updated_replicas, status.available_replicas]
            .into_iter()
            .all(|count| count.unwrap_or_default() == desired)
}

/// How many instances are wanted; an absent number is 1.
pub(crate) fn desired(live: &Live) -> usize {
    let replicas = live.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    usize::try_from(replicas).unwrap_or_default()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Whether a pod is made from the template as it is now.
pub(crate) fn is_current(pod: &Pod, live: &Live) -> bool {
    let template = live.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let Some(template) = template else { return false };
    let hash = |labels: &Option<labels::Map>| labels.as_ref()?.get(labels::POD_HASH).cloned();
    hash(&pod.metadata.labels) == hash(&template.labels)
        && labels::annotation(&pod.metadata, labels::RESTARTED_AT)
            == labels::annotation(template, labels::RESTARTED_AT)
}

/// Whether a pod is there to stay: neither on its way out nor at its end.
pub(crate) fn is_active(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Failed" | "Succeeded"))
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    has_condition(pod, "Ready", "True")
}

fn is_scheduled(pod: &Pod) -> bool {
    has_condition(pod, "PodScheduled", "True")
}

fn has_condition(pod: &Pod, kind: &str, status: &str) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == kind && condition.status == status)
}

/// The server's container in a pod, once the kubelet tells of it.
fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == manifest::CONTAINER)
}

fn instance(pod: &Pod) -> Instance {
    let container = container(pod);
    let running = container.and_then(|container| container.state.as_ref()?.running.as_ref());
    let started_at = running.and_then(|running| running.started_at.as_ref().map(time::read));
    let restarts = container.and_then(|container| u32::try_from(container.restart_count).ok());
    Instance {
        id: pod.metadata.name.clone().unwrap_or_default(),
        started_at,
        ready: is_ready(pod),
        restarts: Some(restarts.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
