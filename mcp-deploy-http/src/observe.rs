//! What is seen of every request from outside: its id in the answer, a span in the log, a count.

use actix_web::Error;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderValue;
use actix_web::middleware::Next;
use tokio::time::Instant;
use tracing::Instrument;

use crate::api::Api;
use crate::problem::Problem;
use crate::request_id;

pub(crate) async fn middleware(
    api: Api,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request_id::of(request.request()).is_some() {
        // Whoever stands before this one does it.
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let begun_at = Instant::now();
    let method = request.method().clone();
    let id = request_id::give(&request);
    let span = tracing::info_span!("request", id, %method, path = request.path());
    let answer = next.call(request).instrument(span.clone()).await?;
    let problem = answer.response().error().and_then(|error| error.as_error::<Problem>());
    let mut answer = match problem.map(|problem| {
        span.in_scope(|| problem.log());
        problem.response(Some(&id))
    }) {
        Some(told) => answer.into_response(told),
        None => answer.map_into_boxed_body(),
    };
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(request_id::HEADER, id);
    }
    let route = answer.request().match_pattern();
    api.metrics().answered(&method, route, answer.status(), begun_at.elapsed());
    Ok(answer)
}
