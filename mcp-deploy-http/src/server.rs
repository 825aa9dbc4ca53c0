//! The server: where it listens, and how it ends.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, HttpServer, web};
use mcp_deploy_core::HttpSettings;
use tokio::time::timeout;

use crate::api::Api;
use crate::guard::{self, Guard};
use crate::request_id;
use crate::routes::{configure, nothing};

/// A client has to have sent the head of its request by then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long requests and changes that are under way may take when the server ends.
const GRACE: Duration = Duration::from_secs(30);
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

/// Serves the API until `shutdown` ends: then streams end, and what is under way is finished. `started` is told
/// where it listens.
///
/// # Errors
///
/// Those of the start; and what breaks it later.
pub async fn serve(
    api: Api,
    settings: &HttpSettings,
    started: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let serving = listen(&api, settings, started)?;
    let handle = serving.handle();
    let ending = async {
        shutdown.await;
        api.close();
        handle.stop(true).await;
        if timeout(GRACE, api.finished()).await.is_err() {
            tracing::warn!("the server ends while a deploy is under way");
        }
    };
    let (outcome, ()) = tokio::join!(serving, ending);
    outcome.map_err(ServeError::Broken)
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

fn listen(
    api: &Api,
    settings: &HttpSettings,
    started: impl FnOnce(SocketAddr),
) -> Result<Server, ServeError> {
    let rules = Arc::new(Guard::new(settings).map_err(ServeError::Settings)?);
    let api = api.clone();
    let origins = settings.allowed_origins.clone();
    let app = move || {
        let rules = Arc::clone(&rules);
        App::new()
            .configure(configure(&api))
            .default_service(web::to(nothing))
            .wrap(from_fn(move |request, next| guard::middleware(Arc::clone(&rules), request, next)))
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .wrap(from_fn(request_id::middleware))
    };
    let server = HttpServer::new(app)
        .workers(WORKERS)
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        // Who has gone reads no stream any more: what feeds it is let go of at once.
        .h1_allow_half_closed(false)
        .shutdown_timeout(GRACE.as_secs())
        .disable_signals()
        .bind(settings.bind);
    let server = server.map_err(|source| ServeError::Bind { address: settings.bind, source })?;
    started(server.addrs().first().copied().unwrap_or(settings.bind));
    Ok(server.run())
}
