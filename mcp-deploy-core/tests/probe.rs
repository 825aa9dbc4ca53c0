//! The probe against servers of both eras, and against what is none.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_deploy_core::probe::{ProbeError, call_tool, list_tools, probe};
use mcp_deploy_core::{Connection, Era, Tool};
use mcp_deploy_mock::{HttpMode, HttpServer, ServerProfile};
use serde_json::{Map, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(10);

async fn serve(mode: HttpMode, tools: usize) -> (HttpServer, String) {
    let schema = json!({"type": "object", "required": ["who"], "properties": {"who": {"type": "string"}}});
    let tool = |number| Tool {
        name: format!("tool-{number}"),
        description: None,
        input_schema: schema.as_object().unwrap().clone(),
    };
    let profile = ServerProfile {
        name: "probed".to_owned(),
        version: "1.2.3".to_owned(),
        tools: (0..tools).map(tool).collect(),
        environment: BTreeMap::new(),
        echo_environment: false,
        explores: false,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = HttpServer::start(listener, profile, mode, "/mcp");
    let url = format!("http://{}/mcp", server.address());
    (server, url)
}

#[tokio::test]
async fn servers_of_both_eras_introduce_themselves() {
    for (mode, era, version) in
        [(HttpMode::Mcp, Era::Modern, "2026-07-28"), (HttpMode::Legacy, Era::Legacy, "2025-11-25")]
    {
        let (_server, url) = serve(mode, 2).await;
        let report = probe(&url, PATIENCE).await.unwrap();
        assert_eq!((report.era, report.protocol_version.as_deref()), (Some(era), Some(version)));
        let server = report.server.unwrap();
        assert_eq!((server.name.as_str(), server.version.as_str()), ("probed", "1.2.3"));
        assert_eq!(report.capabilities, ["tools"]);
        assert_eq!(report.tools, ["tool-0", "tool-1"]);
    }
}

#[tokio::test]
async fn all_pages_of_tools_are_read() {
    let (_server, url) = serve(HttpMode::Mcp, 120).await;
    assert_eq!(list_tools(&url, PATIENCE).await.unwrap().len(), 120);
}

#[tokio::test]
async fn a_server_without_tools_is_fine() {
    for mode in [HttpMode::Mcp, HttpMode::Legacy] {
        let (_server, url) = serve(mode, 0).await;
        let report = probe(&url, PATIENCE).await.unwrap();
        assert!(report.era.is_some() && report.tools.is_empty());
    }
}

#[tokio::test]
async fn a_server_that_wants_authorization_can_be_reached() {
    let (_server, url) = serve(HttpMode::Unauthorized, 1).await;
    assert!(probe(&url, PATIENCE).await.unwrap().authorization_required);
    let error = call_tool(&url, "tool-0", Map::new(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, ProbeError::AuthorizationRequired), "{error:?}");
}

#[tokio::test]
async fn a_mute_server_does_not_hang_the_probe() {
    let (_server, url) = serve(HttpMode::Mute, 1).await;
    let error = probe(&url, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, ProbeError::Mute(_)), "{error:?}");
}

#[tokio::test]
async fn what_is_no_mcp_server_is_sorted_by_what_it_does() {
    let of = async |mode| {
        let (_server, url) = serve(mode, 1).await;
        probe(&url, PATIENCE).await.unwrap_err()
    };
    let not_mcp = of(HttpMode::NotMcp).await;
    assert!(matches!(not_mcp, ProbeError::NotMcp(_)), "{not_mcp:?}");
    let rejected = of(HttpMode::HostRejected).await;
    assert!(matches!(rejected, ProbeError::HostRejected(_)), "{rejected:?}");
    let away = of(HttpMode::Away).await;
    assert!(matches!(away, ProbeError::Unreachable(_)), "{away:?}");
    let (server, url) = serve(HttpMode::Mcp, 1).await;
    server.stop().await;
    assert!(matches!(probe(&url, PATIENCE).await.unwrap_err(), ProbeError::Unreachable(_)));
    let (_server, url) = serve(HttpMode::Mcp, 1).await;
    let elsewhere = probe(&url.replace("/mcp", "/elsewhere"), PATIENCE).await.unwrap_err();
    assert!(matches!(elsewhere, ProbeError::NotMcp(_)), "{elsewhere:?}");
}

#[tokio::test]
async fn a_tool_is_called_and_answers_in_both_eras() {
    for mode in [HttpMode::Mcp, HttpMode::Legacy] {
        let (_server, url) = serve(mode, 1).await;
        let arguments = json!({"who": "you"}).as_object().unwrap().clone();
        let answer = call_tool(&url, "tool-0", arguments, PATIENCE).await.unwrap();
        assert!(!answer.is_error && answer.text.concat().contains("you"), "{answer:?}");
        let answer = call_tool(&url, "tool-0", Map::new(), PATIENCE).await.unwrap();
        assert!(answer.is_error && answer.text.concat().contains("who"), "{answer:?}");
        let error = call_tool(&url, "tool-9", Map::new(), PATIENCE).await.unwrap_err();
        assert!(matches!(error, ProbeError::Server(_)), "{error:?}");
    }
}

#[tokio::test]
async fn through_a_tunnel_a_server_is_called_as_its_clients_call_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (told, mut asked) = mpsc::unbounded_channel();
    let refusing = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            told.send(String::from_utf8_lossy(&request[..length]).to_lowercase()).unwrap();
            let answer =
                b"HTTP/1.1 421 Misdirected Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    });
    let connection = Connection::new(&url).called("demo.mcp-servers.svc");
    let error = probe(&connection, PATIENCE).await.unwrap_err();
    refusing.abort();
    assert!(matches!(error, ProbeError::HostRejected(_)), "{error:?}");
    let request = asked.recv().await.unwrap();
    assert_eq!(request.matches("\r\nhost: ").count(), 1, "{request}");
    assert!(request.contains("\r\nhost: demo.mcp-servers.svc\r\n"), "{request}");
}
