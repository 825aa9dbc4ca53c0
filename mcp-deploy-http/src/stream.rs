//! Answers that go on: server-sent events (WHATWG HTML, "Server-sent events"), and lines of text.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt, once, unfold};
use serde::Serialize;
use tokio::time::timeout;

use crate::api::StreamPlace;
use crate::problem::Problem;

/// Something is sent at least so often, so that whoever stands between does not take the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct ServerSentEvent(Bytes);

impl ServerSentEvent {
    /// An event of a kind, with a value as JSON, which has no line breaks.
    pub(crate) fn event(kind: &str, value: &impl Serialize) -> Self {
        let json = serde_json::to_string(value).expect("what is sent is JSON");
        Self(format!("event: {kind}\ndata: {json}\n\n").into())
    }

    pub(crate) fn problem(problem: &Problem, request_id: Option<&str>) -> Self {
        problem.log();
        Self::event("problem", &problem.document(request_id))
    }

    fn comment(text: &str) -> Self {
        Self(format!(": {text}\n\n").into())
    }
}

/// The answer to `HEAD`, which has no body that anybody would wait for; `None` for another method.
pub(crate) fn head_alone(request: &HttpRequest, media_type: &'static str) -> Option<HttpResponse> {
    (*request.method() == Method::HEAD).then(|| {
        let mut head = HttpResponse::Ok();
        head.content_type(media_type)
            .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
            .finish()
    })
}

/// An answer of events, until they end or the server does.
pub(crate) fn events(
    place: StreamPlace,
    events: impl Stream<Item = ServerSentEvent> + Send + 'static,
) -> HttpResponse {
    let closing = place.closing.clone();
    let events = events.take_until(place.closing.clone().cancelled_owned());
    let end =
        once(async move { closing.is_cancelled().then(|| ServerSentEvent::comment("the server ends")) });
    events_to_their_end(place, events.chain(end.filter_map(ready)))
}

/// An answer of events that end by themselves: a server that ends waits for them.
pub(crate) fn events_to_their_end(
    place: StreamPlace,
    events: impl Stream<Item = ServerSentEvent> + Send + 'static,
) -> HttpResponse {
    let bytes = kept_alive(events.boxed()).map(move |ServerSentEvent(bytes)| {
        // Held until the last event.
        let _place = &place;
        Ok::<_, Infallible>(bytes)
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .streaming(bytes)
}

/// An answer of lines, until they end or the server does.
pub(crate) fn lines(place: StreamPlace, lines: impl Stream<Item = String> + Send + 'static) -> HttpResponse {
    let lines = lines.take_until(place.closing.clone().cancelled_owned());
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .streaming(lines.map(move |line| {
            // Held until the last line.
            let _place = &place;
            Ok::<_, Infallible>(Bytes::from(line))
        }))
}

fn kept_alive(
    events: BoxStream<'static, ServerSentEvent>,
) -> impl Stream<Item = ServerSentEvent> + Send + 'static {
    unfold(events, |mut events| async move {
        match timeout(KEEP_ALIVE, events.next()).await {
            Ok(event) => event.map(|event| (event, events)),
            Err(_) => Some((ServerSentEvent::comment("still here"), events)),
        }
    })
}
