//! Forwarding a port of a pod through a WebSocket, as `v4.channel.k8s.io` has it: the first byte of each message is
//! its channel, 0 for data and 1 for an error.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::route::{Query, Route};
use super::serve::Body;
use super::status::Status;
use super::store::Key;
use super::{Server, object};

const PROTOCOL: &str = "v4.channel.k8s.io";
const DATA: u8 = 0;
const ERROR: u8 = 1;
const CHUNK: usize = 16 * 1024;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Agrees to speak WebSocket; the forwarding itself comes after the answer.
pub(super) fn upgrade(
    server: &Arc<Server>,
    route: &Route,
    query: &Query,
    request: &mut Request<Incoming>,
) -> Result<Response<Body>, Status> {
    let pod = server.store.read().found(&Key::of(route, route.name.as_deref().unwrap_or_default()))?;
    if pod.value["status"]["phase"] != "Running" {
        let message = format!(
            "unable to forward port because pod is not running. Current status={}",
            pod.value["status"]["phase"]
        );
        return Err(Status::bad_request(message));
    }
    let port = query.get("ports").and_then(|ports| ports.parse().ok());
    let port: u16 = port.ok_or_else(|| Status::bad_request("query parameter \"ports\" is required"))?;
    let key = request.headers().get(SEC_WEBSOCKET_KEY).cloned();
    let key = key.ok_or_else(|| Status::bad_request("a WebSocket upgrade is required"))?;
    let upgrade = hyper::upgrade::on(&mut *request);
    let address = server.kubelet.address(object::uid(&pod.value));
    let _ = server.work.send(Box::pin(forward(upgrade, address, port)));
    let response = Response::builder()
        .status(101)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()))
        .header(SEC_WEBSOCKET_PROTOCOL, PROTOCOL);
    Ok(response.body(Empty::new().boxed_unsync()).unwrap())
}

async fn forward(upgrade: OnUpgrade, address: Option<SocketAddr>, port: u16) {
    let Ok(upgraded) = upgrade.await else { return };
    let mut socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let [low, high] = port.to_le_bytes();
    for channel in [DATA, ERROR] {
        if socket.send(Message::binary(vec![channel, low, high])).await.is_err() {
            return;
        }
    }
    let dialled = match address {
        Some(address) => TcpStream::connect(address).await.ok(),
        None => None,
    };
    if let Some(stream) = dialled {
        return carry(socket, stream).await;
    }
    let message = format!("failed to connect to localhost:{port} inside namespace: connection refused");
    let _ = socket.send(Message::binary([&[ERROR], message.as_bytes()].concat())).await;
    let _ = socket.close(None).await;
}

async fn carry(socket: Socket, stream: TcpStream) {
    let (mut to_client, mut from_client) = socket.split();
    let (mut from_pod, mut to_pod) = stream.into_split();
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            let written = match message {
                Message::Binary(bytes) if bytes.first() == Some(&DATA) => to_pod.write_all(&bytes[1..]).await,
                Message::Close(_) => break,
                _ => Ok(()),
            };
            if written.is_err() {
                break;
            }
        }
        let _ = to_pod.shutdown().await;
    };
    let down = async {
        let mut chunk = vec![0; CHUNK];
        while let Ok(read @ 1..) = from_pod.read(&mut chunk).await {
            if to_client.send(Message::binary([&[DATA], &chunk[..read]].concat())).await.is_err() {
                break;
            }
        }
        let _ = to_client.close().await;
    };
    tokio::join!(up, down);
}
