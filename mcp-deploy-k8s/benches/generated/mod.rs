//! Objects as a cluster would have them, and an API server that has nothing else.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use mcp_deploy_core::{DeploymentBackend, KubernetesSettings, Selector};
use mcp_deploy_k8s::KubernetesBackend;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A ready pod of a Deployment.
pub(crate) fn pod(deployment: &Deployment) -> Pod {
    let mut pod = serde_json::to_value(&deployment.spec.as_ref().unwrap().template).unwrap();
    let name = deployment.metadata.name.as_deref().unwrap();
    pod["metadata"]["name"] = format!("{name}-5d9c7bdc4f-x7k2q").into();
    pod["metadata"]["namespace"] = deployment.metadata.namespace.clone().into();
    let at = "2026-11-24T12:00:00Z";
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": at});
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    pod["status"] = json!({
        "phase": "Running", "podIP": "10.244.0.9", "hostIP": "10.0.0.1", "startTime": at,
        "conditions": conditions,
        "containerStatuses": [{
            "name": "mcp-server", "ready": true, "started": true, "restartCount": 0, "image": "demo", "imageID": "sha256:1",
            "containerID": "containerd://1", "state": {"running": {"startedAt": at}},
        }],
    });
    serde_json::from_value(pod).unwrap()
}

/// The status of a Deployment whose one pod is ready.
pub(crate) fn status(deployment: &Deployment) -> Value {
    json!({
        "observedGeneration": deployment.metadata.generation, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
        "availableReplicas": 1,
    })
}

/// How much memory so many cached deployments take, with a pod each.
pub(crate) async fn memory_of(count: usize) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(serve(listener, count));
    let settings = KubernetesSettings {
        endpoint: Some(url),
        token: Some("none".to_owned().into()),
        ..KubernetesSettings::default()
    };
    let before = resident();
    let cached = KubernetesBackend::new(settings).cached();
    assert_eq!(cached.list(&Selector::default()).await.unwrap().len(), count);
    let after = resident();
    serving.abort();
    after.saturating_sub(before)
}

/// What the kernel counts as this process's own memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

async fn serve(listener: TcpListener, count: usize) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(stream, count));
    }
}

/// Answers the lists page by page, and every watch with silence.
async fn answer(stream: TcpStream, count: usize) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut target = String::new();
        if stream.read_line(&mut target).await.unwrap_or_default() == 0 {
            return;
        }
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap_or_default() > 2 {
            line.clear();
        }
        if target.contains("watch=true") {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            return std::future::pending().await;
        }
        let body = page(&target, count).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
    }
}

fn page(target: &str, count: usize) -> Value {
    const PAGE: usize = 500;
    let parameter = |name: &str| {
        let (_, rest) = target.split_once(name)?;
        rest.split(['&', ' ']).next()?.parse::<usize>().ok()
    };
    let from = parameter("continue=").unwrap_or_default();
    let to = (from + PAGE).min(count);
    let items: Vec<Value> = if target.contains("/deployments") {
        (from..to).map(|number| serde_json::to_value(deployment(number)).unwrap()).collect()
    } else if target.contains("/pods") {
        (from..to).map(|number| serde_json::to_value(pod(&deployment(number))).unwrap()).collect()
    } else {
        return json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []});
    };
    let next = if to < count { to.to_string() } else { String::new() };
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1", "continue": next}, "items": items})
}

fn deployment(number: usize) -> Deployment {
    let backend = KubernetesBackend::new(KubernetesSettings::default());
    let mut rendered = backend.render(&super::spec(number), false).unwrap().pop().unwrap();
    rendered["metadata"]["uid"] = format!("00000000-0000-0000-0000-{number:012}").into();
    rendered["metadata"]["creationTimestamp"] = "2026-11-24T12:00:00Z".into();
    rendered["metadata"]["generation"] = 1.into();
    let mut deployment: Deployment = serde_json::from_value(rendered).unwrap();
    deployment.status = serde_json::from_value(status(&deployment)).unwrap();
    deployment
}
