//! HTTP: MCP at `/mcp`, `/health` and `/ready` beside it, until somebody says stop.

use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::settings::Settings;
use crate::tools::FileServer;

/// How long requests may go on once the server was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// What one call may carry, in bytes; a larger file is written with `append`.
const MAX_BODY: usize = 4 << 20;

/// How many calls are taken in at a time: each is in memory some three times. Others wait.
const CALLS: usize = 12;

/// Serves until SIGTERM or Ctrl-C, and lets open requests end.
///
/// # Errors
///
/// When the port cannot be had.
pub(crate) async fn until_stopped(settings: Settings) -> io::Result<()> {
    let port = settings.port;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.map_err(|error| {
        io::Error::new(error.kind(), format!("failed to listen on port {port}: {error}; `PORT` sets another"))
    })?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let stopping = CancellationToken::new();
    let app = app(FileServer::new(settings), &stopping);
    let serving = axum::serve(listener, app).with_graceful_shutdown(stopping.clone().cancelled_owned());
    let mut serving = pin!(serving.into_future());
    tokio::select! {
        ended = &mut serving => return ended,
        asked = asked_to_stop() => asked?,
    }
    tracing::info!("stopping");
    stopping.cancel();
    // A client that reads on for ever does not hold it up.
    tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(()))
}

fn app(server: FileServer, stopping: &CancellationToken) -> Router {
    let config = StreamableHttpServerConfig::default()
        // Any instance answers any request.
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_BODY)
        // Inside a cluster it has names that it cannot know, so any `Host` is welcome; a page in a browser, which
        // that check is against, always names its `Origin`.
        .disable_allowed_hosts()
        .enforce_origin_validation()
        .with_cancellation_token(stopping.child_token());
    let sessions = Arc::new(NeverSessionManager::default());
    let files = server.clone();
    let mcp = StreamableHttpService::new(move || Ok(files.clone()), sessions, config);
    Router::new()
        .route_service("/mcp", mcp)
        .layer(GlobalConcurrencyLimitLayer::new(CALLS))
        // From here on, who asks how it is does not wait for others.
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .with_state(server)
}

/// Ready is who can read what it is to serve.
async fn ready(State(server): State<FileServer>) -> (StatusCode, String) {
    match server.check().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

/// As the first process of a container it is ended by no signal that it does not ask for.
#[cfg(unix)]
async fn asked_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
