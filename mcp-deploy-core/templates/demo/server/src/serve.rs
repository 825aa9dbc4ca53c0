//! HTTP: MCP at `/mcp`, `/health` and `/ready` beside it, until somebody says stop.

use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;
use crate::tools::Greeter;

/// How long requests may go on once the server was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or Ctrl-C, and lets open requests end.
///
/// # Errors
///
/// When the port cannot be had.
pub async fn until_stopped(settings: Settings) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, settings.port)).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let stopping = CancellationToken::new();
    let app = app(Greeter::new(settings), &stopping);
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

fn app(greeter: Greeter, stopping: &CancellationToken) -> Router {
    let config = StreamableHttpServerConfig::default()
        // Any instance answers any request.
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // Inside a cluster it has names that it cannot know, so any `Host` is welcome; a page in a browser, which
        // that check is against, always names its `Origin`.
        .disable_allowed_hosts()
        .enforce_origin_validation()
        .with_cancellation_token(stopping.child_token());
    let sessions = Arc::new(NeverSessionManager::default());
    let mcp = StreamableHttpService::new(move || Ok(greeter.clone()), sessions, config);
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(|| async { "ready\n" }))
        .route_service("/mcp", mcp)
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
