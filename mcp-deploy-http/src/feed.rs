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
use tokio::sync::broadcast::{Receiver, Sender, WeakSender};
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
        let feed = feeds.get(backend.name()).and_then(Weak::upgrade);
        if let Some(feed) = feed.filter(|feed| !feed.watching.is_finished()) {
            return feed;
        }
        let feed = Arc::new(Feed::start(backend.watch(Selector::default()), runtime));
        feeds.insert(backend.name(), Arc::downgrade(&feed));
        feed
    }
}

/// The watch of a backend, which ends when this is dropped.
pub(crate) struct Feed {
    known: Arc<Mutex<Known>>,
    /// Its other end is with the watch: where that ends, all listeners do.
    told: WeakSender<Told>,
    watching: AbortOnDropHandle<()>,
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
        f.debug_struct("Feed").field("is_over", &self.watching.is_finished()).finish_non_exhaustive()
    }
}

impl Feed {
    fn start(happening: EventStream, runtime: &Handle) -> Self {
        let (known, told) = (Arc::default(), Sender::new(LONGEST_QUEUE));
        let weak = told.downgrade();
        let watching = runtime.spawn(watch(happening, Arc::clone(&known), told));
        Self { known, told: weak, watching: AbortOnDropHandle::new(watching) }
    }

    /// The selected part of the state, `Synced`, then what happens. It ends where the listener is too slow, and with the
    /// watch.
    pub(crate) fn listen(self: Arc<Self>, selector: Selector) -> impl Stream<Item = Told> + Send + use<> {
        let known = lock(&self.known);
        let told = self.told.upgrade().map(|told| told.subscribe());
        let listener = Listener { queue: known.all(), told };
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
    told: Option<Receiver<Told>>,
}

impl Listener {
    async fn next(&mut self) -> Option<Told> {
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

async fn watch(mut happening: EventStream, known: Arc<Mutex<Known>>, listeners: Sender<Told>) {
    while let Some(event) = happening.next().await {
        // Who begins to listen meanwhile hears of it once: with the state, or after it.
        let mut known = lock(&known);
        if let Some(told) = known.take(event) {
            // An error says that nobody listens just now.
            let _ = listeners.send(told);
        }
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
        let happening = UnboundedReceiverStream::new(happening).boxed();
        backend.expect_watch().return_once(move |_| happening);
        (Feeds::default().of(&backend, &Handle::current()), happens)
    }

    /// The names of what is told, in short.
    fn listen(feed: &Arc<Feed>, selector: Selector) -> BoxStream<'static, String> {
        let told = Arc::clone(feed).listen(selector).map(|told| match told {
            Told::Of { name, .. } => name.to_string(),
            Told::Synced => "synced".to_owned(),
            Told::Trouble(problem) => problem.to_string(),
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
    async fn a_cut_is_told_to_who_comes_later_too_until_it_is_over() {
        let (feed, happens) = feed();
        let mut first = listen(&feed, Selector::default());
        happens.send(Err(Error::Unavailable { backend: "mock", source: "cut".into() })).unwrap();
        assert_eq!(next(&mut first).await, "mock cannot be reached");
        assert_eq!(next(&mut listen(&feed, Selector::default())).await, "mock cannot be reached");
        happens.send(Ok(Event::Synced)).unwrap();
        assert_eq!(next(&mut first).await, "synced");
        assert_eq!(next(&mut listen(&feed, Selector::default())).await, "synced");
    }

    #[tokio::test]
    async fn where_the_watch_ends_listeners_do_and_another_begins() {
        let (feed, happens) = feed();
        let mut told = listen(&feed, Selector::default());
        drop(happens);
        assert_eq!(next(&mut told).await, "the end");
        assert_eq!(next(&mut listen(&feed, Selector::default())).await, "the end");
        assert!(feed.watching.is_finished());
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
