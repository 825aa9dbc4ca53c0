//! The backend: verbs on containers, and reports on what became of them.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::future::join_all;
use jiff::Timestamp;
use mcp_deploy_core::{
    BackendHealth, Capabilities, Connection, DeleteOptions, DeployOptions, Deployment, DeploymentBackend,
    DeploymentName, DeploymentSpec, Error, EventStream, LogOptions, LogStream, Logs, RestartPolicy, Result,
    Revision, Selector, Settings,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::container::Placed;
use crate::error::{is_not_found, sorted};
use crate::names::{self, BACKEND};
use crate::status::{self, Ours};
use crate::{logs, network, watch};

/// The ports of the host that deployments get.
pub(crate) const PORTS: RangeInclusive<u16> = 21000..=21999;

/// Where a daemon listens, unless told otherwise.
const USUAL_ADDRESS: &str =
    if cfg!(windows) { "npipe:////./pipe/docker_engine" } else { "unix:///var/run/docker.sock" };

/// A backend of one Docker daemon; a cheap handle.
#[derive(Clone)]
pub struct DockerBackend {
    /// Connected at the first use: a machine without a daemon can have the backend.
    docker: Arc<OnceLock<Docker>>,
    address: Arc<str>,
    /// Verbs on one name wait for each other; those of other processes meet at the daemon.
    locks: Arc<Mutex<HashMap<DeploymentName, Arc<AsyncMutex<()>>>>>,
    /// Held while the network is looked for and made.
    network: Arc<AsyncMutex<()>>,
}

impl fmt::Debug for DockerBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerBackend").field("address", &self.address).finish_non_exhaustive()
    }
}

impl DockerBackend {
    /// The daemon at an address, as in `unix:///var/run/docker.sock` or `tcp://127.0.0.1:2375`. Nothing is
    /// reached yet.
    pub fn new(address: &str) -> Self {
        Self {
            docker: Arc::default(),
            address: address.into(),
            locks: Arc::default(),
            network: Arc::default(),
        }
    }

    /// The daemon that a program's settings name, else the one at the platform's usual address.
    pub fn from_settings(settings: &Settings) -> Self {
        Self::new(settings.docker.host.as_deref().unwrap_or(USUAL_ADDRESS))
    }

    /// The id of the network, which is made when it is missing.
    pub(crate) async fn ensure_network(&self) -> Result<String> {
        let _lock = self.network.lock().await;
        network::ensure_network(self.docker()?).await
    }

    pub(crate) fn docker(&self) -> Result<&Docker> {
        if let Some(docker) = self.docker.get() {
            return Ok(docker);
        }
        let docker = Docker::connect_with_host(&self.address).map_err(|error| Error::Unavailable {
            backend: BACKEND,
            source: format!("no daemon at `{}`; `DOCKER_HOST` names another: {error}", self.address).into(),
        })?;
        Ok(self.docker.get_or_init(|| docker))
    }

    /// The container of a name, where it is ours.
    pub(crate) async fn inspect_ours(
        &self,
        name: &DeploymentName,
    ) -> Result<(Ours, ContainerInspectResponse)> {
        let absent = || Error::NotFound { name: name.clone(), backend: BACKEND, nearest: None };
        match self.current(name.as_str()).await {
            Ok(current) => current.ok_or_else(absent),
            // What is not ours is not there for us.
            Err(Error::Conflict { .. }) => Err(absent()),
            Err(error) => Err(error),
        }
    }

    async fn lock(&self, name: &DeploymentName) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(name.clone()).or_default())
        };
        lock.lock_owned().await
    }

    /// The report on a listed container, where it is a deployment that is selected: only these are inspected.
    async fn summary_report(
        &self,
        summary: ContainerSummary,
        selector: &Selector,
    ) -> Option<Result<Deployment>> {
        let ours = Ours::read(summary.labels.as_ref()?, None)?;
        if !selector.matches(&ours.spec.name, &ours.spec.template.id) {
            return None;
        }
        // The previous and the next container carry the same labels: the name tells.
        let is_current =
            summary.names?.iter().any(|name| name.trim_start_matches('/') == ours.spec.name.as_str());
        if !is_current {
            return None;
        }
        match self.inspect_ours(&ours.spec.name).await {
            Ok((ours, container)) => Some(Ok(status::report(&ours, &container, Timestamp::now()))),
            // Gone since it was listed.
            Err(Error::NotFound { .. }) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

#[async_trait]
impl DeploymentBackend for DockerBackend {
    fn name(&self) -> &'static str {
        BACKEND
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            volumes: true,
            host_mounts: true,
            restart_policies: &[RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never],
            revisions: 1,
            logs: Logs::Kept,
            ..Capabilities::LEAST
        }
    }

    async fn check(&self) -> Result<BackendHealth> {
        let version = self.docker()?.version().await.map_err(|error| sorted("ask for the version", error))?;
        Ok(BackendHealth { version: version.version.unwrap_or_default(), scope: self.address.to_string() })
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %spec.name, operation = "deploy"))]
    async fn deploy(&self, spec: &DeploymentSpec, options: DeployOptions) -> Result<Deployment> {
        self.capabilities().check(BACKEND, spec)?;
        let _lock = self.lock(&spec.name).await;
        if options.dry_run {
            let now = Timestamp::now();
            let revision = self
                .current(spec.name.as_str())
                .await?
                .map_or(1, |(ours, _)| ours.placed.revision + u64::from(!ours.spec.is_resized(spec)));
            return Ok(Deployment { revision, ..Deployment::pending(spec, BACKEND, now) });
        }
        self.make_it_so(spec, &options).await?;
        self.get(&spec.name).await
    }

    async fn get(&self, name: &DeploymentName) -> Result<Deployment> {
        let (ours, container) = self.inspect_ours(name).await?;
        Ok(status::report(&ours, &container, Timestamp::now()))
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Deployment>> {
        let options = ListContainersOptionsBuilder::new().all(true).filters(&names::ours()).build();
        let containers = self
            .docker()?
            .list_containers(Some(options))
            .await
            .map_err(|error| sorted("list containers", error))?;
        let reports = containers.into_iter().map(|summary| self.summary_report(summary, selector));
        let reports = join_all(reports).await.into_iter().flatten();
        let mut deployments = reports.collect::<Result<Vec<_>>>()?;
        deployments.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(deployments)
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "scale"))]
    async fn scale(&self, name: &DeploymentName, replicas: u32) -> Result<Deployment> {
        let _lock = self.lock(name).await;
        let (ours, container) = self.inspect_ours(name).await?;
        self.capabilities().check_replicas(BACKEND, replicas)?;
        self.resize(&ours, &container, replicas).await?;
        self.get(name).await
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "restart"))]
    async fn restart(&self, name: &DeploymentName) -> Result<Deployment> {
        let _lock = self.lock(name).await;
        let (ours, container) = self.inspect_ours(name).await?;
        if status::report(&ours, &container, Timestamp::now()).replicas.desired > 0 {
            let placed = Placed { updated_at: Timestamp::now(), ..ours.placed };
            self.replace(&DeploymentSpec { replicas: 1, ..ours.spec }, placed, false).await?;
        }
        self.get(name).await
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "delete"))]
    async fn delete(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()> {
        let _lock = self.lock(name).await;
        let found = self.inspect_ours(name).await;
        // What an interrupted update left goes too.
        self.discard(&names::next(name)).await?;
        match found {
            Ok((_, container))
                if container.state.as_ref().is_some_and(|state| state.running == Some(true)) =>
            {
                self.stop(name.as_str()).await?;
            }
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        self.discard(&names::previous(name)).await?;
        self.discard(name.as_str()).await?;
        if options.volumes {
            network::remove_volumes(self.docker()?, name).await?;
        }
        Ok(())
    }

    async fn revisions(&self, name: &DeploymentName) -> Result<Vec<Revision>> {
        self.inspect_ours(name).await?;
        match self.docker()?.inspect_container(&names::previous(name), None).await {
            Ok(container) => {
                let ours = Ours::of(&container);
                let revision = |Ours { spec, placed }| Revision {
                    number: placed.revision,
                    created_at: placed.updated_at,
                    spec,
                };
                Ok(ours.map(revision).into_iter().collect())
            }
            Err(error) if is_not_found(&error) => Ok(Vec::new()),
            Err(error) => Err(sorted("look at the revision before", error)),
        }
    }

    async fn connect(&self, name: &DeploymentName) -> Result<Connection> {
        let deployment = self.get(name).await?;
        match &deployment.endpoint {
            Some(endpoint) => Ok(Connection::new(endpoint)),
            None => Err(Error::not_listening(BACKEND, &deployment)),
        }
    }

    fn logs(&self, name: &DeploymentName, options: LogOptions) -> LogStream {
        logs::stream(self.clone(), name.clone(), options)
    }

    fn watch(&self, selector: Selector) -> EventStream {
        watch::stream(self.clone(), selector)
    }
}
