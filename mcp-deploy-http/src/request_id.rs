//! Each request has an id: the client's own, or a new one. It is in the answer, in problems and in the log.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use tracing::Instrument;

use crate::problem::Problem;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// A client's id is kept up to this length.
const LONGEST: usize = 128;

#[derive(Debug, Clone)]
struct RequestId(String);

/// The id of a request.
pub(crate) fn of(request: &HttpRequest) -> Option<String> {
    request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone())
}

/// Gives the request its id, and answers with it.
pub(crate) async fn middleware(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if of(request.request()).is_some() {
        // Whoever stands before this one has given it, and will answer with it.
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let id = given(&request).unwrap_or_else(random);
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.path());
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
        answer.headers_mut().insert(HEADER, id);
    }
    Ok(answer)
}

/// The client's own id, where it can stand in a log.
fn given(request: &ServiceRequest) -> Option<String> {
    let id = request.headers().get(HEADER)?.to_str().ok()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '+' | '=');
    (!id.is_empty() && id.len() <= LONGEST && id.chars().all(fits)).then(|| id.to_owned())
}

fn random() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}
