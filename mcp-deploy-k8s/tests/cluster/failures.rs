//! Failures, each produced for real, and what is told of them.

use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use mcp_deploy_core::{DeploymentBackend, DeploymentName, Error, Failure, FailureReason, Status};
use serde_json::json;

use crate::fixture::Cluster;
use crate::site::spec;

fn pods(cluster: &Cluster) -> Api<Pod> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

fn of(name: &DeploymentName) -> ListParams {
    ListParams::default().labels(&format!("mcp-deploy.dev/deployment={name}"))
}

pub(crate) async fn what_a_container_cannot_be_made_of_is_a_config_error(cluster: &Cluster) {
    let spec = spec("well", json!({}));
    cluster.deploy(&spec).await.unwrap();
    let from = json!({"configMapKeyRef": {"name": "no-such-map", "key": "none"}});
    let edit = json!({"spec": {"template": {"spec": {"containers": [{
        "name": "mcp-server", "env": [{"name": "ADDED", "valueFrom": from}],
    }]}}}});
    let edit = Patch::Strategic(edit);
    cluster.deployments().patch(spec.name.as_str(), &PatchParams::default(), &edit).await.unwrap();
    let told = cluster.until(&spec.name, |deployment| deployment.failure.is_some()).await;
    // What was deployed still serves beside it.
    assert_eq!((told.status, told.replicas.ready), (Status::Degraded, 1));
    let failure = told.failure.unwrap();
    assert_eq!(failure.reason, FailureReason::ConfigError);
    assert!(failure.message.contains("not found") && failure.hint.is_some(), "{failure:?}");
    // What the hint says mends it.
    assert!(cluster.deploy(&spec).await.unwrap().ready);
    cluster.remove_all(&spec.name).await;
}

pub(crate) async fn a_command_that_is_not_there_is_an_invalid_image(cluster: &Cluster) {
    let spec = spec("well", json!({"command": ["/no/such/program"]}));
    let failure = cluster.failure(&spec).await;
    assert_eq!(failure.reason, FailureReason::ImageInvalid);
    assert!(failure.message.contains("/no/such/program"), "{failure:?}");
    cluster.remove_all(&spec.name).await;
}

pub(crate) async fn a_server_that_answers_the_tunnel_and_not_its_service_is_told(cluster: &Cluster) {
    let spec = spec("local-only", json!({}));
    let failure = cluster.failure(&spec).await;
    assert_eq!(failure.reason, FailureReason::HostRejected);
    let host = format!("{}.{}.svc", spec.name, cluster.namespace);
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains(&host)), "{failure:?}");
    cluster.remove_all(&spec.name).await;
}

pub(crate) async fn a_server_that_uses_too_much_memory_is_out_of_memory(cluster: &Cluster) {
    let spec = spec("explore", json!({"resources": {"limits": {"memory": "32Mi"}}}));
    cluster.deploy(&spec).await.unwrap();
    for _ in 0..10 {
        let _ = cluster.call(&spec.name, "allocate", json!({"megabytes": 200})).await;
        let settled = |deployment: &mcp_deploy_core::Deployment| {
            deployment.status == Status::Failed
                || (deployment.ready && deployment.instances[0].restarts > Some(0))
        };
        if cluster.until(&spec.name, settled).await.status == Status::Failed {
            break;
        }
    }
    let failure = cluster.failed(&spec.name).await;
    assert_eq!((failure.reason, failure.exit_code), (FailureReason::OutOfMemory, Some(137)), "{failure:?}");
    cluster.remove_all(&spec.name).await;
}

pub(crate) async fn a_server_that_is_never_ready_says_why(cluster: &Cluster) {
    let spec = spec("well", json!({"health": {"readiness": "/nowhere", "interval": "1s"}}));
    let deployed = cluster.backend.deploy(&spec, mcp_deploy_core::DeployOptions::default()).await.unwrap();
    assert!(!deployed.ready);
    let told = cluster.until(&spec.name, |deployment| deployment.failure.is_some()).await;
    let failure = told.failure.unwrap();
    assert_eq!((told.status, failure.reason), (Status::Starting, FailureReason::Unhealthy));
    assert!(failure.message.contains("404"), "{failure:?}");
    let patience = std::time::Duration::from_secs(3);
    let error = cluster.manager().wait(None, &spec.name, patience).await.unwrap_err();
    assert!(
        matches!(&error, Error::Timeout { last_seen: Some(seen), .. } if seen.contains("404")),
        "{error:?}"
    );
    cluster.remove_all(&spec.name).await;
}

pub(crate) async fn a_deadline_that_is_over_is_a_failure(cluster: &Cluster) {
    let spec = spec("well", json!({"health": {"readiness": "/nowhere", "interval": "1s"}}));
    cluster.backend.deploy(&spec, mcp_deploy_core::DeployOptions::default()).await.unwrap();
    let deadline = Patch::Merge(json!({"spec": {"progressDeadlineSeconds": 3}}));
    cluster.deployments().patch(spec.name.as_str(), &PatchParams::default(), &deadline).await.unwrap();
    let failure = cluster.failed(&spec.name).await;
    assert_eq!(failure.reason, FailureReason::Unhealthy);
    assert!(failure.message.contains("404"), "{failure:?}");
    cluster.remove_all(&spec.name).await;
}

pub(crate) async fn a_pod_that_fits_nowhere_has_the_schedulers_words(cluster: &Cluster) {
    let spec = spec("well", json!({"placement": {"node_selector": {"no-such": "label"}}}));
    let failure = cluster.failure(&spec).await;
    assert_eq!(failure.reason, FailureReason::Unschedulable);
    assert!(failure.message.contains("nodes are available"), "{failure:?}");
    // The scheduler writes its event after the condition that makes the failure sure.
    let has_event =
        |failure: &Failure| failure.events.iter().any(|event| event.starts_with("FailedScheduling"));
    cluster.until(&spec.name, |deployment| deployment.failure.as_ref().is_some_and(has_event)).await;
    cluster.remove_all(&spec.name).await;
}

pub(crate) async fn a_quota_that_is_used_up_is_named(cluster: &Cluster) {
    let poor = cluster.namespace("mcp-deploy-e2e-quota", json!({})).await;
    let quotas: Api<ResourceQuota> = Api::namespaced(poor.client.clone(), &poor.namespace);
    let quota = json!({"metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}});
    let _ = quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await;
    while quotas.get("no-pods").await.unwrap().status.is_none_or(|status| status.hard.is_none()) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let spec = spec("well", json!({}));
    let failure = poor.failure(&spec).await;
    assert_eq!(failure.reason, FailureReason::Quota);
    assert!(failure.message.contains("no-pods"), "{failure:?}");
    poor.remove_all(&spec.name).await;
    poor.remove_namespace().await;
}

pub(crate) async fn what_the_namespace_does_not_admit_is_told(cluster: &Cluster) {
    let strict = cluster
        .namespace("mcp-deploy-e2e-strict", json!({"pod-security.kubernetes.io/enforce": "restricted"}))
        .await;
    let spec = spec("well", json!({"security": {"run_as_user": 0}}));
    let failure = strict.failure(&spec).await;
    assert_eq!(failure.reason, FailureReason::Admission);
    let hint = failure.hint.unwrap_or_default();
    assert!(
        failure.message.contains("PodSecurity") && hint.contains("security"),
        "{} {hint}",
        failure.message
    );
    strict.remove_all(&spec.name).await;
    strict.remove_namespace().await;
}

pub(crate) async fn a_volume_that_nobody_provides_is_told(cluster: &Cluster) {
    let volume = json!({"name": "data", "path": "/data", "storage_class": "no-such-class"});
    let spec = spec("well", json!({"volumes": [volume]}));
    let failure = cluster.failure(&spec).await;
    assert_eq!(failure.reason, FailureReason::Volume);
    assert!(failure.message.contains("no-such-class"), "{failure:?}");
    cluster.remove_all(&spec.name).await;
}

/// The kubelet takes pods away under pressure that no test should make; what it writes then is written here.
pub(crate) async fn a_pod_that_was_taken_away_again_and_again_is_evicted(cluster: &Cluster) {
    let spec = spec("well", json!({"placement": {"node_selector": {"no-such": "label"}}}));
    cluster.backend.deploy(&spec, mcp_deploy_core::DeployOptions::default()).await.unwrap();
    let message = "The node was low on resource: memory.";
    let evicted = json!({"status": {"phase": "Failed", "reason": "Evicted", "message": message}});
    let is_active =
        |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Failed");
    for _ in 0..2 {
        let pod = loop {
            let found = pods(cluster).list(&of(&spec.name)).await.unwrap();
            match found.iter().find(|pod| is_active(pod)) {
                Some(pod) => break pod.name_any(),
                None => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        };
        pods(cluster).patch_status(&pod, &PatchParams::default(), &Patch::Merge(&evicted)).await.unwrap();
    }
    let failure = cluster.failed(&spec.name).await;
    assert!(matches!(failure.reason, FailureReason::Evicted | FailureReason::Unschedulable), "{failure:?}");
    cluster.remove_all(&spec.name).await;
}
