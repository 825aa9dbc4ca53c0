//! Removing a deployment: its pods first, then all that went with it; claims only when they are asked for.

use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::Deployment as Live;
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::{WatchStreamExt, watcher};
use mcp_deploy_core::{DeleteOptions, DeploymentName, Result};

use crate::error::{absent, code, sorted, sorted_watch};
use crate::handle::KubernetesBackend;
use crate::objects::delete;
use crate::status::Observed;
use crate::watch::Pauses;

impl KubernetesBackend {
    pub(crate) async fn remove(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()> {
        let Observed { live, .. } = self.found(name).await?;
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: live.metadata.uid.clone(), resource_version: None }),
            ..DeleteParams::foreground()
        };
        match self.objects::<Live>().await?.delete(name.as_str(), &params).await {
            Err(error) if matches!(code(&error), Some(404 | 409)) => return Err(absent(name)),
            outcome => outcome.map_err(|error| sorted("delete the deployment", error))?,
        };
        self.await_gone(&live).await?;
        self.remove_left(name, live.metadata.uid.as_deref().unwrap_or_default()).await?;
        if options.volumes {
            self.remove_claims(name).await?;
        }
        Ok(())
    }

    /// Takes back the name that a deploy took before it failed.
    pub(crate) async fn take_away(&self, name: &DeploymentName, live: &Live) -> Result<()> {
        let deleted = delete(&self.objects::<Live>().await?, name.as_str(), live.metadata.uid.clone()).await;
        deleted.map_err(|error| sorted("delete the deployment", error))?;
        self.remove_left(name, live.metadata.uid.as_deref().unwrap_or_default()).await
    }

    /// Waits until this very Deployment is gone, and with it its pods.
    pub(crate) async fn await_gone(&self, live: &Live) -> Result<()> {
        let name = live.metadata.name.as_deref().unwrap_or_default();
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let events = watcher(self.objects::<Live>().await?, config).backoff(Pauses::default());
        let mut events = std::pin::pin!(events);
        let mut is_there = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => is_there = false,
                Ok(watcher::Event::InitApply(found)) => is_there = found.metadata.uid == live.metadata.uid,
                Ok(watcher::Event::Apply(found)) if found.metadata.uid == live.metadata.uid => {}
                Ok(watcher::Event::InitDone) if is_there => {}
                Ok(watcher::Event::InitDone | watcher::Event::Delete(_) | watcher::Event::Apply(_)) => break,
                Err(error) => match sorted_watch("watch the deployment", error) {
                    error if error.is_retryable() => tracing::debug!(%error, "the watch goes on"),
                    error => return Err(error),
                },
            }
        }
        Ok(())
    }
}
