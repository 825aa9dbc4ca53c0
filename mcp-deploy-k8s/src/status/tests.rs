//! What is told of a deployment in each state that a cluster can show it in.

use jiff::Timestamp;
use mcp_deploy_core::{DeploymentSpec, FailureReason, Request, Template, resolve};
use serde_json::{Value, json};

use super::*;
use crate::manifest::{Placed, render};

fn spec() -> DeploymentSpec {
    let template =
        "{id: plain, name: Plain, description: Plain., version: '1', volumes: [{name: d, path: /d}]}";
    let template = Template::parse(template, "it", None).unwrap();
    resolve(&template, &Request::default().name("plain-one").env("A_TOKEN", "x"), "ghcr.io/team").unwrap()
}

/// The Deployment as the API server has it, with so many instances wanted and there.
fn live(desired: u32, there: u32) -> Live {
    let spec = spec();
    let placed = Placed {
        namespace: "mcp-servers".to_owned(),
        revision: 3,
        replicas: desired,
        deployed_at: Some(Timestamp::UNIX_EPOCH),
        updated_at: Some(Timestamp::UNIX_EPOCH),
        restarted_at: None,
        secret: Some("plain-one-random".to_owned()),
        owner: None,
        ingress_host: None,
    };
    let mut live = serde_json::to_value(render(&spec, &placed).unwrap().deployment).unwrap();
    live["metadata"]["generation"] = 1.into();
    live["status"] = json!({
        "observedGeneration": 1, "replicas": there, "updatedReplicas": there, "availableReplicas": there,
    });
    serde_json::from_value(live).unwrap()
}

/// A pod of the Deployment with a status.
fn pod(live: &Live, status: Value) -> Pod {
    let template = live.spec.as_ref().unwrap().template.clone();
    let mut pod = serde_json::to_value(template).unwrap();
    pod["metadata"]["name"] = "plain-one-x".into();
    pod["status"] = status;
    serde_json::from_value(pod).unwrap()
}

fn event(about: &str, reason: &str, message: &str, count: i32) -> Event {
    serde_json::from_value(json!({
        "metadata": {"name": reason}, "involvedObject": {"name": about}, "reason": reason, "message": message, "count": count,
    }))
    .unwrap()
}

fn told_of(live: Live, pods: &[Pod], events: &[Event]) -> Deployment {
    let observed = Observed::of(live, None).unwrap();
    report(&observed, &pods.iter().cloned().collect(), &events.iter().cloned().collect(), None)
}

/// What is told of one pod whose container is so.
fn told(container: Value, events: &[Event]) -> Deployment {
    let live = live(1, 1);
    let mut container = container;
    container["name"] = "mcp-server".into();
    for (field, value) in [("image", json!("")), ("imageID", json!("")), ("ready", json!(false))] {
        container[field] = container.get(field).cloned().unwrap_or(value);
    }
    container["restartCount"] = container.get("restartCount").cloned().unwrap_or(json!(0));
    let scheduled = json!({"type": "PodScheduled", "status": "True"});
    let pod =
        pod(&live, json!({"phase": "Pending", "conditions": [scheduled], "containerStatuses": [container]}));
    told_of(live, &[pod], events)
}

/// How it stands, and why.
fn why(deployment: &Deployment) -> (Status, Option<FailureReason>) {
    (deployment.status, deployment.failure.as_ref().map(|failure| failure.reason))
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"state": {"waiting": {"reason": reason, "message": message}}})
}

fn ready_pod(live: &Live) -> Pod {
    pod(live, json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}))
}

#[test]
fn a_deployment_runs_when_its_pods_and_their_controller_agree() {
    let live = live(1, 1);
    let running = told_of(live.clone(), &[ready_pod(&live)], &[]);
    assert_eq!((running.status, running.ready, running.revision), (Status::Running, true, 3));
    assert_eq!(running.endpoint.as_deref(), Some("http://plain-one.mcp-servers.svc/mcp"));
    assert_eq!((running.drift, running.failure), (Vec::new(), None));

    let mut behind = live.clone();
    behind.metadata.generation = Some(2);
    assert_eq!(told_of(behind, &[ready_pod(&live)], &[]).status, Status::Degraded);
}

#[test]
fn an_earlier_pod_that_still_serves_is_not_the_new_one() {
    let live = live(1, 2);
    let mut earlier = ready_pod(&live);
    earlier.metadata.labels.as_mut().unwrap().insert(labels::POD_HASH.to_owned(), "other".to_owned());
    let told = told_of(live, &[earlier], &[]);
    assert_eq!((told.status, told.ready, told.replicas.ready), (Status::Starting, false, 0));
    assert!(told.instances[0].ready);
}

#[test]
fn nothing_wanted_is_stopped_and_nothing_there_is_pending() {
    let stopped = told_of(live(0, 0), &[], &[]);
    assert_eq!((stopped.status, stopped.endpoint), (Status::Stopped, None));
    assert_eq!(told_of(live(1, 0), &[], &[]).status, Status::Pending);
    let three = live(3, 1);
    assert_eq!(told_of(three.clone(), &[ready_pod(&three)], &[]).status, Status::Degraded);
}

#[test]
fn an_image_that_cannot_be_had_says_how() {
    let pull = |reason: &str, message: &str| why(&told(waiting(reason, message), &[]));
    let words = "failed to pull and unpack image \"r/x:9\": r/x:9: not found";
    assert_eq!(pull("ErrImagePull", words), (Status::Failed, Some(FailureReason::ImageTagNotFound)));
    // What may pass is tried once more.
    let refused = "dial tcp 127.0.0.1:1: connect: connection refused";
    assert_eq!(pull("ErrImagePull", refused), (Status::Starting, Some(FailureReason::ImagePull)));
    assert_eq!(pull("ImagePullBackOff", refused), (Status::Failed, Some(FailureReason::ImagePull)));
    assert_eq!(pull("InvalidImageName", "").1, Some(FailureReason::ImageInvalid));
    assert_eq!(pull("ErrImageNeverPull", "").1, Some(FailureReason::ImageNotFound));
    // A kubelet that does not say why has said it in an event.
    let event = event("plain-one-x", "Failed", "Failed to pull image: denied: no access", 1);
    let told = told(waiting("ImagePullBackOff", "Back-off pulling image \"r/x:9\""), &[event]);
    assert_eq!(why(&told), (Status::Failed, Some(FailureReason::ImageDenied)));
}

#[test]
fn an_end_is_sure_when_it_comes_again() {
    let ended = |code: i32, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason}});
    let again = |code, reason| {
        json!({
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            "lastState": ended(code, reason), "restartCount": 2,
        })
    };
    let first = told(json!({"state": ended(1, "Error")}), &[]);
    assert_eq!(why(&first), (Status::Starting, Some(FailureReason::CrashLoop)));
    let crash = told(again(3, "Error"), &[]);
    assert_eq!(why(&crash), (Status::Failed, Some(FailureReason::CrashLoop)));
    assert_eq!(crash.failure.unwrap().exit_code, Some(3));
    assert_eq!(why(&told(again(0, "Completed"), &[])).1, Some(FailureReason::StdioImage));
    assert_eq!(why(&told(again(137, "OOMKilled"), &[])).1, Some(FailureReason::OutOfMemory));
    // Ended by the platform, because its own check said no.
    let unhealthy = event("plain-one-x", "Unhealthy", "Liveness probe failed: 500", 3);
    let told = told(again(137, "Error"), &[unhealthy]);
    assert_eq!(why(&told), (Status::Failed, Some(FailureReason::Unhealthy)));
    assert_eq!(told.failure.unwrap().events, ["Unhealthy: Liveness probe failed: 500"]);
}

#[test]
fn what_a_container_cannot_be_made_of_is_told() {
    let config = told(waiting("CreateContainerConfigError", "secret \"x\" not found"), &[]);
    assert_eq!(why(&config), (Status::Failed, Some(FailureReason::ConfigError)));
    let root = "container has runAsNonRoot and image will run as root";
    let root = told(waiting("CreateContainerConfigError", root), &[]).failure.unwrap();
    assert!(root.hint.unwrap().contains("run_as_user"));
    let exec = "exec: \"/nope\": stat /nope: no such file or directory";
    assert_eq!(why(&told(waiting("RunContainerError", exec), &[])).1, Some(FailureReason::ImageInvalid));
}

#[test]
fn a_mount_that_fails_is_believed_the_third_time() {
    let mount = |count| {
        let event = event("plain-one-x", "FailedMount", "no such volume", count);
        why(&told(waiting("ContainerCreating", ""), &[event]))
    };
    assert_eq!(mount(1), (Status::Starting, Some(FailureReason::Volume)));
    assert_eq!(mount(3), (Status::Failed, Some(FailureReason::Volume)));
}

/// What is told of a pod that the scheduler refuses with these words.
fn unschedulable(words: &str, events: &[Event]) -> (Status, Option<FailureReason>) {
    let live = live(1, 1);
    let condition =
        json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words});
    let pod = pod(&live, json!({"phase": "Pending", "conditions": [condition]}));
    why(&told_of(live, &[pod], events))
}

#[test]
fn a_pod_that_fits_nowhere_waits_only_for_machines_that_come() {
    let words = "0/1 nodes are available: 1 Insufficient memory.";
    assert_eq!(unschedulable(words, &[]), (Status::Failed, Some(FailureReason::Unschedulable)));
    let coming = event("plain-one-x", "TriggeredScaleUp", "pod triggered scale-up", 1);
    assert_eq!(unschedulable(words, &[coming]), (Status::Pending, Some(FailureReason::Unschedulable)));
}

#[test]
fn a_claim_is_waited_for_until_somebody_refuses_it() {
    let words = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    assert_eq!(unschedulable(words, &[]), (Status::Pending, Some(FailureReason::Volume)));
    let refused = event("plain-one-d", "ProvisioningFailed", "storageclass \"x\" not found", 1);
    assert_eq!(unschedulable(words, &[refused]), (Status::Failed, Some(FailureReason::Volume)));
}

/// What is told of a Deployment without pods, with a condition.
fn conditioned(condition: &Value) -> (Status, Option<FailureReason>) {
    let mut live = serde_json::to_value(live(1, 0)).unwrap();
    live["status"]["conditions"] = json!([condition]);
    why(&told_of(serde_json::from_value(live).unwrap(), &[], &[]))
}

#[test]
fn what_the_platforms_rules_refuse_is_a_failure_of_its_kind() {
    let refused = |message: &str| {
        conditioned(
            &json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}),
        )
    };
    let quota = refused("pods \"x\" is forbidden: exceeded quota: q, requested: pods=1");
    assert_eq!(quota, (Status::Failed, Some(FailureReason::Quota)));
    let standard = refused("pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"");
    assert_eq!(standard, (Status::Failed, Some(FailureReason::Admission)));
    let late = json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"});
    assert_eq!(conditioned(&late), (Status::Failed, Some(FailureReason::Unhealthy)));
}

#[test]
fn a_pod_that_was_taken_away_twice_is_evicted() {
    let live = live(1, 0);
    let gone = |name: &str| {
        let message = "The node was low on resource: memory.";
        let mut gone = pod(&live, json!({"phase": "Failed", "reason": "Evicted", "message": message}));
        gone.metadata.name = Some(name.to_owned());
        gone
    };
    let evicted = Some(FailureReason::Evicted);
    assert_eq!(why(&told_of(live.clone(), &[gone("one")], &[])), (Status::Pending, evicted));
    assert_eq!(why(&told_of(live.clone(), &[gone("one"), gone("two")], &[])), (Status::Failed, evicted));
}

#[test]
fn what_somebody_has_changed_is_told_by_its_place() {
    let mut edited = serde_json::to_value(live(1, 1)).unwrap();
    let container = &mut edited["spec"]["template"]["spec"]["containers"][0];
    container["image"] = "other:1".into();
    container["env"] = json!([{"name": "ADDED", "value": "x"}]);
    container["envFrom"].as_array_mut().unwrap().remove(0);
    container["terminationMessagePath"] = "/dev/termination-log".into();
    edited["spec"]["replicas"] = 5.into();
    edited["spec"]["template"]["spec"]["volumes"].as_array_mut().unwrap().push(json!({"name": "theirs"}));
    let observed = Observed::of(serde_json::from_value(edited).unwrap(), None).unwrap();
    let places: Vec<(&str, bool)> =
        observed.drift.iter().map(|change| (change.pointer.as_str(), change.is_added)).collect();
    let container = "/spec/template/spec/containers/0";
    let expected = [
        (format!("{container}/env"), true),
        (format!("{container}/envFrom"), false),
        (format!("{container}/image"), false),
        ("/spec/template/spec/volumes/2".to_owned(), true),
    ];
    let expected: Vec<(&str, bool)> =
        expected.iter().map(|(place, is_added)| (place.as_str(), *is_added)).collect();
    assert_eq!(places, expected);
}
