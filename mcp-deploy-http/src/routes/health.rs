//! Whether the process lives, and whether its platforms can be reached.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use serde::Serialize;
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

/// The process lives.
pub(crate) async fn health() -> HttpResponse {
    HttpResponse::Ok().json(HealthAnswer { status: Alive::Ok })
}

/// Which platforms can be reached; 503 where the default one cannot.
pub(crate) async fn ready(api: Data<Api>, _request: HttpRequest) -> HttpResponse {
    let backends = api.manager().backends();
    let asked = backends.iter().map(|backend| async move {
        let answer = match check(&**backend).await {
            Ok(_) => BackendReadiness::Ready(BackendReady::Ready),
            Err(error) => {
                let problem = Problem::from(error);
                problem.log();
                BackendReadiness::Unavailable(Box::new(problem.document(None)))
            }
        };
        (backend.name(), answer)
    });
    let default = backends.default_name().unwrap_or_default();
    let backends: BTreeMap<_, _> = join_all(asked).await.into_iter().collect();
    match backends.get(default) {
        Some(BackendReadiness::Ready(_)) => {
            HttpResponse::Ok().json(ReadyAnswer { status: Readiness::Ready, backends })
        }
        _ => {
            HttpResponse::ServiceUnavailable().json(ReadyAnswer { status: Readiness::Unavailable, backends })
        }
    }
}
