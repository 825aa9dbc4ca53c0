//! How much may be under way, for how long, and what clients get to hear beyond.

use std::time::Duration;

use mcp_deploy_core::Backends;
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::served::Served;

/// Sends this and no more, and reads until the server closes the connection.
async fn answer_to(api: &Served, sent: &str) -> String {
    let address = api.url("").replace("http://", "");
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let closed = timeout(Duration::from_secs(20), connection.read_to_string(&mut answer)).await;
    closed.expect("the connection stays open").unwrap();
    answer
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let api = Served::start();
    let head = "POST /api/templates/deploy/demo/ HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n";
    let answer = answer_to(&api, &format!("{head}{{\"name\": ")).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"body_too_slow\""), "{answer}");
}

#[tokio::test]
async fn no_more_streams_are_open_than_may_be() {
    let api = Served::start();
    let path = "/api/templates/deployments/events/";
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(api.stream(path).await);
    }
    let refused = api.get(path).await;
    refused.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "busy");
    assert_eq!(refused.header("retry-after"), "5");
    assert!(api.get("/metrics").await.body.contains("mcp_deploy_streams 8\n"));
    drop(streams);
    while api.get("/metrics").await.body.contains("mcp_deploy_streams 8\n") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(api.stream(path).await.next().await);
}

#[tokio::test]
async fn no_more_deploys_are_under_way_than_may_be() {
    let api = Served::over(Backends::default().with(Served::mute()));
    let deploy = |number: usize, wait: bool| {
        let body = json!({"name": format!("demo-{number}"), "wait": wait});
        api.client.post(api.url("/api/templates/deploy/demo/")).json(&body)
    };
    let waiting: Vec<_> = (0..8).map(|number| tokio::spawn(deploy(number, true).send())).collect();
    while !api.get("/metrics").await.body.contains("mcp_deploy_deploys{backend=\"mock\"} 8\n") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = api.send(deploy(8, false)).await;
    refused.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "busy");
    assert_eq!(api.get("/api/templates/deployments/").await.json()["count"], 8);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn what_a_client_does_not_accept_is_not_sent() {
    let api = Served::start();
    let get = |path: &str, accept: &str| api.send(api.client.get(api.url(path)).header("accept", accept));
    for (path, accept) in [
        ("/api/templates/", "text/html"),
        ("/api/templates/deployments/", "application/json;q=0"),
        ("/api/templates/deployments/events/", "application/json"),
        ("/metrics", "application/json"),
    ] {
        let refused = get(path, accept).await;
        refused.assert_problem(StatusCode::NOT_ACCEPTABLE, "not_acceptable");
    }
    for accept in ["*/*", "application/*", "text/html, */*;q=0.1"] {
        assert_eq!(get("/api/templates/", accept).await.status, StatusCode::OK, "{accept}");
    }
}

#[tokio::test]
async fn what_happens_is_counted() {
    let api = Served::start();
    api.post("/api/templates/deploy/demo/", &json!({"name": "demo-one"})).await;
    api.post("/api/templates/deployments/nobody/stop/", &json!({})).await;
    api.get("/api/templates/deployments/demo-one/").await;
    api.get("/nowhere/at/all").await;
    let metrics = api.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"), "{metrics:?}");
    for line in [
        "mcp_deploy_changes_total{verb=\"deploy\",outcome=\"ok\"} 1",
        "mcp_deploy_changes_total{verb=\"stop\",outcome=\"not_found\"} 1",
        "mcp_deploy_http_requests_total{method=\"GET\",route=\"/api/templates/deployments/{name}\",status=\"200\"} 1",
        "mcp_deploy_http_request_duration_seconds_count{method=\"POST\",route=\"/api/templates/deploy/{template}\"} 1",
        "mcp_deploy_deploys{backend=\"mock\"} 0",
        "# EOF",
    ] {
        assert!(metrics.body.lines().any(|given| given == line), "{line} is not in\n{}", metrics.body);
    }
    assert!(!metrics.body.contains("demo-one"));
}
