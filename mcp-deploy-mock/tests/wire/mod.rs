//! HTTP by hand, for what a client library would hide.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request of the legacy era, as it comes from within a cluster: the JSON of the answer.
pub(crate) async fn post(address: SocketAddr, path: &str, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let length = body.len();
    let headers = format!(
        "Host: demo.ns.svc.cluster.local\r\nOrigin: https://example.com\r\nConnection: close\r\n\
         Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n\
         MCP-Protocol-Version: 2025-11-25\r\nContent-Length: {length}"
    );
    let answer = exchange(address, &format!("POST {path} HTTP/1.1\r\n{headers}\r\n\r\n{body}")).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", address.port())).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}
