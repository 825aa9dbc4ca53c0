//! What all verbs work with: the settings, the daemon, and whose turn it is.

use std::fmt;
use std::sync::Arc;

use bollard::Docker;
use mcp_deploy_core::{DeploymentName, DockerSettings, Result, Settings};
use tokio::sync::{Mutex, OnceCell};

use crate::daemon::Daemon;
use crate::network;
use crate::turn::{Turn, Turns};

/// A backend of one Docker daemon; a cheap handle.
#[derive(Clone)]
pub struct DockerBackend(Arc<Inner>);

struct Inner {
    settings: DockerSettings,
    /// Found at the first use: a machine without a daemon can have the backend.
    daemon: OnceCell<Daemon>,
    turns: Turns,
    /// Held while the network is looked for and made.
    network: Mutex<()>,
}

impl fmt::Debug for DockerBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerBackend").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl DockerBackend {
    /// The daemon that the settings name, or the one that listens at a usual address. Nothing is reached yet.
    pub fn new(settings: DockerSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            daemon: OnceCell::new(),
            turns: Turns::default(),
            network: Mutex::default(),
        }))
    }

    /// The same, of a program's settings.
    pub fn from_settings(settings: &Settings) -> Self {
        Self::new(settings.docker.clone())
    }

    pub(crate) fn settings(&self) -> &DockerSettings {
        &self.0.settings
    }

    pub(crate) async fn daemon(&self) -> Result<&Daemon> {
        self.0.daemon.get_or_try_init(|| Box::pin(Daemon::find(&self.0.settings))).await
    }

    pub(crate) async fn docker(&self) -> Result<&Docker> {
        Ok(&self.daemon().await?.docker)
    }

    /// The turn of a verb on a name.
    pub(crate) async fn turn(&self, name: &DeploymentName) -> Turn {
        self.0.turns.take(name).await
    }

    /// The id of the network, which is made when it is missing.
    pub(crate) async fn ensure_network(&self) -> Result<String> {
        let docker = self.docker().await?;
        let _lock = self.0.network.lock().await;
        network::ensure_network(docker).await
    }
}
