//! What a server wrote.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use mcp_deploy_core::{LogLine, LogOptions};

use super::name;
use crate::accept::{EVENTS, TEXT, wants_events};
use crate::api::Api;
use crate::problem::Problem;
use crate::query::Query;
use crate::request_id;
use crate::stream::{ServerSentEvent, events, head_alone, lines};

/// As text, a line each, or as events.
pub(crate) async fn logs(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let backend = query.text("backend");
    let options = LogOptions {
        tail: query.take::<u32>("tail", "a number of lines").and_then(|lines| lines.try_into().ok()),
        since: query.take::<Timestamp>("since", "a time as in `2026-11-23T02:00:00Z` (RFC 3339)"),
        follow: query.flag("follow"),
        previous: query.flag("previous"),
    };
    let timestamps = query.flag("timestamps");
    query.finish()?;
    let name = name(&request)?;
    let place = api.stream_place()?;
    let log = api.ask(api.manager().logs(backend.as_deref(), &name, options)).await?;
    // A log that is not followed has an end, and a platform that keeps it to itself is not waited for.
    let log = if options.follow { log.map_err(Problem::from).boxed() } else { api.in_time(log).boxed() };
    let media_type = if wants_events(&request, TEXT) { EVENTS } else { TEXT };
    if let Some(head) = head_alone(&request, media_type) {
        return Ok(head);
    }
    let request_id = request_id::of(&request);
    if media_type == EVENTS {
        let log = log.map(move |line| match line {
            Ok(line) => ServerSentEvent::event("line", &line),
            Err(problem) => ServerSentEvent::problem(&problem, request_id.as_deref()),
        });
        return Ok(events(place, log));
    }
    Ok(lines(
        place,
        log.map(move |line| match line {
            Ok(line) => text(&line, timestamps),
            Err(problem) => {
                problem.log();
                format!("error: {problem}\n")
            }
        }),
    ))
}

fn text(line: &LogLine, timestamps: bool) -> String {
    let at = line.timestamp.filter(|_| timestamps);
    let at = at.map_or_else(String::new, |at| format!("{at:.3} "));
    format!("{at}{}\n", line.message)
}
