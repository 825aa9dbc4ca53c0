//! The server: where it listens, and how it ends.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, HttpServer, web};
use mcp_deploy_core::{DeploymentManager, HttpSettings};
use tokio::time::{Instant, timeout_at};

use crate::api::Api;
use crate::guard::{self, Guard};
use crate::kept_templates::KeptTemplates;
use crate::observe;
use crate::routes::{configure, nothing};
use crate::tls;

/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// As many as are of use to a program that mostly waits for others.
const WORKERS: usize = 2;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Its settings are not safe, or name a file that is broken.
    #[error("{0}")]
    Settings(String),
    /// It cannot listen there.
    #[error("cannot listen at `{address}`; choose another address or port with `MCP_BIND`")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It broke while it served.
    #[error("the server broke")]
    Broken(#[source] io::Error),
}

/// Serves the API over a manager until `shutdown` ends: then streams end, and what is under way is finished. `started`
/// is told where it listens.
///
/// # Errors
///
/// Those of the start; and what breaks it later.
pub async fn serve(
    manager: DeploymentManager,
    settings: &HttpSettings,
    started: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let templates = KeptTemplates::begin(manager.catalog());
    let api = Api::with_limits(manager, settings.limits);
    let serving = listen(&api, settings, started)?;
    let handle = serving.handle();
    let ending = async {
        shutdown.await;
        let end = Instant::now() + grace(settings);
        api.close();
        handle.stop(true).await;
        if timeout_at(end, api.finished()).await.is_err() {
            tracing::warn!("the server ends while a change is under way");
        }
    };
    let (mut serving, ending) = (pin!(serving), pin!(ending));
    let outcome = tokio::select! {
        // It ends by itself only where it breaks.
        outcome = &mut serving => outcome,
        () = ending => serving.await,
    };
    templates.end().await;
    outcome.map_err(ServeError::Broken)
}

/// Comes with the first Ctrl-C or SIGTERM from now on.
///
/// # Errors
///
/// Where the system tells of no signals.
#[cfg(unix)]
pub fn stopped() -> io::Result<impl Future<Output = ()> + use<>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

/// Comes with the first Ctrl-C from now on.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub fn stopped() -> io::Result<impl Future<Output = ()> + use<>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}

/// What the browsers of allowed pages are told (Fetch Standard, "CORS protocol").
fn cors(origins: &[String]) -> Cors {
    let headers = ["accept", "authorization", "content-type", "idempotency-key", "x-request-id"];
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "DELETE"])
        .allowed_headers(headers)
        .expose_headers(["location", "retry-after", "x-request-id"])
        .max_age(600);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin.trim_end_matches('/')))
}

fn grace(settings: &HttpSettings) -> Duration {
    Duration::from_secs(settings.limits.grace_seconds.into())
}

/// Says what others could do with a server that they can reach.
fn warn_of_what_is_open(settings: &HttpSettings) {
    if settings.bind.ip().to_canonical().is_loopback() {
        return;
    }
    if settings.tokens_file.is_none() {
        tracing::warn!("nobody has to show a token: whoever reaches the server may deploy and delete");
    } else if settings.tls_cert.is_none() {
        tracing::warn!(
            "tokens come in the clear: set `MCP_TLS_CERT`, or let only a proxy with TLS reach the server"
        );
    }
}

fn listen(
    api: &Api,
    settings: &HttpSettings,
    started: impl FnOnce(SocketAddr),
) -> Result<Server, ServeError> {
    let rules = Arc::new(Guard::new(settings).map_err(ServeError::Settings)?);
    let tls = match (&settings.tls_cert, &settings.tls_key) {
        (Some(certificate), Some(key)) => Some(tls::config(certificate.clone(), key.clone())),
        (None, None) => None,
        _ => Some(Err("TLS needs both a certificate and a key: `MCP_TLS_CERT` and `MCP_TLS_KEY`".to_owned())),
    };
    let tls = tls.transpose().map_err(ServeError::Settings)?;
    warn_of_what_is_open(settings);
    let arrival = api.arrival();
    let api = api.clone();
    let origins = settings.allowed_origins.clone();
    let app = move || {
        let (rules, observed) = (Arc::clone(&rules), api.clone());
        App::new()
            .configure(configure(&api))
            .default_service(web::to(nothing))
            .wrap(from_fn(move |request, next| guard::middleware(Arc::clone(&rules), request, next)))
            .wrap(from_fn(move |request, next| observe::middleware(observed.clone(), request, next)))
            // Outside of all, so that an allowed page can read what went wrong too.
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
    };
    let server = HttpServer::new(app)
        .workers(WORKERS)
        .client_request_timeout(arrival)
        .keep_alive(KEEP_ALIVE)
        // Who has gone reads no stream any more: what feeds it is let go of at once.
        .h1_allow_half_closed(false)
        .shutdown_timeout(grace(settings).as_secs())
        .disable_signals();
    let server = match tls {
        Some(tls) => server.bind_rustls_0_23(settings.bind, tls),
        None => server.bind(settings.bind),
    };
    let server = server.map_err(|source| ServeError::Bind { address: settings.bind, source })?;
    started(server.addrs().first().copied().unwrap_or(settings.bind));
    Ok(server.run())
}
