//! Waiting for a deployment, on what its backend tells: no polling.

use async_trait::async_trait;
use futures_util::StreamExt;
use std::sync::Arc;

use crate::{Deployment, DeploymentBackend, DeploymentName, Error, Event, Result, Selector};

/// What every backend can do because it can watch.
#[async_trait]
pub trait DeploymentBackendExt: DeploymentBackend {
    /// Waits until `condition` holds; for ever where it never does.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when the deployment is not there or goes away; an error of the watch that no
    /// waiting mends.
    async fn wait_for<C>(&self, name: &DeploymentName, mut condition: C) -> Result<Deployment>
    where
        C: FnMut(&Deployment) -> bool + Send,
    {
        let absent = || Error::NotFound { name: name.clone(), backend: self.name(), nearest: None };
        let mut events = self.watch(Selector::named(name));
        let mut seen = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Changed(deployment)) if condition(&deployment) => {
                    return Ok(Arc::unwrap_or_clone(deployment));
                }
                Ok(Event::Changed(_)) => seen = true,
                Ok(Event::Synced) if !seen => return Err(absent()),
                Ok(Event::Gone(_)) => return Err(absent()),
                Ok(Event::Synced) => {}
                Err(error) if error.is_retryable() => tracing::debug!(%error, "the watch goes on"),
                Err(error) => return Err(error),
            }
        }
        Err(Error::backend(self.name(), "watch deployments", "the stream of events ended"))
    }

    /// Waits until the deployment is ready, or stopped as it should be.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] as soon as the backend reports that it failed, and the errors of
    /// [`wait_for`](Self::wait_for).
    async fn wait_ready(&self, name: &DeploymentName) -> Result<Deployment> {
        self.wait_for(name, Deployment::is_settled).await?.or_failed()
    }
}

impl<B: DeploymentBackend + ?Sized> DeploymentBackendExt for B {}
