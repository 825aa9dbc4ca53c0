//! What happens to simulated deployments, as it happens.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use mcp_deploy_core::{Deployment, DeploymentName, Event, EventStream, Result, Selector};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::backend::MockBackend;

/// How often a file is looked at that another process may have changed, and a platform that was away.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The moments at which something may have changed: a verb was called, or time has passed a phase.
pub(crate) struct Changes {
    backend: MockBackend,
    verbs: watch::Receiver<u64>,
    /// Since when nobody has looked.
    since: Timestamp,
}

impl Changes {
    pub(crate) fn new(backend: MockBackend) -> Self {
        Self { verbs: backend.verbs(), backend, since: Timestamp::now() }
    }

    /// Waits for the next one after the last.
    pub(crate) async fn next(&mut self) {
        self.next_within(None).await;
    }

    /// Waits for the next one, but not longer.
    async fn next_within(&mut self, longest: Option<Duration>) {
        let look_again = self.backend.is_shared().then_some(LOOK_AGAIN);
        // It may be past already: whoever looks may take their time.
        let passed = Duration::try_from(Timestamp::now().duration_since(self.since)).unwrap_or_default();
        let next_phase = self.backend.next_change(self.since).map(|phase| phase.saturating_sub(passed));
        match next_phase.into_iter().chain(look_again).chain(longest).min() {
            // It cannot end: we hold the backend, and that the other end.
            None => drop(self.verbs.changed().await),
            Some(pause) => tokio::select! {
                _ = self.verbs.changed() => {}
                // A boundary is passed when it is behind us.
                () = sleep(pause + Duration::from_millis(1)) => {}
            },
        }
        self.since = Timestamp::now();
    }
}

pub(crate) fn stream(backend: MockBackend, selector: Selector) -> EventStream {
    let watching = Watching {
        changes: Changes::new(backend.clone()),
        backend,
        selector,
        seen: None,
        first: true,
        queue: VecDeque::new(),
    };
    let step = |mut watching: Watching| async move { Some((watching.next().await, watching)) };
    stream::unfold(watching, step).boxed()
}

struct Watching {
    backend: MockBackend,
    selector: Selector,
    changes: Changes,
    /// What was told; `None` before the first look and after a cut.
    seen: Option<BTreeMap<DeploymentName, Arc<Deployment>>>,
    first: bool,
    queue: VecDeque<Result<Event>>,
}

impl Watching {
    async fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return event;
            }
            if !std::mem::take(&mut self.first) {
                // After an error the platform may be back without telling.
                self.changes.next_within(self.seen.is_none().then_some(LOOK_AGAIN)).await;
            }
            self.look();
        }
    }

    /// Queues what has changed since the last look.
    fn look(&mut self) {
        let deployments = match self.backend.observe(&self.selector) {
            Ok(deployments) => deployments,
            Err(error) => {
                self.seen = None;
                self.queue.push_back(Err(error));
                return;
            }
        };
        let now = deployments.into_iter().map(|deployment| (deployment.name.clone(), deployment)).collect();
        let before = self.seen.replace(now);
        let is_start = before.is_none();
        let events = Event::between(&before.unwrap_or_default(), self.seen.get_or_insert_default());
        self.queue.extend(events.into_iter().map(Ok));
        if is_start {
            self.queue.push_back(Ok(Event::Synced));
        }
    }
}
