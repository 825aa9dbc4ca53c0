//! The objects of a deployment, as the API server and kubectl see them.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use mcp_deploy_core::conformance::Fixture;
use mcp_deploy_core::{DeployOptions, DeploymentBackend, Error, Request};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::fixture::Cluster;
use crate::real;
use crate::site::{PATIENCE, new_name, resolved, spec};

/// All that a spec may ask for of a cluster.
fn everything() -> Value {
    json!({
        "replicas": 2,
        "stateless": false,
        "autoscaling": {"min_replicas": 2, "max_replicas": 3},
        "exposure": {"class": "none", "tls_secret": "none"},
        "network": {"allow": [{"cidr": "10.0.0.0/8", "ports": [443]}, {"namespace": "default"}]},
        "placement": {"tolerations": [{"key": "spare", "operator": "Exists"}]},
        "volumes": [{"name": "data", "path": "/data", "access_mode": "ReadWriteMany", "size": "64Mi"}],
        "health": {"interval": "2s"},
    })
}

pub(crate) async fn a_namespace_that_enforces_restricted_takes_all_that_is_made(cluster: &Cluster) {
    let restricted = cluster
        .namespace("mcp-deploy-e2e-restricted", json!({"pod-security.kubernetes.io/enforce": "restricted"}))
        .await;
    let plain = spec("well", json!({}));
    restricted.deploy(&plain).await.unwrap();
    restricted.remove_all(&plain.name).await;
    let full = spec("well", everything());
    restricted.backend.deploy(&full, DeployOptions::default()).await.unwrap();
    let kinds =
        ["ingress", "horizontalpodautoscaler", "poddisruptionbudget", "networkpolicy", "volume", "pod"];
    let all_there = async {
        loop {
            let objects = restricted.objects(&full.name).await.unwrap();
            let is_there = |kind: &&str| objects.iter().any(|object| object.starts_with(&format!("{kind}/")));
            if kinds.iter().all(is_there) {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, all_there).await.expect("all objects are made");
    restricted.remove_all(&full.name).await;
    restricted.remove_namespace().await;
}

pub(crate) async fn what_the_spec_no_longer_asks_for_is_removed(cluster: &Cluster) {
    let full = spec(
        "well",
        json!({
            "replicas": 2, "autoscaling": {"min_replicas": 2, "max_replicas": 3},
            "exposure": {"class": "none", "tls_secret": "none"},
        }),
    );
    cluster.deploy(&full).await.unwrap();
    let less = resolved("well", json!({}), &Request::default().name(full.name.as_str()));
    let deployment = cluster.deploy(&less).await.unwrap();
    assert_eq!((deployment.replicas.desired, deployment.revision), (1, 2));
    let objects = cluster.objects(&full.name).await.unwrap();
    for kind in ["ingress", "horizontalpodautoscaler", "poddisruptionbudget"] {
        assert!(!objects.iter().any(|object| object.starts_with(kind)), "{objects:?}");
    }
    cluster.remove_all(&full.name).await;
}

fn kubectl(cluster: &Cluster, arguments: &[&str], input: &str) -> String {
    let mut kubectl = Command::new("kubectl");
    kubectl.arg("--kubeconfig").arg(real::kubeconfig().unwrap()).args(["--namespace", &cluster.namespace]);
    let mut kubectl = kubectl.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    kubectl.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = kubectl.wait_with_output().unwrap();
    assert!(output.status.success(), "kubectl {arguments:?} ended with {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) async fn kubectl_finds_a_deployment_by_its_name_and_label(cluster: &Cluster) {
    let spec = spec("well", json!({}));
    cluster.deploy(&spec).await.unwrap();
    let name = format!("deployment/{}", spec.name);
    assert!(kubectl(cluster, &["logs", &name], "").contains("listening on"));
    let listed = kubectl(cluster, &["get", "all", "-l", "managed-by=mcp-platform", "-o", "name"], "");
    for object in [format!("deployment.apps/{}", spec.name), format!("service/{}", spec.name)] {
        assert!(listed.lines().any(|line| line == object), "{listed}");
    }
    cluster.remove_all(&spec.name).await;
}

pub(crate) async fn what_is_rendered_can_be_applied(cluster: &Cluster) {
    let request = Request::default().name(new_name().as_str()).env("API_TOKEN", "c4n4ry");
    let spec = resolved("echo-environment", json!({}), &request);
    let hidden = cluster.backend.render(&spec, false).unwrap();
    assert!(!serde_json::to_string(&hidden).unwrap().contains("YzRuNHJ5"), "the secret is rendered");
    assert_eq!(hidden, cluster.backend.render(&spec, false).unwrap());

    let objects = cluster.backend.render(&spec, true).unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    kubectl(cluster, &["apply", "-f", "-"], &list);
    // It is ours by what it carries, and answers like one that was deployed.
    let deployment = cluster.until(&spec.name, |deployment| deployment.ready).await;
    assert_eq!((deployment.revision, deployment.drift), (1, Vec::new()));
    let environment = cluster.call(&spec.name, "environment", json!({})).await.unwrap();
    assert_eq!(environment["API_TOKEN"], "c4n4ry");
    kubectl(cluster, &["delete", "-f", "-"], &list);
}

pub(crate) async fn a_strangers_service_is_a_conflict_and_stays(cluster: &Cluster) {
    let spec = spec("well", json!({}));
    let services: Api<Service> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let foreign = json!({"metadata": {"name": spec.name.as_str()}, "spec": {"ports": [{"port": 9}]}});
    let foreign =
        services.create(&PostParams::default(), &serde_json::from_value(foreign).unwrap()).await.unwrap();
    let error = cluster.backend.deploy(&spec, DeployOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    assert!(error.to_string().contains("Service"), "{error}");
    let after = services.get(spec.name.as_str()).await.unwrap();
    assert_eq!(after.metadata.resource_version, foreign.metadata.resource_version);
    assert_eq!(cluster.objects(&spec.name).await.unwrap(), Vec::<String>::new());
    services.delete(spec.name.as_str(), &DeleteParams::default()).await.unwrap();
}

pub(crate) async fn what_somebody_changes_is_told_and_taken_back(cluster: &Cluster) {
    let spec = spec("well", json!({}));
    let before = cluster.deploy(&spec).await.unwrap();
    assert_eq!(before.drift, Vec::<String>::new());
    let edit = json!({"spec": {"template": {"spec": {"containers": [{
        "name": "mcp-server", "env": [{"name": "ADDED", "value": "by hand"}], "workingDir": "/tmp",
    }]}}}});
    cluster
        .deployments()
        .patch(spec.name.as_str(), &PatchParams::default(), &Patch::Strategic(edit))
        .await
        .unwrap();
    let drifted = cluster.backend.get(&spec.name).await.unwrap();
    let container = "/spec/template/spec/containers/0";
    assert_eq!(drifted.drift, [format!("{container}/env"), format!("{container}/workingDir")]);
    let edit = json!({"spec": {"template": {"spec": {"containers": [{
        "name": "mcp-server", "image": "127.0.0.1:1/other:1",
    }, {"name": "theirs", "image": "127.0.0.1:1/other:1"}]}}}});
    let edit = Patch::Strategic(edit);
    cluster.deployments().patch(spec.name.as_str(), &PatchParams::default(), &edit).await.unwrap();
    let after = cluster.deploy(&spec).await.unwrap();
    assert_eq!((after.drift, after.revision, after.ready), (Vec::new(), before.revision, true));
    cluster.remove_all(&spec.name).await;
}
