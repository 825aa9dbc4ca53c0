//! What happens to containers of ours, as the daemon tells it.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use mcp_deploy_core::{Deployment, DeploymentName, Event, EventStream, Result, Selector, Status};
use tokio::time::sleep;

use crate::handle::DockerBackend;
use crate::labels;
use crate::list::Look;

/// Between a cut and the next try.
const PAUSE_AFTER_CUT: Duration = Duration::from_millis(500);
/// How far the daemon's clock may be behind ours: an event twice costs a look, one that is missed is lost.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);
/// How often a deployment is looked at that becomes well by time alone: the daemon tells of no such moment.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Events = BoxStream<'static, Result<EventMessage, bollard::errors::Error>>;

pub(crate) fn stream(backend: DockerBackend, selector: Selector) -> EventStream {
    let watching = Watching {
        backend,
        selector,
        events: None,
        seen: BTreeMap::new(),
        queue: VecDeque::new(),
        cut: false,
    };
    let step = |mut watching: Watching| async move { Some((watching.next().await, watching)) };
    stream::unfold(watching, step).boxed()
}

struct Watching {
    backend: DockerBackend,
    selector: Selector,
    /// `None` before the first look and after a cut.
    events: Option<Events>,
    seen: BTreeMap<DeploymentName, Arc<Deployment>>,
    queue: VecDeque<Result<Event>>,
    cut: bool,
}

impl Watching {
    async fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return event;
            }
            let Some(events) = &mut self.events else {
                self.open().await;
                continue;
            };
            let settles = self.seen.values().any(|deployment| deployment.status == Status::Starting);
            let look_again =
                async { if settles { sleep(LOOK_AGAIN).await } else { std::future::pending().await } };
            let is_cut = tokio::select! {
                event = events.next() => !matches!(event, Some(Ok(_))) || drain(events),
                () = look_again => false,
            };
            if is_cut {
                (self.events, self.cut) = (None, true);
            } else {
                self.look().await;
            }
        }
    }

    /// Listens first and looks then, so that nothing is missed between. The daemon is asked only when the events
    /// are read for the first time; it then begins with what has happened since before the look, by its own clock.
    async fn open(&mut self) {
        if self.cut {
            sleep(PAUSE_AFTER_CUT).await;
        }
        let mut filters = labels::filter(&self.selector);
        filters.insert("type", vec!["container".to_owned()]);
        let since = (Timestamp::now() - CLOCKS_DIFFER).as_second().to_string();
        let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
        match self.backend.docker().await {
            Ok(docker) => self.events = Some(docker.events(Some(options)).boxed()),
            Err(error) => {
                self.cut = true;
                self.queue.push_back(Err(error));
                return;
            }
        }
        // All is told again, and also what has gone while nobody looked.
        let before = mem::take(&mut self.seen);
        self.look().await;
        if self.events.is_none() {
            self.seen = before;
            return;
        }
        let gone = before.into_keys().filter(|name| !self.seen.contains_key(name));
        self.queue.extend(gone.map(|name| Ok(Event::Gone(name))));
        self.queue.push_back(Ok(Event::Synced));
    }

    /// Queues what has changed since the last look.
    async fn look(&mut self) {
        let deployments = match self.backend.look(&self.selector, Look::Exact).await {
            Ok(deployments) => deployments,
            Err(error) => {
                (self.events, self.cut) = (None, true);
                self.queue.push_back(Err(error));
                return;
            }
        };
        let now = deployments
            .into_iter()
            .map(|deployment| (deployment.name.clone(), Arc::new(deployment)))
            .collect();
        self.queue.extend(Event::between(&self.seen, &now).into_iter().map(Ok));
        self.seen = now;
    }
}

/// Takes all events that are there, since one look is enough for them; whether they came to an end.
fn drain(events: &mut Events) -> bool {
    loop {
        match events.next().now_or_never() {
            None => return false,
            Some(Some(Ok(_))) => {}
            Some(None | Some(Err(_))) => return true,
        }
    }
}
