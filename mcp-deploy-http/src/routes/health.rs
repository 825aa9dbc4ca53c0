//! Whether the process lives, and whether its platforms can be reached.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use serde_json::{Map, json};

use super::backends::check;
use crate::api::Api;
use crate::problem::Problem;

/// The process lives.
pub(crate) async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// Which platforms can be reached; 503 where the default one cannot.
pub(crate) async fn ready(api: Data<Api>, _request: HttpRequest) -> HttpResponse {
    let backends = api.manager().backends();
    let asked = backends.iter().map(|backend| async move {
        let answer = match check(&**backend).await {
            Ok(_) => json!("ready"),
            Err(error) => {
                let problem = Problem::from(error);
                problem.log();
                problem.document(None)
            }
        };
        (backend.name().to_owned(), answer)
    });
    let default = backends.default_name().unwrap_or_default();
    let backends: Map<_, _> = join_all(asked).await.into_iter().collect();
    let is_ready = backends.get(default).is_some_and(|answer| answer == "ready");
    let mut response = if is_ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(json!({"status": if is_ready { "ready" } else { "unavailable" }, "backends": backends}))
}
