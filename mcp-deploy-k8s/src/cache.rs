//! Answers from memory, for servers: one watch of the namespace feeds them, however many ask.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use mcp_deploy_core::{
    BackendHealth, Capabilities, Connection, DeleteOptions, DeployOptions, Deployment, DeploymentBackend,
    DeploymentName, DeploymentSpec, Event, EventStream, LogOptions, LogStream, Result, Revision, Selector,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::error::absent;
use crate::handle::KubernetesBackend;

/// Between a cut and the next try.
const PAUSE_AFTER_CUT: Duration = Duration::from_secs(1);
/// How long a verb that changes something waits until the memory has heard of it.
const CATCH_UP: Duration = Duration::from_secs(5);

/// A [`KubernetesBackend`] whose `get`, `list` and `watch` are answered from memory; a cheap handle.
///
/// What a verb of this value has changed, the memory knows when the verb returns. What others change it hears of
/// as soon as the API server tells. The watch ends with the last handle.
#[derive(Clone)]
pub struct CachedBackend(Arc<Cached>);

struct Cached {
    backend: KubernetesBackend,
    memory: watch::Receiver<Memory>,
    feeding: JoinHandle<()>,
}

impl Drop for Cached {
    fn drop(&mut self) {
        self.feeding.abort();
    }
}

impl fmt::Debug for CachedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedBackend").field("backend", &self.0.backend).field("age", &self.age()).finish()
    }
}

impl KubernetesBackend {
    /// The same backend with answers from memory, within the current Tokio runtime. The first answer waits until the
    /// API server has told everything.
    pub fn cached(&self) -> CachedBackend {
        let (memory, reader) = watch::channel(Memory::default());
        let feeding = tokio::spawn(feed(self.clone(), memory));
        CachedBackend(Arc::new(Cached { backend: self.clone(), memory: reader, feeding }))
    }
}

impl CachedBackend {
    /// How old the answers are: nothing while the API server tells of each change, and since a cut as long as that is
    /// ago; `None` where nothing is known yet.
    pub fn age(&self) -> Option<Duration> {
        let memory = self.0.memory.borrow();
        (memory.syncs > 0).then(|| memory.cut_at.map_or(Duration::ZERO, |at| at.elapsed()))
    }

    /// What is known, once something is.
    async fn known(&self) -> BTreeMap<DeploymentName, Arc<Deployment>> {
        let mut memory = self.0.memory.clone();
        let known = memory.wait_for(|memory| memory.syncs > 0).await;
        known.map(|memory| memory.deployments.clone()).unwrap_or_default()
    }

    /// Waits until the memory has heard of a change.
    async fn catch_up(&self, has_heard: impl FnMut(&Memory) -> bool) {
        let mut memory = self.0.memory.clone();
        if timeout(CATCH_UP, memory.wait_for(has_heard)).await.is_err() {
            tracing::warn!("the memory has not heard of a change yet");
        }
    }

    async fn heard_of(&self, changed: Deployment) -> Result<Deployment> {
        self.catch_up(|memory| {
            memory.deployments.get(&changed.name).is_some_and(|known| {
                known.updated_at > changed.updated_at
                    || (known.updated_at, known.revision, known.replicas.desired)
                        == (changed.updated_at, changed.revision, changed.replicas.desired)
            })
        })
        .await;
        Ok(changed)
    }
}

#[derive(Debug, Default)]
struct Memory {
    deployments: BTreeMap<DeploymentName, Arc<Deployment>>,
    /// How often the API server has told everything.
    syncs: u64,
    /// Since when it tells nothing.
    cut_at: Option<Instant>,
}

async fn feed(backend: KubernetesBackend, memory: watch::Sender<Memory>) {
    loop {
        let mut events = backend.watch(Selector::default());
        let mut coming = Some(BTreeMap::new());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => take_in(event, &memory, &mut coming),
                Err(error) => {
                    tracing::warn!(%error, "the watch that feeds the memory is cut");
                    break;
                }
            }
        }
        memory.send_modify(|memory| {
            memory.cut_at.get_or_insert_with(Instant::now);
        });
        sleep(PAUSE_AFTER_CUT).await;
    }
}

/// `coming` is what is told until everything was.
fn take_in(
    event: Event,
    memory: &watch::Sender<Memory>,
    coming: &mut Option<BTreeMap<DeploymentName, Arc<Deployment>>>,
) {
    match (event, coming.as_mut()) {
        (Event::Changed(deployment), Some(coming)) => {
            coming.insert(deployment.name.clone(), deployment);
        }
        (Event::Gone(name), Some(coming)) => {
            coming.remove(&name);
        }
        (Event::Synced, _) => memory.send_modify(|memory| {
            if let Some(coming) = coming.take() {
                memory.deployments = coming;
            }
            memory.syncs += 1;
            memory.cut_at = None;
        }),
        (Event::Changed(deployment), None) => memory.send_modify(|memory| {
            memory.deployments.insert(deployment.name.clone(), deployment);
        }),
        (Event::Gone(name), None) => memory.send_modify(|memory| {
            memory.deployments.remove(&name);
        }),
    }
}

/// What happens in the memory, to one who watches it.
struct Watching {
    /// Without a handle nobody feeds the memory.
    _kept: CachedBackend,
    memory: watch::Receiver<Memory>,
    selector: Selector,
    seen: BTreeMap<DeploymentName, Arc<Deployment>>,
    syncs: u64,
    queue: VecDeque<Event>,
}

impl Watching {
    async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(Ok(event));
            }
            let syncs = self.syncs;
            if syncs == 0 {
                self.memory.wait_for(|memory| memory.syncs > 0).await.ok()?;
            } else {
                self.memory.changed().await.ok()?;
            }
            self.look();
        }
    }

    /// Queues what is new. The very same report is the same `Arc`.
    fn look(&mut self) {
        let memory = self.memory.borrow_and_update();
        let is_synced_again = memory.syncs != self.syncs;
        let selected = |name: &DeploymentName, deployment: &Deployment| {
            self.selector.matches(name, &deployment.template_id)
        };
        let chosen: Vec<(&DeploymentName, &Arc<Deployment>)> = match &self.selector.name {
            Some(name) => memory.deployments.get_key_value(name).into_iter().collect(),
            None => memory.deployments.iter().collect(),
        };
        let now: BTreeMap<DeploymentName, Arc<Deployment>> = chosen
            .into_iter()
            .filter(|(name, deployment)| selected(name, deployment))
            .map(|(name, deployment)| (name.clone(), Arc::clone(deployment)))
            .collect();
        let is_new = |name: &DeploymentName, deployment: &Arc<Deployment>| {
            is_synced_again || self.seen.get(name).is_none_or(|seen| !Arc::ptr_eq(seen, deployment))
        };
        let changed = now.iter().filter(|(name, deployment)| is_new(name, deployment));
        self.queue.extend(changed.map(|(_, deployment)| Event::Changed(Arc::clone(deployment))));
        let gone = self.seen.keys().filter(|name| !now.contains_key(*name));
        self.queue.extend(gone.cloned().map(Event::Gone));
        if is_synced_again {
            self.queue.push_back(Event::Synced);
        }
        (self.seen, self.syncs) = (now, memory.syncs);
    }
}

#[async_trait]
impl DeploymentBackend for CachedBackend {
    fn name(&self) -> &'static str {
        self.0.backend.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.backend.capabilities()
    }

    async fn check(&self) -> Result<BackendHealth> {
        self.0.backend.check().await
    }

    async fn deploy(&self, spec: &DeploymentSpec, options: DeployOptions) -> Result<Deployment> {
        let is_dry_run = options.dry_run;
        let deployed = self.0.backend.deploy(spec, options).await?;
        if is_dry_run { Ok(deployed) } else { self.heard_of(deployed).await }
    }

    async fn get(&self, name: &DeploymentName) -> Result<Deployment> {
        let known = self.known().await;
        known.get(name).map(|deployment| (**deployment).clone()).ok_or_else(|| absent(name))
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Arc<Deployment>>> {
        let known = self.known().await;
        let selected = known.iter().filter(|(name, known)| selector.matches(name, &known.template_id));
        Ok(selected.map(|(_, deployment)| Arc::clone(deployment)).collect())
    }

    async fn scale(&self, name: &DeploymentName, replicas: u32) -> Result<Deployment> {
        self.heard_of(self.0.backend.scale(name, replicas).await?).await
    }

    async fn restart(&self, name: &DeploymentName) -> Result<Deployment> {
        self.heard_of(self.0.backend.restart(name).await?).await
    }

    async fn delete(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()> {
        self.0.backend.delete(name, options).await?;
        self.catch_up(|memory| !memory.deployments.contains_key(name)).await;
        Ok(())
    }

    async fn revisions(&self, name: &DeploymentName) -> Result<Vec<Revision>> {
        self.0.backend.revisions(name).await
    }

    async fn connect(&self, name: &DeploymentName) -> Result<Connection> {
        self.0.backend.connect(name).await
    }

    fn logs(&self, name: &DeploymentName, options: LogOptions) -> LogStream {
        self.0.backend.logs(name, options)
    }

    fn watch(&self, selector: Selector) -> EventStream {
        let watching = Watching {
            memory: self.0.memory.clone(),
            _kept: self.clone(),
            selector,
            seen: BTreeMap::new(),
            syncs: 0,
            queue: VecDeque::new(),
        };
        let step = |mut watching: Watching| async move { Some((watching.next().await?, watching)) };
        stream::unfold(watching, step).boxed()
    }
}
