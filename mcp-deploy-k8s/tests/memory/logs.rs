//! What containers write, run by run, and reading it as a kubelet lets one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use super::Server;
use super::route::Query;
use super::serve::{Asked, Body, response};
use super::status::Status;
use super::store::Key;

const CONTAINER: &str = "mcp-server";

/// The runs of all containers, by the container id that their status has.
#[derive(Debug, Default)]
pub(super) struct Logs(Mutex<BTreeMap<String, Arc<Run>>>);

/// What one run has written.
#[derive(Debug, Default)]
pub(super) struct Run(watch::Sender<Written>);

#[derive(Debug, Default)]
struct Written {
    lines: Vec<(Timestamp, String)>,
    is_over: bool,
}

impl Logs {
    pub(super) fn begin(&self, container_id: &str) -> Arc<Run> {
        let run = Arc::<Run>::default();
        self.0.lock().unwrap().insert(container_id.to_owned(), Arc::clone(&run));
        run
    }

    fn find(&self, container_id: &str) -> Option<Arc<Run>> {
        self.0.lock().unwrap().get(container_id).cloned()
    }
}

impl Run {
    pub(super) fn write(&self, line: &str) {
        self.0.send_modify(|written| {
            // No two lines of one moment: readers go on from the last one that they have.
            let earliest = written.lines.last().map(|(last, _)| *last + Duration::from_nanos(1));
            let now = Timestamp::now();
            written.lines.push((earliest.map_or(now, |earliest| now.max(earliest)), line.to_owned()));
        });
    }

    pub(super) fn end(&self) {
        self.0.send_modify(|written| written.is_over = true);
    }
}

pub(super) fn log(server: &Server, asked: &Asked, pod: &str) -> Result<Response<Body>, Status> {
    let found = server.store.read().found(&Key::of(&asked.route, pod))?;
    let run = server.logs.find(container_id(&found.value, pod, asked.query.is("previous"))?);
    let run = run.ok_or_else(|| Status::new(500, "InternalError", "the log of the run is gone"))?;
    let reading = Reading::of(&run, &asked.query)?;
    let chunks = stream::unfold(reading, |mut reading| async move {
        let chunk = reading.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(chunk))), reading))
    });
    Ok(response(200, "text/plain", StreamBody::new(chunks).boxed_unsync()))
}

/// The run whose log it is: of one that waits to run again, the last one, which is the one before, too.
fn container_id<'a>(pod: &'a Value, name: &str, is_previous: bool) -> Result<&'a str, Status> {
    let status = &pod["status"]["containerStatuses"][0];
    let last = status["lastState"]["terminated"]["containerID"].as_str();
    if is_previous {
        return last.ok_or_else(|| {
            let message =
                format!("previous terminated container \"{CONTAINER}\" in pod \"{name}\" not found");
            Status::bad_request(message)
        });
    }
    let state = &status["state"];
    let current = match state["running"] {
        Value::Null => state["terminated"]["containerID"].as_str(),
        _ => status["containerID"].as_str(),
    };
    current.or(last).ok_or_else(|| {
        let why = match state["waiting"]["reason"].as_str() {
            Some("ErrImagePull") => "image can't be pulled",
            Some("ImagePullBackOff") => "trying and failing to pull image",
            reason => reason.unwrap_or("ContainerCreating"),
        };
        let message = format!("container \"{CONTAINER}\" in pod \"{name}\" is waiting to start: {why}");
        Status::bad_request(message)
    })
}

struct Reading {
    written: watch::Receiver<Written>,
    /// How many lines are read, or left out.
    read: usize,
    since: Option<Timestamp>,
    has_timestamps: bool,
    is_following: bool,
}

impl Reading {
    fn of(run: &Run, query: &Query) -> Result<Self, Status> {
        let since = query.get("sinceTime").map(str::parse).transpose();
        let since = since.map_err(|error: jiff::Error| Status::bad_request(error.to_string()))?;
        let written = run.0.subscribe();
        let read =
            query.number("tailLines").map_or(0, |tail| written.borrow().lines.len().saturating_sub(tail));
        Ok(Self {
            written,
            read,
            since,
            has_timestamps: query.is("timestamps"),
            is_following: query.is("follow"),
        })
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            let (chunk, is_over) = self.take();
            if !chunk.is_empty() {
                return Some(chunk);
            }
            if is_over || !self.is_following {
                return None;
            }
            self.written.changed().await.ok()?;
        }
    }

    fn take(&mut self) -> (String, bool) {
        let written = self.written.borrow_and_update();
        let mut chunk = String::new();
        for (at, line) in &written.lines[self.read..] {
            if self.since.is_some_and(|since| *at < since) {
                continue;
            }
            if self.has_timestamps {
                let _ = write!(chunk, "{at:.9} ");
            }
            chunk.push_str(line);
            chunk.push('\n');
        }
        self.read = written.lines.len();
        (chunk, written.is_over)
    }
}
