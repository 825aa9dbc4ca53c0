//! Removing a deployment: its pods first, then all that went with it; claims only when they are asked for.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment as Live, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::conditions::is_deleted;
use kube::runtime::wait::await_condition;
use kube::runtime::{WatchStreamExt, watcher};
use mcp_deploy_core::{DeleteOptions, DeploymentName, Error, Result};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::error::{absent, code, sorted, sorted_watch};
use crate::handle::KubernetesBackend;
use crate::labels;
use crate::names::BACKEND;
use crate::objects::delete;
use crate::status::Observed;
use crate::watch::Pauses;

/// How long a removal waits for the platform's controller to have seen the last change.
const CATCH_UP: Duration = Duration::from_secs(5);

impl KubernetesBackend {
    pub(crate) async fn remove(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()> {
        let Observed { live, .. } = self.found(name).await?;
        self.await_seen(&live).await?;
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: live.metadata.uid.clone(), resource_version: None }),
            ..DeleteParams::foreground()
        };
        match self.objects::<Live>().await?.delete(name.as_str(), &params).await {
            Err(error) if matches!(code(&error), Some(404 | 409)) => return Err(absent(name)),
            outcome => outcome.map_err(|error| sorted("delete the deployment", error))?,
        };
        self.await_gone(&live).await?;
        let uid = live.metadata.uid.as_deref().unwrap_or_default();
        self.await_pods_gone(name, uid).await?;
        self.remove_left(name, uid).await?;
        if options.volumes {
            self.remove_claims(name).await?;
        }
        Ok(())
    }

    /// Takes back the name that a deploy took before it failed.
    pub(crate) async fn take_away(&self, name: &DeploymentName, taken: &ObjectMeta) -> Result<()> {
        let deleted = delete(&self.objects::<Live>().await?, name.as_str(), taken.uid.clone()).await;
        deleted.map_err(|error| sorted("delete the deployment", error))?;
        self.remove_left(name, taken.uid.as_deref().unwrap_or_default()).await
    }

    /// Waits until the platform's controller has seen this Deployment as it is: else it may be about to make pods,
    /// of which a removal would not hear. A platform whose controller does not work is not waited for.
    async fn await_seen(&self, live: &Live) -> Result<()> {
        if is_seen(Some(live)) {
            return Ok(());
        }
        let name = live.metadata.name.as_deref().unwrap_or_default();
        match timeout(CATCH_UP, await_condition(self.objects::<Live>().await?, name, is_seen)).await {
            Ok(outcome) => {
                outcome.map(drop).map_err(|error| Error::backend(BACKEND, "watch the deployment", error))
            }
            Err(_) => Ok(()),
        }
    }

    /// Waits until a Deployment that is gone has no pods any more. The platform removes them before the Deployment,
    /// but for those of which its collector did not know yet: those it removes a little later.
    async fn await_pods_gone(&self, name: &DeploymentName, owner: &str) -> Result<()> {
        let of_name = labels::of_name(name);
        // In this order: pods of a Deployment that has taken the name meanwhile have their ReplicaSet among these.
        let pods = self.objects::<Pod>().await?.list_metadata(&of_name).await;
        let sets = self.objects::<ReplicaSet>().await?.list_metadata(&of_name).await;
        let pods = pods.map_err(|error| sorted("list the pods", error))?;
        let sets = sets.map_err(|error| sorted("list the ReplicaSets", error))?;
        let (left, others): (Vec<_>, Vec<_>) =
            sets.items.into_iter().map(|set| set.metadata).partition(|set| is_owned_by(set, owner));
        let is_of_others = |pod: &ObjectMeta| {
            others.iter().filter_map(|set| set.uid.as_deref()).any(|set| is_owned_by(pod, set))
        };
        let pods = pods.items.into_iter().map(|pod| pod.metadata).filter(|pod| !is_of_others(pod)).collect();
        self.await_each_gone::<ReplicaSet>(left).await?;
        self.await_each_gone::<Pod>(pods).await
    }

    async fn await_each_gone<K>(&self, objects: Vec<ObjectMeta>) -> Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let kind = self.objects::<K>().await?;
        let removals = objects.iter().map(|object| {
            let (name, uid) =
                (object.name.as_deref().unwrap_or_default(), object.uid.as_deref().unwrap_or_default());
            await_condition(kind.clone(), name, is_deleted(uid))
        });
        let removed = try_join_all(removals).await;
        removed.map(drop).map_err(|error| Error::backend(BACKEND, "watch what the deployment left", error))
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

fn is_seen(live: Option<&Live>) -> bool {
    live.is_none_or(|live| {
        let seen = live.status.as_ref().and_then(|status| status.observed_generation);
        live.metadata.deletion_timestamp.is_some() || seen >= live.metadata.generation
    })
}

pub(crate) fn is_owned_by(object: &ObjectMeta, owner: &str) -> bool {
    object.owner_references.iter().flatten().any(|found| found.uid == owner)
}
