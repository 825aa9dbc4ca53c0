//! What a client accepts (RFC 9110, 12.5.1).

use actix_web::HttpRequest;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, Accept, Header, Quality};
use actix_web::middleware::Next;
use actix_web::mime::{Mime, STAR};

use crate::problem::Problem;

pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain";
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text";
/// Server-sent events.
pub(crate) const EVENTS: &str = "text/event-stream";

/// Refuses a request whose `Accept` admits none of the media types that the resource has, where it has certain ones.
pub(crate) async fn middleware(
    offered: &'static [&'static str],
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if let Some(accepted) = accepted(request.request())
        && !offered.is_empty()
        && !offered.iter().any(|offered| quality(&accepted, offered) > Quality::ZERO)
    {
        let detail = format!("this resource is `{}`, which `Accept` does not admit", offered.join("` or `"));
        let problem = Problem::request(StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail);
        return Ok(request.error_response(problem));
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// Whether the client wants events rather than the usual answer.
pub(crate) fn wants_events(request: &HttpRequest, usual: &str) -> bool {
    accepted(request).is_some_and(|accepted| quality(&accepted, EVENTS) > quality(&accepted, usual))
}

/// `None` where there is no `Accept`, or one that cannot be read.
fn accepted(request: &HttpRequest) -> Option<Accept> {
    request.headers().contains_key(ACCEPT).then(|| Accept::parse(request).ok())?.filter(|all| !all.is_empty())
}

/// How much a media type is wanted: what the most exact of the ranges that hold it says.
fn quality(accepted: &Accept, offered: &str) -> Quality {
    let offered: Mime = offered.parse().expect("ours are media types");
    let of = |range: &Mime| match (range.type_(), range.subtype()) {
        (STAR, STAR) => Some(0),
        (kind, STAR) if kind == offered.type_() => Some(1),
        _ if range.essence_str() == offered.essence_str() => Some(2),
        _ => None,
    };
    let held = accepted.iter().filter_map(|range| Some((of(&range.item)?, range.quality)));
    held.max_by_key(|(exactness, _)| *exactness).map_or(Quality::ZERO, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn accepting(accept: &str) -> HttpRequest {
        TestRequest::default().insert_header(("accept", accept)).to_http_request()
    }

    #[test]
    fn the_most_exact_range_counts() {
        let quality = |accept: &str, offered| quality(&accepted(&accepting(accept)).unwrap(), offered);
        assert_eq!(quality("*/*", "application/json"), Quality::MAX);
        assert_eq!(quality("text/*", "application/json"), Quality::ZERO);
        assert_eq!(quality("*/*, application/json;q=0", "application/json"), Quality::ZERO);
        assert!(quality("application/json;q=0.5, */*;q=0.1", "application/json") < Quality::MAX);
        assert_eq!(quality("text/plain", "text/plain; charset=utf-8"), Quality::MAX);
    }

    #[test]
    fn events_are_sent_to_who_wants_them_more() {
        assert!(wants_events(&accepting("text/event-stream"), "application/json"));
        assert!(wants_events(&accepting("text/event-stream, application/json;q=0.9"), "application/json"));
        assert!(!wants_events(&accepting("*/*"), "application/json"));
        assert!(!wants_events(&accepting("application/json, text/event-stream"), "application/json"));
        assert!(!wants_events(&TestRequest::default().to_http_request(), "application/json"));
    }
}
