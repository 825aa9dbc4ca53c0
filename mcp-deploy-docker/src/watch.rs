//! What happens to containers of ours, as the daemon tells it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use mcp_deploy_core::{
    Deployment, DeploymentBackend, DeploymentName, Event, EventStream, Result, Selector, Status,
};
use tokio::time::sleep;

use crate::backend::DockerBackend;
use crate::names;

/// Between a cut and the next try.
const PAUSE_AFTER_CUT: Duration = Duration::from_millis(500);
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
    seen: BTreeMap<DeploymentName, Deployment>,
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
            tokio::select! {
                event = events.next() => {
                    if let Some(Ok(_)) = event {
                        self.look().await;
                    } else {
                        (self.events, self.cut) = (None, true);
                    }
                }
                () = look_again => self.look().await,
            }
        }
    }

    /// Listens first and looks then, so that nothing is missed between.
    async fn open(&mut self) {
        if self.cut {
            sleep(PAUSE_AFTER_CUT).await;
        }
        self.seen.clear();
        let mut filters: HashMap<&str, Vec<String>> = names::ours();
        filters.insert("type", vec!["container".to_owned()]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        match self.backend.docker() {
            Ok(docker) => self.events = Some(docker.events(Some(options)).boxed()),
            Err(error) => {
                self.cut = true;
                self.queue.push_back(Err(error));
                return;
            }
        }
        self.look().await;
        if self.events.is_some() {
            self.queue.push_back(Ok(Event::Synced));
        }
    }

    /// Queues what has changed since the last look.
    async fn look(&mut self) {
        let deployments = match self.backend.list(&self.selector).await {
            Ok(deployments) => deployments,
            Err(error) => {
                (self.events, self.cut) = (None, true);
                self.queue.push_back(Err(error));
                return;
            }
        };
        let now = deployments.into_iter().map(|deployment| (deployment.name.clone(), deployment)).collect();
        self.queue.extend(Event::between(&self.seen, &now).into_iter().map(Ok));
        self.seen = now;
    }
}
