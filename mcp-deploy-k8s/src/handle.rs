//! What all verbs work with: the settings, the cluster, and whose turn it is.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use mcp_deploy_core::{DeploymentName, KubernetesSettings, Result, Settings};
use tokio::sync::{OnceCell, OwnedMutexGuard};

use crate::access::Access;
use crate::turn::Turns;

/// A backend of one namespace of a cluster; a cheap handle.
#[derive(Clone)]
pub struct KubernetesBackend(Arc<Inner>);

struct Inner {
    settings: KubernetesSettings,
    /// Found at the first use: a machine without a cluster can have the backend.
    access: OnceCell<Access>,
    turns: Turns,
}

impl fmt::Debug for KubernetesBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesBackend").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl KubernetesBackend {
    /// The cluster that the settings name. Nothing is reached yet.
    pub fn new(settings: KubernetesSettings) -> Self {
        Self(Arc::new(Inner { settings, access: OnceCell::new(), turns: Turns::default() }))
    }

    /// The same, of a program's settings.
    pub fn from_settings(settings: &Settings) -> Self {
        Self::new(settings.kubernetes.clone())
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.0.settings.namespace
    }

    pub(crate) fn ingress_host(&self) -> Option<&str> {
        self.0.settings.ingress_host.as_deref()
    }

    pub(crate) async fn access(&self) -> Result<&Access> {
        self.0.access.get_or_try_init(|| Access::find(&self.0.settings)).await
    }

    pub(crate) async fn client(&self) -> Result<Client> {
        Ok(self.access().await?.client.clone())
    }

    /// The objects of a kind in the namespace.
    pub(crate) async fn objects<K>(&self) -> Result<Api<K>>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Ok(Api::namespaced(self.client().await?, self.namespace()))
    }

    /// The turn of a verb on a name.
    pub(crate) async fn turn(&self, name: &DeploymentName) -> OwnedMutexGuard<()> {
        self.0.turns.take(name).await
    }
}
