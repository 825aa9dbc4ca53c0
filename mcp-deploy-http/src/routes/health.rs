//! Whether the process lives, and whether its platforms can be reached.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::backends::check;
use crate::api::Api;
use crate::problem::{Problem, ProblemDocument};

/// That the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    status: Alive,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Alive {
    Ok,
}

/// Which platforms can be reached.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadyAnswer {
    /// Whether the default platform can be.
    status: Readiness,
    /// The backends by name: `ready`, or why not.
    backends: BTreeMap<&'static str, BackendReadiness>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Readiness {
    Ready,
    Unavailable,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum BackendReadiness {
    Ready(BackendReady),
    Unavailable(Box<ProblemDocument>),
}

#[derive(Debug, Serialize, ToSchema)]
enum BackendReady {
    #[serde(rename = "ready")]
    Ready,
}

/// How long an answer is good for others: whoever may ask without a token shall not keep the platforms busy.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// The process lives.
pub(crate) async fn health() -> HttpResponse {
    HttpResponse::Ok().json(HealthAnswer { status: Alive::Ok })
}

/// Which platforms can be reached; 503 where the default one cannot. Those who ask within a second share an answer.
pub(crate) async fn ready(api: Data<Api>, _request: HttpRequest) -> HttpResponse {
    let mut last = api.last_look().lock().await;
    if last.as_ref().is_none_or(|(at, _)| at.elapsed() >= SHARED_FOR) {
        let now = look(&api).await;
        *last = Some((Instant::now(), now));
    }
    match last.as_ref() {
        Some((_, answer @ ReadyAnswer { status: Readiness::Ready, .. })) => HttpResponse::Ok().json(answer),
        answer => HttpResponse::ServiceUnavailable().json(answer.map(|(_, answer)| answer)),
    }
}

async fn look(api: &Api) -> ReadyAnswer {
    let backends = api.manager().backends();
    let asked = backends.iter().map(|backend| async move {
        let answer = match check(&**backend).await {
            Ok(_) => BackendReadiness::Ready(BackendReady::Ready),
            Err(error) => BackendReadiness::Unavailable(Box::new(Problem::from(error).document(None))),
        };
        (backend.name(), answer)
    });
    let default = backends.default_name().unwrap_or_default();
    let backends: BTreeMap<_, _> = join_all(asked).await.into_iter().collect();
    let status = match backends.get(default) {
        Some(BackendReadiness::Ready(_)) => Readiness::Ready,
        _ => Readiness::Unavailable,
    };
    ReadyAnswer { status, backends }
}
