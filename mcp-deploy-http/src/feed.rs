//! What happens on a backend, watched once for all who want to know.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::stream::{Stream, StreamExt, unfold};
use mcp_deploy_core::{Deployment, DeploymentBackend, DeploymentName, Event, Selector, TemplateId};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::broadcast::{Receiver, Sender, WeakSender};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::problem::Problem;
use crate::stream::ServerSentEvent;

/// A listener that is so far behind is let go of: it connects again, and begins with the state.
const LONGEST_QUEUE: usize = 1024;
/// Before a watch that has ended begins again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is told, written once for all.
#[derive(Debug, Clone)]
pub(crate) enum FeedEvent {
    /// Of a deployment of a template.
    Deployment { name: DeploymentName, template: TemplateId, sent: ServerSentEvent },
    /// The state of a backend is told.
    Synced(ServerSentEvent),
    /// The platform cannot be watched just now.
    Trouble { backend: &'static str, problem: Arc<Problem> },
}

/// The feeds of the backends that somebody listens to.
#[derive(Debug, Default)]
pub(crate) struct Feeds(Mutex<BTreeMap<&'static str, Weak<Feed>>>);

impl Feeds {
    /// The feed of a backend, begun where nobody listens yet; it lives for as long as somebody does.
    pub(crate) fn of(&self, backend: &Arc<dyn DeploymentBackend>, runtime: &Handle) -> Arc<Feed> {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let feed = feeds.get(backend.name()).and_then(Weak::upgrade);
        if let Some(feed) = feed.filter(|feed| !feed.watching.is_finished()) {
            return feed;
        }
        let feed = Arc::new(Feed::start(Arc::clone(backend), runtime));
        feeds.insert(backend.name(), Arc::downgrade(&feed));
        feed
    }
}

/// The watch of a backend, which ends when this is dropped.
pub(crate) struct Feed {
    known: Arc<Mutex<Known>>,
    /// Its other end is with the watch: where that ends, all listeners do.
    told: WeakSender<FeedEvent>,
    watching: AbortOnDropHandle<()>,
}

/// What is known of a platform.
struct Known {
    backend: &'static str,
    deployments: BTreeMap<DeploymentName, FeedEvent>,
    /// Those that were told since the watch began or was cut, until all were.
    coming: Option<BTreeSet<DeploymentName>>,
    trouble: Option<Arc<Problem>>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("is_over", &self.watching.is_finished()).finish_non_exhaustive()
    }
}

impl Feed {
    fn start(backend: Arc<dyn DeploymentBackend>, runtime: &Handle) -> Self {
        let (known, told) = (Arc::new(Mutex::new(Known::of(backend.name()))), Sender::new(LONGEST_QUEUE));
        let weak = told.downgrade();
        let watching = runtime.spawn(watch(backend, Arc::clone(&known), told));
        Self { known, told: weak, watching: AbortOnDropHandle::new(watching) }
    }

    /// The selected part of the state, `Synced`, then what happens. It ends where the listener is too slow, and with the
    /// watch.
    pub(crate) fn listen(
        self: Arc<Self>,
        selector: Selector,
    ) -> impl Stream<Item = FeedEvent> + Send + use<> {
        let known = lock(&self.known);
        let told = self.told.upgrade().map(|told| told.subscribe());
        let listener = Listener { queue: known.all(), told };
        drop(known);
        let is_wanted = move |told: &FeedEvent| match told {
            FeedEvent::Deployment { name, template, .. } => selector.matches(name, template),
            FeedEvent::Synced(_) | FeedEvent::Trouble { .. } => true,
        };
        // The feed is held for as long as somebody listens.
        unfold((listener, self), |(mut listener, feed)| async move {
            listener.next().await.map(|told| (told, (listener, feed)))
        })
        .filter(move |told| std::future::ready(is_wanted(told)))
    }
}

struct Listener {
    queue: VecDeque<FeedEvent>,
    told: Option<Receiver<FeedEvent>>,
}

impl Listener {
    async fn next(&mut self) -> Option<FeedEvent> {
        match self.queue.pop_front() {
            Some(told) => Some(told),
            None => self.told.as_mut()?.recv().await.ok(),
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn of(backend: &'static str) -> Self {
        Self { backend, deployments: BTreeMap::new(), coming: Some(BTreeSet::new()), trouble: None }
    }

    fn all(&self) -> VecDeque<FeedEvent> {
        let end = match &self.trouble {
            Some(trouble) => Some(self.trouble(trouble)),
            None => self.coming.is_none().then(|| self.synced()),
        };
        self.deployments.values().cloned().chain(end).collect()
    }

    /// What is to be told of an event.
    fn take(&mut self, event: mcp_deploy_core::Result<Event>) -> Vec<FeedEvent> {
        match event {
            Ok(Event::Changed(deployment)) => {
                let told = changed(&deployment);
                self.deployments.insert(deployment.name.clone(), told.clone());
                if let Some(coming) = &mut self.coming {
                    coming.insert(deployment.name.clone());
                }
                vec![told]
            }
            Ok(Event::Gone(name)) => {
                if let Some(coming) = &mut self.coming {
                    coming.remove(&name);
                }
                self.gone(&name).into_iter().collect()
            }
            Ok(Event::Synced) => {
                self.trouble = None;
                let mut told = Vec::new();
                if let Some(coming) = self.coming.take() {
                    // What went while the watch was cut, nobody has told.
                    let went = self.deployments.keys().filter(|name| !coming.contains(*name));
                    let went: Vec<DeploymentName> = went.cloned().collect();
                    told.extend(went.iter().filter_map(|name| self.gone(name)));
                }
                told.push(self.synced());
                told
            }
            Err(error) => {
                self.coming = Some(BTreeSet::new());
                let problem = Problem::from(error);
                let is_known = self.trouble.as_ref().is_some_and(|known| known.code() == problem.code());
                if is_known {
                    // It goes on: that is no news.
                    return Vec::new();
                }
                problem.log();
                let trouble = self.trouble.insert(Arc::new(problem));
                let trouble = Arc::clone(trouble);
                vec![self.trouble(&trouble)]
            }
        }
    }

    fn gone(&mut self, name: &DeploymentName) -> Option<FeedEvent> {
        let FeedEvent::Deployment { name, template, .. } = self.deployments.remove(name)? else {
            return None;
        };
        let sent = ServerSentEvent::event("gone", &json!({"deployment_name": name, "backend": self.backend}));
        Some(FeedEvent::Deployment { name, template, sent })
    }

    fn synced(&self) -> FeedEvent {
        FeedEvent::Synced(ServerSentEvent::event("synced", &json!({"backend": self.backend})))
    }

    fn trouble(&self, problem: &Arc<Problem>) -> FeedEvent {
        FeedEvent::Trouble { backend: self.backend, problem: Arc::clone(problem) }
    }
}

fn changed(deployment: &Deployment) -> FeedEvent {
    FeedEvent::Deployment {
        name: deployment.name.clone(),
        template: deployment.template_id.clone(),
        sent: ServerSentEvent::event("changed", deployment),
    }
}

/// Watches for as long as somebody holds the feed, again where a watch ends.
async fn watch(backend: Arc<dyn DeploymentBackend>, known: Arc<Mutex<Known>>, listeners: Sender<FeedEvent>) {
    loop {
        let mut happening = backend.watch(Selector::default());
        while let Some(event) = happening.next().await {
            // Who begins to listen meanwhile hears of it once: with the state, or after it.
            let mut known = lock(&known);
            for told in known.take(event) {
                // An error says that nobody listens just now.
                let _ = listeners.send(told);
            }
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_util::stream::{self, BoxStream};
    use mcp_deploy_core::{Catalog, Error, MockDeploymentBackend, Request, resolve};
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    use tokio::time::{Duration, timeout};
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;

    type Events = UnboundedSender<mcp_deploy_core::Result<Event>>;

    fn report(name: &str) -> Arc<Deployment> {
        let template = Catalog::default().get("demo").unwrap();
        let spec = resolve(&template, &Request::default().name(name), "unused.example").unwrap();
        Arc::new(Deployment::pending(&spec, "mock", "2026-11-23T02:00:00Z".parse().unwrap()))
    }

    /// A feed, and what happens there.
    fn feed() -> (Arc<Feed>, Events) {
        let (happens, happening) = unbounded_channel();
        let mut backend = MockDeploymentBackend::new();
        backend.expect_name().return_const("mock");
        let mut happening = Some(UnboundedReceiverStream::new(happening).boxed());
        // The watch after the first one tells nothing but that it knows all.
        let again = || stream::iter([Ok(Event::Synced)]).chain(stream::pending()).boxed();
        backend.expect_watch().returning(move |_| happening.take().unwrap_or_else(again));
        let backend: Arc<dyn DeploymentBackend> = Arc::new(backend);
        (Feeds::default().of(&backend, &Handle::current()), happens)
    }

    /// The names of what is told, in short.
    fn listen(feed: &Arc<Feed>, selector: Selector) -> BoxStream<'static, String> {
        let told = Arc::clone(feed).listen(selector).map(|told| match told {
            FeedEvent::Deployment { name, .. } => name.to_string(),
            FeedEvent::Synced(_) => "synced".to_owned(),
            FeedEvent::Trouble { problem, .. } => problem.to_string(),
        });
        told.chain(stream::once(ready("the end".to_owned()))).boxed()
    }

    async fn next(told: &mut BoxStream<'static, String>) -> String {
        timeout(Duration::from_secs(5), told.next()).await.expect("something is told").unwrap()
    }

    #[tokio::test]
    async fn each_listener_begins_with_the_state_and_hears_what_it_selects() {
        let (feed, happens) = feed();
        let mut first = listen(&feed, Selector::default());
        for event in [Event::Changed(report("demo-one")), Event::Changed(report("demo-two")), Event::Synced] {
            happens.send(Ok(event)).unwrap();
        }
        for expected in ["demo-one", "demo-two", "synced"] {
            assert_eq!(next(&mut first).await, expected);
        }
        let mut second = listen(&feed, Selector::named(&"demo-two".parse().unwrap()));
        for expected in ["demo-two", "synced"] {
            assert_eq!(next(&mut second).await, expected);
        }
        for gone in ["demo-one", "demo-two"] {
            happens.send(Ok(Event::Gone(gone.parse().unwrap()))).unwrap();
        }
        assert_eq!((next(&mut first).await, next(&mut second).await), ("demo-one".into(), "demo-two".into()));
        let mut third = listen(&feed, Selector::default());
        assert_eq!(next(&mut third).await, "synced");
    }

    #[tokio::test]
    async fn a_cut_is_told_once_and_what_went_meanwhile_is_gone() {
        let (feed, happens) = feed();
        let mut first = listen(&feed, Selector::default());
        for name in ["demo-one", "demo-two"] {
            happens.send(Ok(Event::Changed(report(name)))).unwrap();
            assert_eq!(next(&mut first).await, name);
        }
        for _ in 0..3 {
            happens.send(Err(Error::Unavailable { backend: "mock", source: "cut".into() })).unwrap();
        }
        assert_eq!(next(&mut first).await, "mock cannot be reached");
        let mut second = listen(&feed, Selector::default());
        for expected in ["demo-one", "demo-two", "mock cannot be reached"] {
            assert_eq!(next(&mut second).await, expected);
        }
        happens.send(Ok(Event::Changed(report("demo-two")))).unwrap();
        happens.send(Ok(Event::Synced)).unwrap();
        for expected in ["demo-two", "demo-one", "synced"] {
            assert_eq!(next(&mut first).await, expected);
        }
        assert_eq!(next(&mut listen(&feed, Selector::default())).await, "demo-two");
    }

    #[tokio::test]
    async fn where_a_watch_ends_another_begins() {
        let (feed, happens) = feed();
        let mut told = listen(&feed, Selector::default());
        drop(happens);
        assert_eq!(next(&mut told).await, "synced");
    }

    #[tokio::test]
    async fn who_is_too_slow_is_let_go_of_and_the_watch_ends_with_the_last() {
        let (feed, happens) = feed();
        let (mut slow, mut quick) = (listen(&feed, Selector::default()), listen(&feed, Selector::default()));
        for _ in 0..2 * LONGEST_QUEUE {
            happens.send(Ok(Event::Changed(report("demo-one")))).unwrap();
            assert_eq!(next(&mut quick).await, "demo-one");
        }
        assert_eq!(next(&mut slow).await, "the end");
        drop((feed, slow));
        assert!(!happens.is_closed());
        drop(quick);
        timeout(Duration::from_secs(5), happens.closed()).await.expect("the watch goes on");
    }
}
