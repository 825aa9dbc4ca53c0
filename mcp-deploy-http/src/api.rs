//! What all requests share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};
use mcp_deploy_core::{DeploymentBackend, DeploymentManager, Error, HttpLimits, Result};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::feed::{Feed, Feeds};
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::rendered::RenderedDeployments;
use crate::routes::health::ReadyAnswer;

/// The API over a manager; a cheap handle.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    manager: DeploymentManager,
    limits: HttpLimits,
    runtime: Handle,
    changes: TaskTracker,
    closing: CancellationToken,
    streams: Arc<Semaphore>,
    /// Of each backend.
    deploys: BTreeMap<String, Arc<Semaphore>>,
    metrics: Metrics,
    feeds: Feeds,
    rendered: RenderedDeployments,
    last_look: Mutex<Option<(Instant, ReadyAnswer)>>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { manager, limits, .. } = &*self.0;
        f.debug_struct("Api").field("manager", manager).field("limits", limits).finish_non_exhaustive()
    }
}

impl Api {
    /// The API over this manager, whose changes run on the current Tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn new(manager: DeploymentManager) -> Self {
        Self::with_limits(manager, HttpLimits::default())
    }

    /// The same, with other limits.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn with_limits(manager: DeploymentManager, limits: HttpLimits) -> Self {
        let places = || Arc::new(Semaphore::new(limits.deploys));
        let deploys =
            manager.backends().iter().map(|backend| (backend.name().to_owned(), places())).collect();
        Self(Arc::new(Shared {
            manager,
            limits,
            runtime: Handle::current(),
            changes: TaskTracker::new(),
            closing: CancellationToken::new(),
            streams: Arc::new(Semaphore::new(limits.streams)),
            deploys,
            metrics: Metrics::default(),
            feeds: Feeds::default(),
            rendered: RenderedDeployments::default(),
            last_look: Mutex::default(),
        }))
    }

    /// Ends all streams, each with a comment that says so; what is asked for from now on ends at once.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    /// Waits until no change is under way any more.
    pub async fn finished(&self) {
        self.0.changes.close();
        self.0.changes.wait().await;
    }

    pub(crate) fn manager(&self) -> &DeploymentManager {
        &self.0.manager
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The JSON of the deployments.
    pub(crate) fn rendered(&self) -> &RenderedDeployments {
        &self.0.rendered
    }

    /// When the platforms were asked last whether they can be reached, and what came of it.
    pub(crate) fn last_look(&self) -> &Mutex<Option<(Instant, ReadyAnswer)>> {
        &self.0.last_look
    }

    /// What happens on a backend.
    pub(crate) fn feed(&self, backend: &Arc<dyn DeploymentBackend>) -> Arc<Feed> {
        self.0.feeds.of(backend, &self.0.runtime)
    }

    /// How long the head of a request, and then its body, may take to arrive.
    pub(crate) fn arrival(&self) -> Duration {
        Duration::from_secs(self.0.limits.arrival_seconds.into())
    }

    /// Begins a change at once, which goes on when whoever waits for its end here goes away.
    pub(crate) fn change<T, F, C>(
        &self,
        audit: Audit,
        change: C,
    ) -> impl Future<Output = Result<T>> + Send + use<T, F, C>
    where
        C: FnOnce(DeploymentManager) -> F,
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let change = change(self.manager().clone());
        let api = self.clone();
        let audited = async move {
            let outcome = change.await;
            audit.ended(api.metrics(), &outcome);
            outcome
        };
        let changed = self.0.changes.spawn_on(audited, &self.0.runtime);
        async move {
            let changed = changed.await;
            changed.unwrap_or_else(|panic| Err(Error::backend("api", "carry out the change", panic)))
        }
    }

    /// Asks a platform, for as long as a client may have to wait.
    pub(crate) fn ask<T>(
        &self,
        answer: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T, Problem>> {
        within(self.0.limits.answer_seconds, answer)
    }

    /// Begins a change, and waits for its end for as long as a client may have to wait; then the change goes on.
    pub(crate) async fn carry_out<T, F, C>(&self, audit: Audit, change: C) -> Result<T, Problem>
    where
        C: FnOnce(DeploymentManager) -> F,
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        within(self.0.limits.change_seconds, self.change(audit, change)).await
    }

    /// What a platform tells bit by bit; it ends with a problem where the next one takes longer than a client may have to
    /// wait.
    pub(crate) fn in_time<T: Send + 'static>(
        &self,
        told: BoxStream<'static, Result<T>>,
    ) -> impl Stream<Item = Result<T, Problem>> + Send + use<T> {
        let after = Duration::from_secs(self.0.limits.answer_seconds.into());
        unfold(Some(told), move |told| async move {
            let mut told = told?;
            match timeout(after, told.next()).await {
                Ok(next) => Some((next?.map_err(Problem::from), Some(told))),
                Err(_) => Some((Err(Problem::Late { after }), None)),
            }
        })
    }

    /// Reads templates, which may be on a disk.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&DeploymentManager) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let manager = self.manager().clone();
        let read = self.0.runtime.spawn_blocking(move || read(&manager)).await;
        read.unwrap_or_else(|panic| Err(Error::backend("api", "read the templates", panic)))
    }

    /// A place among the streams.
    ///
    /// # Errors
    ///
    /// [`Problem::Busy`] where there is none.
    pub(crate) fn stream_place(&self) -> Result<StreamPlace, Problem> {
        let place = Arc::clone(&self.0.streams).try_acquire_owned();
        let place = place.map_err(|_| Problem::Busy { detail: "as many streams as may be are open" })?;
        Ok(StreamPlace { closing: self.0.closing.clone(), _place: place })
    }

    /// A place among the deploys that are under way on a backend, or on the default one.
    ///
    /// # Errors
    ///
    /// [`Problem::Busy`] where there is none.
    pub(crate) fn deploy_place(&self, backend: Option<&str>) -> Result<OwnedSemaphorePermit, Problem> {
        let backend = self.manager().backends().get(backend)?.name();
        let places = self.0.deploys.get(backend).expect("each backend has its places");
        let busy = |_| Problem::Busy { detail: "as many deploys as may be are under way on this backend" };
        Arc::clone(places).try_acquire_owned().map_err(busy)
    }

    /// How many streams are open.
    pub(crate) fn open_streams(&self) -> usize {
        self.0.limits.streams.saturating_sub(self.0.streams.available_permits())
    }

    /// How many deploys are under way on each backend.
    pub(crate) fn deploys(&self) -> impl Iterator<Item = (&str, usize)> {
        let under_way =
            |places: &Arc<Semaphore>| self.0.limits.deploys.saturating_sub(places.available_permits());
        self.0.deploys.iter().map(move |(backend, places)| (backend.as_str(), under_way(places)))
    }
}

async fn within<T>(seconds: u32, answer: impl Future<Output = Result<T>>) -> Result<T, Problem> {
    let after = Duration::from_secs(seconds.into());
    timeout(after, answer).await.map_or(Err(Problem::Late { after }), |answer| Ok(answer?))
}

/// A place among the streams, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    /// Comes when the server ends.
    pub(crate) closing: CancellationToken,
    _place: OwnedSemaphorePermit,
}
