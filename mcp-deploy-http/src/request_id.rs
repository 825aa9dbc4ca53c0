//! Each request has an id: the client's own, or a new one. It is in the answer, in problems and in the log.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderName;
use actix_web::{HttpMessage, HttpRequest};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// A client's id is kept up to this length.
const LONGEST: usize = 128;

#[derive(Debug, Clone)]
struct RequestId(String);

/// The id of a request, once it has one.
pub(crate) fn of(request: &HttpRequest) -> Option<String> {
    request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone())
}

/// Gives the request its id.
pub(crate) fn give(request: &ServiceRequest) -> String {
    let id = given(request).unwrap_or_else(random);
    request.extensions_mut().insert(RequestId(id.clone()));
    id
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
