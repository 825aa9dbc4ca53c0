//! Watches: what happens to the chosen objects after a version, one JSON object a line, until somebody ends it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use super::list::Selection;
use super::serve::{Asked, Body, response};
use super::store::{Change, State};
use super::{Server, object};

/// How long a watch goes on that sets no time.
const LONGEST: u64 = 1800;

struct Watching {
    server: Arc<Server>,
    asked: Asked,
    selection: Selection,
    /// What has happened up to here was told.
    version: u64,
    queue: VecDeque<Value>,
    versions: Receiver<u64>,
    cuts: Receiver<u64>,
    ends_at: Instant,
    is_broken: bool,
}

pub(super) fn watch(server: Arc<Server>, asked: Asked) -> Response<Body> {
    let seconds = asked.query.get("timeoutSeconds").and_then(|seconds| seconds.parse().ok());
    let mut watching = Watching {
        selection: Selection::of(&asked.query),
        version: 0,
        queue: VecDeque::new(),
        versions: server.store.versions(),
        cuts: server.faults.cuts(),
        ends_at: Instant::now() + Duration::from_secs(seconds.unwrap_or(LONGEST)),
        is_broken: false,
        asked,
        server,
    };
    watching.begin();
    let lines = stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        let line = Bytes::from(format!("{event}\n"));
        Some((Ok::<_, Infallible>(Frame::data(line)), watching))
    });
    response(200, "application/json", StreamBody::new(lines).boxed_unsync())
}

impl Watching {
    fn begin(&mut self) {
        let server = Arc::clone(&self.server);
        let state = server.store.read();
        let version = self.asked.query.get("resourceVersion").and_then(|version| version.parse().ok());
        self.version = version.unwrap_or(0);
        if self.version == 0 {
            self.tell_all(&state);
        } else if let Err(status) = state.check_version(self.version) {
            self.queue.push_back(json!({"type": "ERROR", "object": status.to_json()}));
            self.is_broken = true;
            return;
        }
        if self.asked.query.is("allowWatchBookmarks") {
            let kind = self.asked.route.kind;
            let bookmark = json!({
                "apiVersion": kind.api_version(), "kind": kind.kind,
                "metadata": {"resourceVersion": self.version.to_string()},
            });
            self.queue.push_back(json!({"type": "BOOKMARK", "object": bookmark}));
        }
    }

    /// Without a version, what is there comes first.
    fn tell_all(&mut self, state: &State) {
        let route = &self.asked.route;
        let found = state.list(route.kind.resource, route.namespace.as_deref());
        for (_, value) in found.filter(|(_, value)| self.selection.chooses(value)) {
            self.queue.push_back(event("ADDED", value, self.asked.only_metadata));
        }
        self.version = state.version;
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.is_broken {
                return None;
            }
            self.versions.borrow_and_update();
            self.take_in();
            if !self.queue.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.versions.changed() => changed.ok()?,
                _ = self.cuts.changed() => return None,
                () = sleep_until(self.ends_at) => return None,
            }
        }
    }

    fn take_in(&mut self) {
        let state = self.server.store.read();
        for change in state.since(self.version) {
            self.queue.extend(self.told(change));
        }
        self.version = state.version;
    }

    /// What a change is to whoever sees the chosen objects alone.
    fn told(&self, change: &Change) -> Option<Value> {
        let Change { key, before, after, last, .. } = change;
        let route = &self.asked.route;
        let is_here = key.resource == route.kind.resource
            && route.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace);
        if !is_here {
            return None;
        }
        let is_chosen = |object: &Option<Arc<Value>>| {
            object.as_ref().is_some_and(|object| self.selection.chooses(object))
        };
        let what = match (is_chosen(before), is_chosen(after)) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => return None,
        };
        Some(event(what, last, self.asked.only_metadata))
    }
}

fn event(what: &str, value: &Value, only_metadata: bool) -> Value {
    let value = if only_metadata { object::only_metadata(value) } else { value.clone() };
    json!({"type": what, "object": value})
}
