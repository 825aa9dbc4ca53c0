//! What happens on a backend, watched once for all who want to know.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::stream::{Stream, StreamExt, unfold};
use mcp_deploy_core::{
    Deployment, DeploymentBackend, DeploymentName, Event, EventStream, Selector, TemplateId,
};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio_util::task::AbortOnDropHandle;

use crate::problem::Problem;
use crate::stream::Sent;

/// A listener that is so far behind is let go of: it connects again, and begins with the state.
const LONGEST_QUEUE: usize = 1024;

/// What is told, written once for all.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// Of a deployment of a template.
    Of { name: DeploymentName, template: TemplateId, sent: Sent },
    /// The state is told.
    Synced,
    /// The platform cannot be watched just now.
    Trouble(Arc<Problem>),
}

/// The feeds of the backends that somebody listens to.
#[derive(Debug, Default)]
pub(crate) struct Feeds(Mutex<BTreeMap<&'static str, Weak<Feed>>>);

impl Feeds {
    /// The feed of a backend, begun where nobody listens yet; it lives for as long as somebody does.
    pub(crate) fn of(&self, backend: &dyn DeploymentBackend, runtime: &Handle) -> Arc<Feed> {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(backend.name()).and_then(Weak::upgrade) {
            return feed;
        }
        let feed = Arc::new(Feed::start(backend.watch(Selector::default()), runtime));
        feeds.insert(backend.name(), Arc::downgrade(&feed));
        feed
    }
}

/// The watch of a backend, which ends when this is dropped.
pub(crate) struct Feed {
    shared: Arc<Shared>,
    _watching: AbortOnDropHandle<()>,
}

struct Shared {
    known: Mutex<Known>,
    told: Sender<Told>,
}

/// What is known of a platform.
#[derive(Default)]
struct Known {
    deployments: BTreeMap<DeploymentName, Told>,
    is_synced: bool,
    trouble: Option<Told>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("listeners", &self.shared.told.receiver_count()).finish_non_exhaustive()
    }
}

impl Feed {
    fn start(happening: EventStream, runtime: &Handle) -> Self {
        let shared = Arc::new(Shared { known: Mutex::default(), told: broadcast::channel(LONGEST_QUEUE).0 });
        let watching = runtime.spawn(watch(happening, Arc::clone(&shared)));
        Self { shared, _watching: AbortOnDropHandle::new(watching) }
    }

    /// The selected part of the state, `Synced`, then what happens. It ends where the listener is too slow.
    pub(crate) fn listen(self: Arc<Self>, selector: Selector) -> impl Stream<Item = Told> + Send + use<> {
        let known = self.shared.known();
        let listener = Listener { queue: known.all(), told: self.shared.told.subscribe() };
        drop(known);
        let is_wanted = move |told: &Told| match told {
            Told::Of { name, template, .. } => selector.matches(name, template),
            Told::Synced | Told::Trouble(_) => true,
        };
        // The feed is held for as long as somebody listens.
        unfold((listener, self), |(mut listener, feed)| async move {
            listener.next().await.map(|told| (told, (listener, feed)))
        })
        .filter(move |told| std::future::ready(is_wanted(told)))
    }
}

struct Listener {
    queue: VecDeque<Told>,
    told: Receiver<Told>,
}

impl Listener {
    async fn next(&mut self) -> Option<Told> {
        match self.queue.pop_front() {
            Some(told) => Some(told),
            None => self.told.recv().await.ok(),
        }
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn all(&self) -> VecDeque<Told> {
        let end = self.trouble.clone().or(self.is_synced.then_some(Told::Synced));
        self.deployments.values().cloned().chain(end).collect()
    }

    /// What is to be told of an event.
    fn take(&mut self, event: mcp_deploy_core::Result<Event>) -> Option<Told> {
        match event {
            Ok(Event::Changed(deployment)) => {
                let told = changed(&deployment);
                self.deployments.insert(deployment.name.clone(), told.clone());
                Some(told)
            }
            Ok(Event::Gone(gone)) => match self.deployments.remove(&gone)? {
                Told::Of { name, template, .. } => {
                    let sent = Sent::event("gone", &json!({"deployment_name": name}));
                    Some(Told::Of { name, template, sent })
                }
                _ => None,
            },
            Ok(Event::Synced) => {
                (self.is_synced, self.trouble) = (true, None);
                Some(Told::Synced)
            }
            Err(error) => {
                let problem = Problem::from(error);
                problem.log();
                let trouble = Told::Trouble(Arc::new(problem));
                (self.is_synced, self.trouble) = (false, Some(trouble.clone()));
                Some(trouble)
            }
        }
    }
}

fn changed(deployment: &Deployment) -> Told {
    Told::Of {
        name: deployment.name.clone(),
        template: deployment.template_id.clone(),
        sent: Sent::event("changed", deployment),
    }
}

async fn watch(mut happening: EventStream, shared: Arc<Shared>) {
    while let Some(event) = happening.next().await {
        // Who begins to listen meanwhile hears of it once: with the state, or after it.
        let mut known = shared.known();
        if let Some(told) = known.take(event) {
            // Nobody listens just now, or somebody does.
            let _ = shared.told.send(told);
        }
    }
}
