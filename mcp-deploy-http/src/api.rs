//! What all requests share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_deploy_core::{DeploymentManager, Error, Result};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::problem::Problem;

/// How long a platform may take to answer a question.
const DEADLINE: Duration = Duration::from_secs(30);

/// The API over a manager; a cheap handle.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    manager: DeploymentManager,
    deadline: Duration,
    runtime: Handle,
    changes: TaskTracker,
    closing: CancellationToken,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("manager", &self.0.manager).finish_non_exhaustive()
    }
}

impl Api {
    /// The API over this manager, whose changes run on the current Tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn new(manager: DeploymentManager) -> Self {
        Self::with_deadline(manager, DEADLINE)
    }

    /// The same, with another time for a platform to answer a question; default 30 s.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn with_deadline(manager: DeploymentManager, deadline: Duration) -> Self {
        let (changes, closing) = (TaskTracker::new(), CancellationToken::new());
        Self(Arc::new(Shared { manager, deadline, runtime: Handle::current(), changes, closing }))
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

    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.0.closing
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
        let audited = async move {
            let outcome = change.await;
            audit.ended(&outcome);
            outcome
        };
        let changed = self.0.changes.spawn_on(audited, &self.0.runtime);
        async move {
            let changed = changed.await;
            changed.unwrap_or_else(|panic| Err(Error::backend("api", "carry out the change", panic)))
        }
    }

    /// Asks a platform, for as long as a client may have to wait.
    pub(crate) async fn ask<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T, Problem> {
        match timeout(self.0.deadline, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Problem::Late { after: self.0.deadline }),
        }
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
}
