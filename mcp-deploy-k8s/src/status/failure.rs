//! Why a deployment does not work, from what the platform tells of its pods.

use k8s_openapi::api::apps::v1::{Deployment as Live, DeploymentCondition};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Event, Pod};
use mcp_deploy_core::{Failure, FailureReason};

use super::{container, is_ready};
use crate::index::Index;

/// How many events a failure shows.
const SHOWN_EVENTS: usize = 6;
/// So often a kubelet has to fail to mount a volume before it is believed: the first tries of a healthy pod may
/// meet what it has not heard of yet.
const BELIEVED_MOUNTS: i32 = 3;

/// What is wrong, and whether waiting could mend it.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) failure: Failure,
    /// The platform has given up, or says the same again and again.
    pub(crate) is_sure: bool,
}

impl Verdict {
    fn sure(failure: Failure) -> Self {
        Self { failure, is_sure: true }
    }

    fn maybe(failure: Failure) -> Self {
        Self { failure, is_sure: false }
    }
}

/// What is wrong with a deployment, judged by its pods of the current template; a sure cause comes first.
pub(super) fn of(live: &Live, pods: &[&Pod], events: &Index<Event>) -> Option<Verdict> {
    let of_pods = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none() && !is_ready(pod))
        .filter_map(|pod| {
            let events = about(pod, events);
            let mut verdict = of_pod(pod, &events)?;
            verdict.failure = verdict.failure.events(words(&events));
            Some(verdict)
        });
    let causes = of_refused(live).into_iter().chain(of_pods).chain(of_evicted(pods)).chain(of_late(live));
    let mut causes: Vec<Verdict> = causes.collect();
    // When the deadline is over, what a pod says is why.
    let is_late = causes.len() > 1 && of_late(live).is_some();
    causes.sort_by_key(|verdict| !(verdict.is_sure || is_late));
    causes.into_iter().next().map(|verdict| Verdict { is_sure: verdict.is_sure || is_late, ..verdict })
}

/// Pods that may not be made.
fn of_refused(live: &Live) -> Option<Verdict> {
    let refused = condition(live, "ReplicaFailure", "True")?;
    Some(Verdict::sure(refusal(refused.message.as_deref().unwrap_or_default())))
}

/// A rollout whose deadline is over.
fn of_late(live: &Live) -> Option<Verdict> {
    let late = condition(live, "Progressing", "False")?;
    if late.reason.as_deref() != Some("ProgressDeadlineExceeded") {
        return None;
    }
    let message = late.message.as_deref().unwrap_or_default();
    let words = format!("the deadline is exceeded: {message}");
    Some(Verdict::sure(Failure::new(FailureReason::Unhealthy, words)))
}

/// What the platform has found of the Deployment as it is now.
fn condition<'a>(live: &'a Live, kind: &str, status: &str) -> Option<&'a DeploymentCondition> {
    let found = live.status.as_ref()?;
    if found.observed_generation < live.metadata.generation {
        return None;
    }
    found.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind && condition.status == status)
}

/// The failure of something that the platform's own rules refuse.
pub(crate) fn refusal(words: &str) -> Failure {
    if words.contains("exceeded quota") || words.contains("failed quota") {
        return Failure::new(FailureReason::Quota, words);
    }
    let failure = Failure::new(FailureReason::Admission, words);
    if words.contains("violates PodSecurity") {
        return failure.hint(
            "the namespace enforces a Pod Security Standard: take back what the template's `security` relaxes, or use \
             a namespace that allows it",
        );
    }
    failure.hint(
        "the cluster's own rules refuse it: change what the message names, or ask who keeps the cluster",
    )
}

/// Pods that the platform took away; it makes new ones, so one is no failure yet.
fn of_evicted(pods: &[&Pod]) -> Option<Verdict> {
    let evicted: Vec<&str> = pods
        .iter()
        .filter_map(|pod| {
            let status = pod.status.as_ref()?;
            let is_gone = status.phase.as_deref() == Some("Failed");
            let is_taken =
                matches!(status.reason.as_deref(), Some("Evicted" | "Preempting" | "DeadlineExceeded"));
            (is_gone && is_taken)
                .then(|| status.message.as_deref().unwrap_or("the platform took the pod away"))
        })
        .collect();
    let failure = Failure::new(FailureReason::Evicted, *evicted.first()?)
        .hint("raise the limits that the message names, or free resources on the machines");
    Some(Verdict { failure, is_sure: evicted.len() > 1 })
}

fn of_pod(pod: &Pod, events: &[&Event]) -> Option<Verdict> {
    if let Some(verdict) = unschedulable(pod, events) {
        return Some(verdict);
    }
    let container = container(pod)?;
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let message = waiting.message.as_deref().unwrap_or_default();
        return of_waiting(waiting.reason.as_deref().unwrap_or_default(), message, container, events);
    }
    let is_again = container.restart_count > 0;
    if let Some(terminated) = &state.terminated {
        return Some(Verdict { failure: of_end(terminated, events), is_sure: is_again });
    }
    if let Some(last) = container.last_state.as_ref().and_then(|last| last.terminated.as_ref()) {
        return Some(Verdict::maybe(of_end(last, events)));
    }
    Some(Verdict::maybe(Failure::new(FailureReason::Unhealthy, said(events, "Unhealthy")?)))
}

fn unschedulable(pod: &Pod, events: &[&Event]) -> Option<Verdict> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let refused = conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    let words = refused.message.clone().unwrap_or_default();
    if words.to_lowercase().contains("persistentvolumeclaim") {
        let reason = said(events, "ProvisioningFailed").or_else(|| said(events, "FailedBinding"));
        let is_sure = reason.is_some();
        let failure = Failure::new(FailureReason::Volume, reason.unwrap_or(words))
            .hint("check the volume's `storage_class`, `size` and `access_mode` in the template");
        return Some(Verdict { failure, is_sure });
    }
    // Somebody is bringing machines.
    let is_sure = said(events, "TriggeredScaleUp").is_none();
    Some(Verdict { failure: Failure::new(FailureReason::Unschedulable, words), is_sure })
}

fn of_waiting(
    reason: &str,
    message: &str,
    container: &ContainerStatus,
    events: &[&Event],
) -> Option<Verdict> {
    Some(match reason {
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => {
            // Of a pull that is tried again, only some kubelets say why it failed.
            let is_bare = !message.contains(": ");
            let words = said(events, "Failed").filter(|_| is_bare).unwrap_or_else(|| message.to_owned());
            let cause = FailureReason::of_pull(&words);
            let is_sure = reason == "ImagePullBackOff" || cause != FailureReason::ImagePull;
            Verdict { failure: Failure::new(cause, words), is_sure }
        }
        "InvalidImageName" => Verdict::sure(Failure::new(FailureReason::ImageInvalid, message)),
        "ErrImageNeverPull" => Verdict::sure(
            Failure::new(FailureReason::ImageNotFound, message)
                .hint("the pull policy is `never`: load the image onto the machines, or use `missing`"),
        ),
        "CreateContainerConfigError" => {
            Verdict { failure: config_error(message), is_sure: !message.contains("timed out") }
        }
        "CreateContainerError" | "RunContainerError" | "PostStartHookError" => {
            Verdict::sure(start_error(message))
        }
        "CrashLoopBackOff" => {
            let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
            Verdict::sure(
                last.map_or_else(
                    || Failure::new(FailureReason::CrashLoop, message),
                    |last| of_end(last, events),
                ),
            )
        }
        _ => return of_creating(events),
    })
}

/// A container that is not made yet: only events tell what holds it up.
fn of_creating(events: &[&Event]) -> Option<Verdict> {
    let mounts = events.iter().find(|event| {
        matches!(event.reason.as_deref(), Some("FailedMount" | "FailedAttachVolume" | "FailedMapVolume"))
    });
    if let Some(event) = mounts {
        let failure = Failure::new(FailureReason::Volume, event.message.clone().unwrap_or_default())
            .hint("check that the volume exists and that its machine can reach it");
        return Some(Verdict { failure, is_sure: event.count.unwrap_or(1) >= BELIEVED_MOUNTS });
    }
    let sandbox = said(events, "FailedCreatePodSandBox")?;
    Some(Verdict::maybe(Failure::new(FailureReason::ConfigError, sandbox)))
}

fn config_error(message: &str) -> Failure {
    let failure = Failure::new(FailureReason::ConfigError, message);
    if message.contains("runAsNonRoot") {
        return failure.hint("set `security: {run_as_user: ...}` in the template to a user id that is not 0");
    }
    failure.hint("deploy again; where that does not help, look at the objects with `kubectl describe`")
}

fn start_error(message: &str) -> Failure {
    let is_image = ["exec", "executable", "no such file", "permission denied", "format error"];
    let is_image = is_image.iter().any(|words| message.contains(words));
    if is_image { Failure::new(FailureReason::ImageInvalid, message) } else { config_error(message) }
}

fn of_end(ended: &ContainerStateTerminated, events: &[&Event]) -> Failure {
    let message = ended.message.clone().unwrap_or_default();
    match ended.reason.as_deref() {
        Some("OOMKilled") => {
            Failure::new(FailureReason::OutOfMemory, "the server used more memory than its limit")
                .exit_code(ended.exit_code)
        }
        Some("StartError" | "ContainerCannotRun") => start_error(&message).exit_code(ended.exit_code),
        _ => match said(events, "Unhealthy").filter(|_| is_killed(ended.exit_code)) {
            Some(words) => {
                Failure::new(FailureReason::Unhealthy, format!("the platform ended the server: {words}"))
                    .exit_code(ended.exit_code)
            }
            None => Failure::of_exit(ended.exit_code),
        },
    }
}

/// Whether a signal ended it, SIGKILL or SIGTERM.
fn is_killed(exit_code: i32) -> bool {
    matches!(exit_code, 137 | 143)
}

/// The events about a pod and the claims that it waits for, the latest last.
fn about<'a>(pod: &'a Pod, events: &'a Index<Event>) -> Vec<&'a Event> {
    let mut about: Vec<&Event> = told_of(pod).flat_map(|name| events.of(name)).collect();
    about.sort_by_key(|event| event.last_timestamp.as_ref().map(|at| at.0));
    about
}

/// The names by which events tell of a pod: its own, and those of the claims that it waits for.
pub(crate) fn told_of(pod: &Pod) -> impl Iterator<Item = &str> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
    let claims = volumes
        .into_iter()
        .flatten()
        .filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()));
    pod.metadata.name.as_deref().into_iter().chain(claims)
}

/// What the last event of a reason says.
fn said(events: &[&Event], reason: &str) -> Option<String> {
    let mut of_reason = events.iter().rev().filter(|event| event.reason.as_deref() == Some(reason));
    of_reason.find_map(|event| event.message.clone())
}

/// The events as lines, the latest last, each once.
fn words(events: &[&Event]) -> Vec<String> {
    let line = |event: &&Event| {
        format!(
            "{}: {}",
            event.reason.as_deref().unwrap_or_default(),
            event.message.as_deref().unwrap_or_default()
        )
    };
    let mut lines: Vec<String> = Vec::new();
    for line in events.iter().map(line) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.split_off(lines.len().saturating_sub(SHOWN_EVENTS))
}
