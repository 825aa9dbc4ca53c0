//! Making it so: a new container takes the place of the old one, whatever step is interrupted.

use std::collections::BTreeSet;

use bollard::models::{ContainerInspectResponse, ContainerUpdateBody};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    RenameContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use jiff::Timestamp;
use mcp_deploy_core::{DeployOptions, DeploymentName, DeploymentSpec, Error, Result};

use crate::backend::{DockerBackend, PORTS};
use crate::container::{self, Placed, STOP_SECONDS};
use crate::error::{is_conflict, is_not_found, is_port_taken, refusal, sorted};
use crate::names::{self, BACKEND};
use crate::status::Ours;
use crate::{network, pull};

impl DockerBackend {
    /// Creates, updates, or leaves what is there. The caller holds the name's lock.
    pub(crate) async fn make_it_so(&self, spec: &DeploymentSpec, options: &DeployOptions) -> Result<()> {
        let current = self.current(spec.name.as_str()).await?;
        let Some((ours, container)) = current else {
            self.prepare(spec, options).await?;
            let now = Timestamp::now();
            return self.create_first(spec, now).await;
        };
        if ours.spec.is_resized(spec) {
            return self.resize(&ours, &container, spec.replicas).await;
        }
        self.prepare(spec, options).await?;
        let updated_at = Timestamp::now();
        let placed = Placed { revision: ours.placed.revision + 1, updated_at, ..ours.placed };
        self.replace(spec, placed, true).await
    }

    /// What is there under the name; something that is not ours is a conflict.
    pub(crate) async fn current(&self, name: &str) -> Result<Option<(Ours, ContainerInspectResponse)>> {
        match self.docker()?.inspect_container(name, None).await {
            Ok(container) => match Ours::of(&container) {
                Some(ours) => Ok(Some((ours, container))),
                None => Err(Error::Conflict {
                    name: name.to_owned(),
                    backend: BACKEND,
                    reason: "a container of this name is there that mcp-deploy did not make".to_owned(),
                }),
            },
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(sorted("look at the container", error)),
        }
    }

    /// All that a container needs before it can be made.
    async fn prepare(&self, spec: &DeploymentSpec, options: &DeployOptions) -> Result<()> {
        pull::ensure_image(self.docker()?, spec, options).await?;
        network::ensure_volumes(self.docker()?, spec).await
    }

    /// The first container of a name: at the first port that the daemon gives.
    async fn create_first(&self, spec: &DeploymentSpec, now: Timestamp) -> Result<()> {
        let taken = self.reserved_ports().await?;
        for port in ports_of(&spec.name).filter(|port| !taken.contains(port)) {
            let placed = Placed { revision: 1, port, created_at: now, updated_at: now };
            self.create(spec, placed, spec.name.as_str()).await?;
            match self.start_if_wanted(spec).await? {
                Started::PortTaken => self.discard(spec.name.as_str()).await?,
                Started::AsWanted => return Ok(()),
            }
        }
        Err(Error::Conflict {
            name: format!("{} to {}", PORTS.start(), PORTS.end()),
            backend: BACKEND,
            reason: "every port of the range is taken".to_owned(),
        })
    }

    /// A new container beside the current one, then in its place.
    pub(crate) async fn replace(
        &self,
        spec: &DeploymentSpec,
        placed: Placed,
        keep_previous: bool,
    ) -> Result<()> {
        let (next, previous) = (names::next(&spec.name), names::previous(&spec.name));
        // What is not ours is a conflict, told before anything is touched.
        self.current(&previous).await?;
        self.discard(&next).await?;
        self.create(spec, placed, &next).await?;
        self.stop(spec.name.as_str()).await?;
        if keep_previous {
            self.discard(&previous).await?;
            self.rename(spec.name.as_str(), &previous).await?;
        } else {
            self.discard(spec.name.as_str()).await?;
        }
        self.rename(&next, spec.name.as_str()).await?;
        // The address stays: where its port is taken, the report says so.
        self.start_if_wanted(spec).await.map(drop)
    }

    /// Starts or stops the container, where that is not how it is.
    pub(crate) async fn resize(
        &self,
        ours: &Ours,
        container: &ContainerInspectResponse,
        replicas: u32,
    ) -> Result<()> {
        let name = &ours.spec.name;
        let state = container.state.clone().unwrap_or_default();
        let is_up = state.running == Some(true) || state.restarting == Some(true);
        if replicas == 0 {
            self.set_policy(name, container::stopped_policy(ours.spec.restart)).await?;
            return self.stop(name.as_str()).await;
        }
        self.set_policy(name, container::restart_policy(ours.spec.restart)).await?;
        if is_up {
            return Ok(());
        }
        let spec = DeploymentSpec { replicas, ..ours.spec.clone() };
        self.start_if_wanted(&spec).await.map(drop)
    }

    async fn create(&self, spec: &DeploymentSpec, placed: Placed, name: &str) -> Result<()> {
        let network = self.ensure_network().await?;
        let body = container::container(spec, placed, &network)
            .map_err(|error| Error::backend(BACKEND, "write the container's labels", error))?;
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        match self.docker()?.create_container(Some(options), body).await {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) => Err(Error::Conflict {
                name: name.to_owned(),
                backend: BACKEND,
                reason: "a container of this name was made meanwhile".to_owned(),
            }),
            Err(error) => Err(sorted("create the container", error)),
        }
    }

    /// Starts the container. What the platform refuses to run is told by its report, not by this call.
    async fn start_if_wanted(&self, spec: &DeploymentSpec) -> Result<Started> {
        if spec.replicas == 0 {
            return Ok(Started::AsWanted);
        }
        let docker = self.docker()?;
        let mut started = docker.start_container(spec.name.as_str(), None).await;
        if let Err(error) = &started
            && refusal(error).is_some_and(|(_, message)| message.contains("is ambiguous"))
        {
            // Another process has made the network as well: one of the two goes.
            self.ensure_network().await?;
            started = docker.start_container(spec.name.as_str(), None).await;
        }
        let Err(error) = started else { return Ok(Started::AsWanted) };
        match refusal(&error) {
            Some((_, message)) if is_port_taken(message) => Ok(Started::PortTaken),
            Some((400 | 500, message)) => {
                tracing::warn!(deployment = %spec.name, message, "the container does not start");
                Ok(Started::AsWanted)
            }
            _ => Err(sorted("start the container", error)),
        }
    }

    pub(crate) async fn stop(&self, name: &str) -> Result<()> {
        let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
        match self.docker()?.stop_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            // It is stopped already.
            Err(error) if refusal(&error).is_some_and(|(status, _)| status == 304) => Ok(()),
            Err(error) => Err(sorted("stop the container", error)),
        }
    }

    /// Removes a container of ours, with its anonymous volumes; one that is not there is fine, and one that is
    /// not ours stays.
    pub(crate) async fn discard(&self, name: &str) -> Result<()> {
        match self.current(name).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(Error::Conflict { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker()?.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            // Somebody else removes it just now.
            Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(()),
            Err(error) => Err(sorted("remove the container", error)),
        }
    }

    async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let options = RenameContainerOptionsBuilder::new().name(to).build();
        self.docker()?
            .rename_container(from, options)
            .await
            .map_err(|error| sorted("rename the container", error))
    }

    async fn set_policy(&self, name: &DeploymentName, policy: bollard::models::RestartPolicy) -> Result<()> {
        let body = ContainerUpdateBody { restart_policy: Some(policy), ..ContainerUpdateBody::default() };
        let updated = self.docker()?.update_container(name.as_str(), body).await;
        updated.map_err(|error| sorted("set the restart policy", error))
    }

    /// The ports that deployments have, also those of stopped ones.
    async fn reserved_ports(&self) -> Result<BTreeSet<u16>> {
        let options = ListContainersOptionsBuilder::new().all(true).filters(&names::ours()).build();
        let containers = self.docker()?.list_containers(Some(options)).await;
        let containers = containers.map_err(|error| sorted("list containers", error))?;
        let port = |labels: std::collections::HashMap<String, String>| labels.get(names::PORT)?.parse().ok();
        Ok(containers.into_iter().filter_map(|container| port(container.labels?)).collect())
    }
}

/// What became of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Started {
    /// It started, or was not to start, or its report says why not.
    AsWanted,
    /// The daemon says that the port on the host is taken.
    PortTaken,
}

/// All ports of the range, beginning with one that follows from the name.
fn ports_of(name: &DeploymentName) -> impl Iterator<Item = u16> {
    let count = PORTS.end() - PORTS.start() + 1;
    let sum = name.as_str().bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let first = u16::try_from(sum % u32::from(count)).unwrap_or_default();
    (0..count).map(move |step| PORTS.start() + (first + step) % count)
}
