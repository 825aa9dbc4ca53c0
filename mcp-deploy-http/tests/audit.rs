//! What is logged of changes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "the tests of the API stream and hang")]
mod served;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use crate::served::Served;

#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_change_leaves_a_line_and_no_value_of_its_configuration() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().with_max_level(LevelFilter::TRACE);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let api = Served::start();
    let body = json!({"name": "demo-one", "configuration": {"hello_from": "c4n4ry"}});
    api.post("/api/templates/deploy/demo/", &body).await;
    api.post("/api/templates/deployments/demo-one/scale/", &json!({"replicas": 2})).await;
    let call = "/api/templates/deployments/demo-one/tools/say_hello/call/";
    api.post(call, &json!({"arguments": {"name": "Ada"}})).await;
    let delete = api.client.delete(api.url("/api/templates/deployments/demo-one/delete/"));
    api.send(delete.header("x-request-id", "the-last")).await;
    api.delete("/api/templates/deployments/demo-one/delete/").await;
    api.get("/api/templates/deployments/").await;

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let audited: Vec<Value> = lines.filter(|line| line["target"] == "mcp_deploy_http::audit").collect();
    let told: Vec<[&str; 3]> = audited
        .iter()
        .map(|line| ["verb", "deployment", "outcome"].map(|field| line["fields"][field].as_str().unwrap()))
        .collect();
    let expected = [
        ["deploy", "demo-one", "ok"],
        ["scale", "demo-one", "ok"],
        ["call", "demo-one", "ok"],
        ["delete", "demo-one", "ok"],
        ["delete", "demo-one", "not_found"],
    ];
    assert_eq!(told, expected);
    assert_eq!(audited[3]["fields"]["request_id"], "the-last");
    assert_eq!(text.lines().find(|line| line.contains("c4n4ry")), None);
}
