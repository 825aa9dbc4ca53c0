//! HTTP: from requests to verbs.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::faults::Answer;
use super::route::{Query, Route};
use super::status::Status;
use super::{Server, Work, apply, delete, list, logs, portforward, update, watch};

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a verb works with.
pub(super) struct Asked {
    pub(super) route: Route,
    pub(super) query: Query,
    pub(super) content_type: String,
    /// Whether the metadata is enough.
    pub(super) only_metadata: bool,
    /// Null where there was none.
    pub(super) body: Value,
}

impl Asked {
    pub(super) fn is_dry_run(&self) -> bool {
        self.query.get("dryRun").is_some()
    }
}

/// Owns the connections and what they leave to do: all of it ends with this future.
pub(super) async fn accept(
    listener: TcpListener,
    server: Arc<Server>,
    mut asked: mpsc::UnboundedReceiver<Work>,
) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                tasks.spawn(connection(stream, Arc::clone(&server)));
            },
            Some(work) = asked.recv() => {
                tasks.spawn(work);
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, server: Arc<Server>) {
    let service = service_fn(|request| answer(Arc::clone(&server), request));
    // A client that goes away is no failure of the server.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

/// An error closes the connection.
async fn answer(server: Arc<Server>, request: Request<Incoming>) -> Result<Response<Body>, &'static str> {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    match server.faults.meet(request.method().as_str(), &path) {
        Some(Answer::Hang) => return std::future::pending().await,
        Some(Answer::Close) => return Err("the test wants the connection closed"),
        Some(Answer::Status { code, message, retry_after }) => {
            let mut response = refusal(&Status::new(code, reason(code), message));
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            return Ok(response);
        }
        None => {}
    }
    Ok(handle(server, request).await.unwrap_or_else(|status| refusal(&status)))
}

fn reason(code: u16) -> &'static str {
    match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    }
}

async fn handle(server: Arc<Server>, mut request: Request<Incoming>) -> Result<Response<Body>, Status> {
    let path = request.uri().path();
    if path == "/version" {
        return Ok(json(200, &json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0"})));
    }
    let route = Route::parse(path).ok_or_else(Status::no_such_path)?;
    let query = Query::parse(request.uri().query().unwrap_or_default());
    if route.subresource.as_deref() == Some("portforward") {
        return portforward::upgrade(&server, &route, &query, &mut request);
    }
    let header = |name| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (accept, content_type) = (header(ACCEPT), header(CONTENT_TYPE));
    let method = request.method().clone();
    let body = request.into_body().collect().await.map_err(|error| Status::bad_request(error.to_string()))?;
    let body = match body.to_bytes() {
        body if body.is_empty() => Value::Null,
        body => serde_json::from_slice(&body).map_err(|error| Status::bad_request(error.to_string()))?,
    };
    let only_metadata = accept.contains("as=PartialObjectMetadata");
    respond(server, &method, Asked { route, query, content_type, only_metadata, body })
}

fn respond(server: Arc<Server>, method: &Method, asked: Asked) -> Result<Response<Body>, Status> {
    let Route { name, subresource, .. } = &asked.route;
    let name = name.clone();
    match (method.as_str(), name.as_deref(), subresource.as_deref()) {
        ("GET", None, None) if asked.query.is("watch") => Ok(watch::watch(server, asked)),
        ("GET", None, None) => list::list(&server.store, &asked).map(|list| json(200, &list)),
        ("GET", Some(name), None) => list::get(&server.store, &asked, name).map(|found| json(200, &found)),
        ("GET", Some(name), Some("log")) => logs::log(&server, &asked, name),
        ("POST", None, None) => update::create(&server.store, &asked).map(|made| json(201, &made)),
        ("PUT", Some(name), None) => {
            update::replace(&server.store, &asked, name).map(|changed| json(200, &changed))
        }
        ("PATCH", Some(name), None) if asked.content_type.contains("apply-patch") => {
            let (is_new, applied) = apply::apply(&server.store, &asked, name)?;
            Ok(json(if is_new { 201 } else { 200 }, &applied))
        }
        ("PATCH", Some(name), None) => {
            update::patch(&server.store, &asked, name).map(|changed| json(200, &changed))
        }
        ("DELETE", Some(name), None) => {
            delete::one(&server.store, &asked, name).map(|deleted| json(200, &deleted))
        }
        ("DELETE", None, None) => Ok(json(200, &delete::collection(&server.store, &asked))),
        _ => {
            Err(Status::new(405, "MethodNotAllowed", "the server does not allow this method on the resource"))
        }
    }
}

pub(super) fn json(code: u16, value: &Value) -> Response<Body> {
    response(code, "application/json", Full::from(value.to_string()).boxed_unsync())
}

fn refusal(status: &Status) -> Response<Body> {
    json(status.code, &status.to_json())
}

pub(super) fn response(code: u16, content_type: &'static str, body: Body) -> Response<Body> {
    Response::builder().status(code).header(CONTENT_TYPE, content_type).body(body).unwrap()
}
