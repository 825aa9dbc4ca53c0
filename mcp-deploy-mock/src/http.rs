//! A mock server over HTTP: MCP at one path, the health contract beside it, and the ways it can go wrong.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::server::{ProfileHandler, ServerProfile};

/// How long open requests may go on once the server was told to stop.
const GRACE: Duration = Duration::from_millis(500);

/// How the MCP path of an [`HttpServer`] behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HttpMode {
    /// It speaks MCP.
    #[default]
    Mcp,
    /// It speaks the revisions before 2026-07-28 alone, and refuses newer requests as servers of then do.
    Legacy,
    /// It, and every other path, is a web page.
    NotMcp,
    /// It refuses the host name that it is called by, as servers do that think they are alone on a laptop.
    HostRejected,
    /// It speaks MCP to who calls it by a name or an address of its own machine, and refuses every other host name,
    /// as the SDKs do by default.
    LocalOnly,
    /// It reads requests and never answers them.
    Mute,
    /// It speaks MCP, and never answers a call of a tool.
    MuteCalls,
    /// It wants a bearer token and answers `401`.
    Unauthorized,
    /// It is not there now and answers `503`, as a gateway before it would.
    Away,
}

/// An MCP server that is up for as long as this value lives.
///
/// It answers both eras of MCP: `server/discover` (2026-07-28), and `initialize` of the revisions before,
/// without sessions. `/health` answers 200 in every mode, `/ready` 200 or 503 as
/// [`set_ready`](Self::set_ready) says, and any `Host` is welcome. Dropping it closes the listener and all
/// connections; [`stop`](Self::stop) lets open requests end first.
pub struct HttpServer {
    address: SocketAddr,
    site: Arc<Site>,
    accepting: JoinHandle<()>,
}

impl HttpServer {
    /// Serves on a listener, within the current Tokio runtime: MCP at the path, which begins with `/`.
    ///
    /// It is ready at once.
    pub fn start(
        listener: TcpListener,
        profile: ServerProfile,
        mode: HttpMode,
        path: impl Into<String>,
    ) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let stopping = CancellationToken::new();
        let site = Arc::new(Site {
            state: watch::Sender::new(State {
                mcp: mcp_service(profile, &stopping),
                mode,
                path: path.into(),
                ready: true,
            }),
            stopping,
        });
        Self { address, accepting: tokio::spawn(accept(listener, Arc::clone(&site))), site }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes another profile, at another path, for all requests to come; listener and connections stay.
    pub fn set_profile(&self, profile: ServerProfile, path: impl Into<String>) {
        let mcp = mcp_service(profile, &self.site.stopping);
        let path = path.into();
        self.site.state.send_modify(|state| {
            state.mcp = mcp;
            state.path = path;
        });
    }

    /// Behaves in another way from the next request on; a request that was left mute stays mute.
    pub fn set_mode(&self, mode: HttpMode) {
        self.site.state.send_modify(|state| state.mode = mode);
    }

    /// Says at `/ready` whether it can serve; MCP is answered all the same.
    pub fn set_ready(&self, ready: bool) {
        self.site.state.send_modify(|state| state.ready = ready);
    }

    /// Stops listening, lets open requests end for half a second, and closes what is left.
    pub async fn stop(mut self) {
        self.site.stopping.cancel();
        if let Err(error) = (&mut self.accepting).await {
            tracing::error!(%error, "the mock server ended early");
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.site.stopping.cancel();
        self.accepting.abort();
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("address", &self.address)
            .field("path", &self.site.state.borrow().path)
            .finish_non_exhaustive()
    }
}

type McpService = StreamableHttpService<ProfileHandler, NeverSessionManager>;
type Body = BoxBody<Bytes, Infallible>;

/// What every connection needs.
struct Site {
    state: watch::Sender<State>,
    stopping: CancellationToken,
}

/// What may change while connections are open.
struct State {
    mcp: McpService,
    mode: HttpMode,
    path: String,
    ready: bool,
}

fn mcp_service(profile: ServerProfile, stopping: &CancellationToken) -> McpService {
    let handler = ProfileHandler::new(profile);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_cancellation_token(stopping.child_token())
        // In a container it is reached by names that nobody can know beforehand.
        .disable_allowed_hosts();
    McpService::new(move || Ok(handler.clone()), Arc::default(), config)
}

/// Owns the connections: they end with this future.
async fn accept(listener: TcpListener, site: Arc<Site>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, Arc::clone(&site)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Without file descriptors it would fail again at once.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = site.stopping.cancelled() => break,
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        connections.shutdown().await;
    }
}

async fn serve_connection(stream: TcpStream, site: Arc<Site>) {
    let service = service_fn(|request| answer(Arc::clone(&site), request));
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = site.stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn answer(site: Arc<Site>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (mcp, mode, ready, is_endpoint) = {
        let state = site.state.borrow();
        let is_endpoint = request.uri().path() == state.path;
        (state.mcp.clone(), state.mode, state.ready, is_endpoint)
    };
    let response = match (request.uri().path(), mode) {
        ("/health", _) => response(StatusCode::OK, TEXT, "ok\n"),
        ("/ready", _) if ready => response(StatusCode::OK, TEXT, "ready\n"),
        ("/ready", _) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n"),
        (_, HttpMode::NotMcp) => response(StatusCode::OK, HTML, "hello"),
        (_, HttpMode::Away) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, "away\n"),
        _ if !is_endpoint => response(StatusCode::NOT_FOUND, TEXT, "not found\n"),
        (_, HttpMode::Legacy) if is_modern(&request) => {
            response(StatusCode::BAD_REQUEST, JSON, NOT_INITIALIZED)
        }
        (_, HttpMode::LocalOnly) if is_local(&request) => mcp.handle(request).await,
        (_, HttpMode::Mcp | HttpMode::Legacy) => mcp.handle(request).await,
        (_, HttpMode::HostRejected | HttpMode::LocalOnly) => {
            response(StatusCode::FORBIDDEN, TEXT, "Forbidden: Host header is not allowed\n")
        }
        (_, HttpMode::MuteCalls) => answer_all_but_calls(&mcp, request).await,
        (_, HttpMode::Mute) => {
            drop(request.into_body().collect().await);
            std::future::pending().await
        }
        (_, HttpMode::Unauthorized) => response(StatusCode::UNAUTHORIZED, BEARER, ""),
    };
    Ok(response)
}

/// What MCP answers, but for the calls of tools.
async fn answer_all_but_calls(mcp: &McpService, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if body.windows(CALL.len()).any(|part| part == CALL) {
        std::future::pending::<()>().await;
    }
    mcp.handle(Request::from_parts(head, Full::new(body))).await
}

/// The method of a call, as it stands in a request.
const CALL: &[u8] = b"\"tools/call\"";

/// Whether a request is of the era that began with 2026-07-28.
fn is_modern(request: &Request<Incoming>) -> bool {
    let version = request.headers().get("mcp-protocol-version");
    version.is_some_and(|version| version.as_bytes() >= b"2026-07-28".as_slice())
}

/// Whether a request calls the server by a name or an address of its own machine.
fn is_local(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    host.is_some_and(|host| matches!(host.host(), "localhost" | "127.0.0.1" | "[::1]"))
}

const NOT_INITIALIZED: &str =
    r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Server not initialized"},"id":null}"#;

type Header = (HeaderName, HeaderValue);
const TEXT: Header = (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
const JSON: Header = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
const HTML: Header = (CONTENT_TYPE, HeaderValue::from_static("text/html"));
const BEARER: Header = (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));

fn response(status: StatusCode, (name, value): Header, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::from(body).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(name, value);
    response
}
