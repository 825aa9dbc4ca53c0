//! What is counted.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::api::Api;
use crate::metrics::MEDIA_TYPE;
use crate::problem::Problem;
use crate::query::Query;

/// The requests, the changes and what is under way, for Prometheus.
pub(crate) async fn metrics(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    Ok(HttpResponse::Ok().content_type(MEDIA_TYPE).body(api.metrics().text(&api)))
}
