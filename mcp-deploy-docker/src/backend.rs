//! The backend: the verbs of the trait.

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use mcp_deploy_core::{
    BackendHealth, Capabilities, Connection, DeleteOptions, DeployOptions, Deployment, DeploymentBackend,
    DeploymentName, DeploymentSpec, Error, EventStream, LogOptions, LogStream, Logs, Part, RestartPolicy,
    Result, Revision, Selector,
};
use std::sync::Arc;

use crate::containers::Found;
use crate::daemon::Daemon;
use crate::deploy::next_revision;
use crate::error::{absent, sorted};
use crate::handle::DockerBackend;
use crate::list::Look;
use crate::names::{BACKEND, Role};
use crate::turn::Turn;
use crate::{logs, volumes, watch};

impl DockerBackend {
    /// The current container of a name, once nobody is about to replace it.
    async fn ours(&self, name: &DeploymentName, turn: &mut Turn) -> Result<Found> {
        match self.settled(name, turn).await {
            Ok(current) => current.ok_or_else(|| absent(name)),
            Err(Error::Conflict { name: taken, .. }) if taken == name.as_str() => Err(absent(name)),
            Err(error) => Err(error),
        }
    }

    /// What a deploy would make of what is there.
    async fn try_out(&self, spec: &DeploymentSpec) -> Result<Deployment> {
        volumes::check(self.docker().await?, spec).await?;
        let name = &spec.name;
        let previous = self.find(name, Role::Previous).await?;
        let revision = match (self.find(name, Role::Current).await?, previous) {
            (None, _) => {
                self.ports_for(name, self.settings().bind, spec.host_port).await?;
                1
            }
            (Some(current), _) if current.ours.spec.is_resized(spec) => current.ours.placed.revision,
            (Some(_), Some(previous)) if previous.ours.spec.is_resized(spec) => previous.ours.placed.revision,
            (Some(current), previous) => {
                self.address_after(spec, &current).await?;
                next_revision(&current, previous.as_ref())
            }
        };
        Ok(Deployment { revision, ..Deployment::pending(spec, BACKEND, Timestamp::now()) })
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
            host_port: true,
            pids: true,
            restart_policies: &[RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never],
            revisions: 1,
            logs: Logs::Kept,
            reasons: &[
                (Part::Replicas, "one container has the address; Kubernetes runs several behind one"),
                (Part::NetworkNone, "on a Docker network without a way out no port can be published"),
                (Part::NetworkRules, "a Docker network has none; Kubernetes enforces them"),
                (Part::NetworkHosts, "a Docker network has none"),
            ],
            ..Capabilities::LEAST
        }
    }

    async fn check(&self) -> Result<BackendHealth> {
        let Daemon { docker, address, .. } = self.daemon().await?;
        let version = docker.version().await.map_err(|error| sorted("ask for the version", error))?;
        Ok(BackendHealth { version: version.version.unwrap_or_default(), scope: address.clone() })
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %spec.name, operation = "deploy"))]
    async fn deploy(&self, spec: &DeploymentSpec, options: DeployOptions) -> Result<Deployment> {
        self.capabilities().check(BACKEND, spec)?;
        if options.dry_run {
            return self.try_out(spec).await;
        }
        let mut turn = self.turn(&spec.name).await;
        self.make_it_so(spec, &options, &mut turn).await?;
        self.get(&spec.name).await
    }

    async fn get(&self, name: &DeploymentName) -> Result<Deployment> {
        self.report(&self.running(name).await?).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Arc<Deployment>>> {
        Ok(self.look(selector, Look::Quick).await?.into_iter().map(Arc::new).collect())
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "scale"))]
    async fn scale(&self, name: &DeploymentName, replicas: u32) -> Result<Deployment> {
        let mut turn = self.turn(name).await;
        let current = self.ours(name, &mut turn).await?;
        self.capabilities().check_replicas(BACKEND, replicas)?;
        self.resize(&current, replicas, &DeployOptions::default(), &mut turn).await?;
        self.get(name).await
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "restart"))]
    async fn restart(&self, name: &DeploymentName) -> Result<Deployment> {
        let mut turn = self.turn(name).await;
        let current = self.ours(name, &mut turn).await?;
        if self.report(&current).await?.replicas.desired > 0 {
            // Where somebody else replaces it just now, its instance is new without us.
            self.renew(&current, &DeployOptions::default(), &mut turn).await?;
        }
        self.get(name).await
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "delete"))]
    async fn delete(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()> {
        let mut turn = self.turn(name).await;
        // What an interrupted verb has left goes too, and is enough to be deleted.
        let mut found = false;
        for role in [Role::Next, Role::Volumes, Role::Previous] {
            found |= self.discard(name, role).await?;
        }
        turn.ends();
        match self.find(name, Role::Current).await {
            Ok(Some(current)) => {
                self.stop(&current.id).await?;
                self.remove(&current.id).await?;
                found = true;
            }
            Ok(None) => {}
            // It is of another version, whose spec cannot be read here, or not ours.
            Err(Error::Conflict { .. }) => found |= self.discard(name, Role::Current).await?,
            Err(error) => return Err(error),
        }
        if !found {
            return Err(absent(name));
        }
        if options.volumes {
            volumes::remove(self.docker().await?, name).await?;
        }
        Ok(())
    }

    async fn revisions(&self, name: &DeploymentName) -> Result<Vec<Revision>> {
        self.running(name).await?;
        let previous = self.find(name, Role::Previous).await?;
        let revision = |Found { ours, .. }: Found| Revision {
            number: ours.placed.revision,
            created_at: ours.placed.updated_at,
            spec: ours.spec,
        };
        Ok(previous.map(revision).into_iter().collect())
    }

    async fn connect(&self, name: &DeploymentName) -> Result<Connection> {
        let found = self.running(name).await?;
        let deployment = self.report(&found).await?;
        match &deployment.endpoint {
            Some(endpoint) => Ok(Connection::new(endpoint)),
            None if deployment.ready => Err(Error::Unsupported {
                backend: BACKEND,
                feature: format!(
                    "a connection from here to `{}` on the daemon's host: it is published on the loopback \
                     interface of `{}`; set `MCP_DOCKER_BIND` to an address of that host, delete `{name}` and \
                     deploy it again",
                    found.ours.placed.address,
                    self.daemon().await?.address,
                ),
            }),
            None => Err(Error::not_listening(BACKEND, &deployment)),
        }
    }

    fn logs(&self, name: &DeploymentName, options: LogOptions) -> LogStream {
        if let Err(error) = self.capabilities().check_logs(BACKEND, options) {
            return stream::iter([Err(error)]).boxed();
        }
        logs::stream(self.clone(), name.clone(), options)
    }

    fn watch(&self, selector: Selector) -> EventStream {
        watch::stream(self.clone(), selector)
    }
}
