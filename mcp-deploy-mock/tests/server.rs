//! The mock server, as clients of both eras and container platforms see it.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_deploy_core::Tool;
use mcp_deploy_mock::{HttpMode, HttpServer, ServerProfile};
use rmcp::model::{CallToolRequestParams, ClientConfig, ProtocolVersion};
use rmcp::service::ClientLifecycleMode::{self, Discover, Initialize};
use rmcp::service::{ClientServiceExt, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use wire::{exchange, post};

#[tokio::test]
async fn both_eras_introduce_the_server_and_list_all_of_its_tools() {
    let server = start(profile(120)).await;
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let modern = Discover { preferred_versions };
    for (era, version) in [(modern, "2026-07-28"), (Initialize, "2025-11-25")] {
        let client = connect(&server, era).await;
        let introduction = client.peer_info().unwrap();
        assert_eq!(introduction.protocol_version.as_str(), version);
        let server_info = introduction.server_info.as_ref().unwrap();
        assert_eq!((&*server_info.name, &*server_info.version), ("demo", "1.2.3"));
        let tools = client.list_all_tools().await.unwrap();
        let names: Vec<_> = tools.iter().map(|tool| tool.name.to_string()).collect();
        assert_eq!(names, (0..120).map(|n| format!("tool-{n}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_pages_of_tools_hold_fifty_and_a_made_up_cursor_is_refused() {
    let server = start(profile(120)).await;
    let list = |params| post(server.address(), "/mcp", "tools/list", params);
    let first = list(json!({})).await;
    assert_eq!(first["result"]["tools"].as_array().unwrap().len(), 50);
    let third = list(json!({ "cursor": "100" })).await;
    assert_eq!(third["result"]["tools"].as_array().unwrap().len(), 20);
    assert_eq!(third["result"]["nextCursor"], Value::Null);
    for cursor in ["120", "-1", "soon"] {
        let refused = list(json!({ "cursor": cursor })).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
}

#[tokio::test]
async fn a_server_without_tools_has_no_tools_capability() {
    let client = connect(&start(profile(0)).await, Initialize).await;
    assert_eq!(client.peer_info().unwrap().capabilities.tools, None);
}

#[tokio::test]
async fn a_call_with_right_arguments_echoes_them() {
    let echo = call(profile(1), "tool-0", json!({ "city": "Bern", "days": 3 })).await;
    let expected = json!({ "tool": "tool-0", "arguments": { "city": "Bern", "days": 3 } });
    assert_eq!(echo, Ok(expected.to_string()));
}

#[tokio::test]
async fn a_call_with_wrong_arguments_lists_every_violation() {
    let arguments = json!({ "days": "three", "hours": 1 });
    let error = call(profile(1), "tool-0", arguments).await.unwrap_err();
    for part in ["tool error: ", "\"city\" is a required", "/days: ", "'hours'"] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
}

#[tokio::test]
async fn a_call_of_an_unknown_tool_is_a_protocol_error() {
    let error = call(profile(1), "tool-1", json!({})).await.unwrap_err();
    assert!(error.contains("-32602") && error.contains("`tool-1`"), "{error}");
}

#[tokio::test]
async fn a_call_of_a_tool_whose_schema_is_none_says_so() {
    let mut profile = profile(1);
    profile.tools[0].input_schema = object(json!({ "type": "no-such-type" }));
    let error = call(profile, "tool-0", json!({})).await.unwrap_err();
    let expected = "tool error: the input schema of `tool-0` is not a JSON Schema";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn the_environment_tool_answers_all_variables() {
    let mut profile = profile(0);
    profile.echo_environment = true;
    let answer = call(profile, "environment", json!({})).await;
    assert_eq!(answer, Ok(json!({ "TOKEN": "s3cr3t" }).to_string()));
}

#[test]
fn debug_shows_the_names_of_variables_and_no_values() {
    let shown = format!("{:?}", profile(1));
    assert!(shown.contains("TOKEN") && !shown.contains("s3cr3t"), "{shown}");
}

#[tokio::test]
async fn a_new_profile_keeps_the_address_and_the_clients() {
    let server = start(profile(1)).await;
    let (client, address) = (connect(&server, Initialize).await, server.address());
    assert_eq!(client.list_all_tools().await.unwrap().len(), 1);
    server.set_profile(profile(2), "/mcp");
    assert_eq!(client.list_all_tools().await.unwrap().len(), 2);
    assert_eq!(server.address(), address);
}

#[tokio::test]
async fn only_readiness_changes_while_a_server_is_not_ready() {
    let server = start(profile(1)).await;
    assert!(get(&server, "/ready").await.starts_with("HTTP/1.1 200"));
    server.set_ready(false);
    assert!(get(&server, "/ready").await.starts_with("HTTP/1.1 503"));
    assert!(get(&server, "/health").await.starts_with("HTTP/1.1 200"));
    call_on(&server, "tool-0", json!({ "city": "Bern" })).await.unwrap();
}

#[tokio::test]
async fn modes_change_what_the_mcp_path_answers() {
    let server = start(profile(1)).await;
    assert!(get(&server, "/elsewhere").await.starts_with("HTTP/1.1 404"));
    server.set_mode(HttpMode::NotMcp);
    for path in ["/elsewhere", "/mcp"] {
        let page = get(&server, path).await;
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("text/html"), "{page}");
        assert!(page.ends_with("\r\n\r\nhello"), "{page}");
    }
    server.set_mode(HttpMode::Unauthorized);
    let refusal = get(&server, "/mcp").await;
    assert!(refusal.starts_with("HTTP/1.1 401"), "{refusal}");
    assert!(refusal.contains("www-authenticate: Bearer"), "{refusal}");
    server.set_mode(HttpMode::LocalOnly);
    let own = format!("localhost:{}", server.address().port());
    for (host, status) in [(own.as_str(), "405"), ("127.0.0.1", "405"), ("demo.mcp-servers.svc", "403")] {
        let request = format!("GET /mcp HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = exchange(server.address(), &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer}");
    }
    server.set_mode(HttpMode::Mute);
    let answer = timeout(Duration::from_millis(200), get(&server, "/mcp")).await;
    assert!(answer.is_err(), "a mute server answered {answer:?}");
    assert!(get(&server, "/health").await.starts_with("HTTP/1.1 200"));
    server.set_mode(HttpMode::MuteCalls);
    assert_eq!(connect(&server, Initialize).await.list_all_tools().await.unwrap().len(), 1);
    let call = call_on(&server, "tool-0", json!({ "city": "Bern" }));
    assert!(timeout(Duration::from_millis(500), call).await.is_err(), "a mute call was answered");
}

#[tokio::test]
async fn dropping_closes_the_port_and_the_connections() {
    check_closed(async |server| drop(server)).await;
}

#[tokio::test]
async fn stopping_closes_the_port_and_the_connections_within_a_second() {
    let stop = async |server: HttpServer| {
        timeout(Duration::from_secs(1), server.stop()).await.unwrap();
    };
    check_closed(stop).await;
}

/// A profile with so many tools, each of which takes a city and a number of days.
fn profile(tools: usize) -> ServerProfile {
    let input_schema = object(json!({
        "type": "object",
        "properties": { "city": { "type": "string" }, "days": { "type": "integer" } },
        "required": ["city"],
        "additionalProperties": false,
    }));
    let tool = |n| Tool { name: format!("tool-{n}"), description: None, input_schema: input_schema.clone() };
    ServerProfile {
        name: "demo".to_owned(),
        version: "1.2.3".to_owned(),
        tools: (0..tools).map(tool).collect(),
        environment: BTreeMap::from([("TOKEN".to_owned(), "s3cr3t".to_owned())]),
        echo_environment: false,
        explores: false,
    }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

async fn start(profile: ServerProfile) -> HttpServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    HttpServer::start(listener, profile, HttpMode::Mcp, "/mcp")
}

async fn connect(server: &HttpServer, era: ClientLifecycleMode) -> RunningService<RoleClient, ClientConfig> {
    let uri = format!("http://{}/mcp", server.address());
    let transport = StreamableHttpClientTransport::from_uri(uri);
    let client = ClientConfig::default();
    client.serve_with_lifecycle(transport, era).await.unwrap()
}

async fn call(profile: ServerProfile, tool: &'static str, arguments: Value) -> Result<String, String> {
    call_on(&start(profile).await, tool, arguments).await
}

/// The text of the answer, after `tool error: ` where the tool failed.
async fn call_on(server: &HttpServer, tool: &'static str, arguments: Value) -> Result<String, String> {
    let client = connect(server, Initialize).await;
    let request = CallToolRequestParams::new(tool).with_arguments(object(arguments));
    let result = client.call_tool(request).await.map_err(|error| error.to_string())?;
    let text = result.content[0].as_text().unwrap().text.clone();
    match result.is_error {
        Some(true) => Err(format!("tool error: {text}")),
        _ => Ok(text),
    }
}

/// Ends a server that has an idle connection and a request that waits, and expects nothing to be left.
async fn check_closed(end: impl AsyncFnOnce(HttpServer)) {
    let server = start(profile(1)).await;
    server.set_mode(HttpMode::Mute);
    let address = server.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut waiting = TcpStream::connect(address).await.unwrap();
    let request = b"GET /mcp HTTP/1.1\r\nHost: any\r\n\r\n";
    waiting.write_all(request).await.unwrap();
    // It answers a later connection, so it has those before.
    assert!(get(&server, "/health").await.starts_with("HTTP/1.1 200"));
    end(server).await;
    for connection in [&mut idle, &mut waiting] {
        let read = timeout(Duration::from_secs(10), connection.read(&mut [0])).await;
        assert!(!matches!(read.unwrap(), Ok(1..)));
    }
    assert!(TcpStream::connect(address).await.is_err());
}

async fn get(server: &HttpServer, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n");
    exchange(server.address(), &request).await
}
