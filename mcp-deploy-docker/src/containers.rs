//! The steps on single containers, and what each answer of the daemon means.

use std::future::Future;
use std::time::Duration;

use bollard::errors::Error as Bollard;
use bollard::models::{ContainerInspectResponse, ContainerUpdateBody};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use jiff::Timestamp;
use mcp_deploy_core::{DeploymentName, DeploymentSpec, Error, FailureReason, RestartPolicy, Result};
use tokio::time::sleep;

use crate::container::{self, STOP_SECONDS};
use crate::error::{
    absent, is_conflict, is_network_gone, is_not_found, is_port_taken, refusal, sorted, sorted_of,
};
use crate::handle::DockerBackend;
use crate::labels::{self, Ours, Placed};
use crate::mend::ABANDONED;
use crate::names::{BACKEND, Role};
use crate::pull::Image;
use crate::status;

/// How often, and after which pause, a step is tried again on a container that ends.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// A container of ours, as it is.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) ours: Ours,
    /// All that the daemon tells of it, which is a lot to move about.
    pub(crate) container: Box<ContainerInspectResponse>,
    /// Whether somebody has just stopped it to put another in its place.
    pub(crate) is_replaced: bool,
}

impl Found {
    /// Whether it runs, or is about to run again.
    pub(crate) fn is_up(&self) -> bool {
        let state = self.container.state.as_ref();
        state.is_some_and(|state| state.running == Some(true) || state.restarting == Some(true))
    }

    /// Whether it is to run, was stopped, and nobody has asked for that: a replacement was interrupted.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.is_kept_up() && self.ours.spec.replicas > 0 && !self.is_up()
    }

    /// Whether the daemon restarts it as its spec says: it was not stopped on purpose.
    pub(crate) fn is_kept_up(&self) -> bool {
        let host_config = self.container.host_config.as_ref();
        let policy = host_config.and_then(|config| config.restart_policy.as_ref()?.name);
        policy == container::restart_policy(self.ours.spec.restart).name
    }

    /// Whether it ended a moment ago, as the current container does in the middle of a replacement.
    fn has_just_ended(&self) -> bool {
        let state = self.container.state.as_ref();
        let ended_at = state.and_then(|state| state.finished_at.as_deref()?.parse::<Timestamp>().ok());
        ended_at.is_some_and(|at| Timestamp::now().duration_since(at).unsigned_abs() < ABANDONED)
    }

    /// Whether it is as the first deploy of its name has made it, and never ran.
    pub(crate) fn is_first(&self) -> bool {
        let Placed { created_at, updated_at, .. } = self.ours.placed;
        created_at == updated_at && !self.was_started()
    }

    /// Whether it was started at some time.
    pub(crate) fn was_started(&self) -> bool {
        use bollard::models::ContainerStateStatusEnum::CREATED;
        self.container.state.as_ref().is_some_and(|state| state.status != Some(CREATED))
    }
}

/// What became of a new container.
#[derive(Debug)]
pub(crate) enum Created {
    /// It is there, under this id.
    As(String),
    /// Something has its name.
    NameTaken,
}

/// What became of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// It started, or its report says why not.
    AsWanted,
    /// The daemon says that the port on the host is taken.
    PortTaken,
    /// It never can: somebody has removed the network that it was made for, and another one of the name is not it.
    NetworkGone,
}

impl DockerBackend {
    /// The container of a deployment in a role; something of its name that is not ours is a conflict.
    pub(crate) async fn find(&self, name: &DeploymentName, role: Role) -> Result<Option<Found>> {
        let container_name = role.container(name);
        let container = match self.docker().await?.inspect_container(&container_name, None).await {
            Ok(container) => container,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(sorted("look at the container", error)),
        };
        let ours = Ours::of(&container).filter(|ours| ours.spec.name == *name);
        let Some(ours) = ours else { return Err(taken(container_name)) };
        Ok(Some(Found {
            id: container.id.clone().unwrap_or(container_name),
            ours,
            container: Box::new(container),
            is_replaced: false,
        }))
    }

    /// The container that runs a deployment, or is about to: while the current one is replaced, the next one as
    /// soon as it runs.
    pub(crate) async fn running(&self, name: &DeploymentName) -> Result<Found> {
        for role in [Role::Current, Role::Next, Role::Current] {
            let Some(found) = self.find_ours(name, role).await? else { continue };
            let may_be_replaced = !found.is_up() && (found.is_interrupted() || found.has_just_ended());
            if role == Role::Next || !may_be_replaced {
                return Ok(found);
            }
            return Ok(match self.find_ours(name, Role::Next).await? {
                Some(next) if next.is_up() => next,
                Some(_) if found.is_interrupted() && found.has_just_ended() => {
                    Found { is_replaced: true, ..found }
                }
                // Between the two looks the next one may have got the name.
                None if found.is_interrupted() => self.find_ours(name, Role::Current).await?.unwrap_or(found),
                _ => found,
            });
        }
        Err(absent(name))
    }

    /// The same as [`find`](Self::find), where what is not ours is not there for us.
    async fn find_ours(&self, name: &DeploymentName, role: Role) -> Result<Option<Found>> {
        match self.find(name, role).await {
            Err(Error::Conflict { .. }) => Ok(None),
            found => found,
        }
    }

    /// Makes the container of a spec; it is not started, and its volumes are still as the daemon makes them.
    pub(crate) async fn create(
        &self,
        spec: &DeploymentSpec,
        placed: Placed,
        image: &Image,
        role: Role,
    ) -> Result<Created> {
        let docker = self.docker().await?;
        let network = self.ensure_network().await?;
        let body = container::container(spec, placed, &network, &image.volumes)
            .map_err(|error| Error::backend(BACKEND, "write the container's labels", error))?;
        let name = role.container(&spec.name);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let id = match docker.create_container(Some(options), body).await {
            Ok(created) => created.id,
            Err(error) if is_conflict(&error) => return Ok(Created::NameTaken),
            Err(error) => {
                let Some((status @ (400 | 404 | 500), words)) = refusal(&error) else {
                    return Err(sorted("create the container", error));
                };
                let reason = match status::reason_of_start(words) {
                    // It does not like the request itself.
                    FailureReason::Unknown if status == 400 => FailureReason::ConfigError,
                    reason => reason,
                };
                let failure = Box::new(status::refused(reason, words));
                return Err(Error::Failed { name: spec.name.clone(), failure, recovery: None });
            }
        };
        Ok(Created::As(id))
    }

    /// Starts a container. What the platform refuses to run is told by its report, not by this call.
    pub(crate) async fn start(&self, spec: &DeploymentSpec, id: &str) -> Result<Started> {
        let docker = self.docker().await?;
        let mut started = docker.start_container(id, None).await;
        if let Err(error) = &started
            && refusal(error).is_some_and(|(_, words)| words.contains("is ambiguous"))
        {
            // Another process has made the network as well: one of the two goes.
            self.ensure_network().await?;
            started = docker.start_container(id, None).await;
        }
        let Err(error) = started else { return Ok(Started::AsWanted) };
        match refusal(&error) {
            // It runs already.
            Some((304, _)) => Ok(Started::AsWanted),
            Some((_, words)) if is_port_taken(words) => Ok(Started::PortTaken),
            Some((404, words)) if is_network_gone(words) => {
                tracing::warn!(deployment = %spec.name, words, "the container can never start again");
                Ok(Started::NetworkGone)
            }
            Some((400 | 500, words)) => {
                tracing::warn!(deployment = %spec.name, words, "the container does not start");
                Ok(Started::AsWanted)
            }
            _ => Err(sorted_of(&spec.name, "start the container", error)),
        }
    }

    /// Stops a container: SIGTERM, and SIGKILL when it has not ended in time.
    pub(crate) async fn stop(&self, id: &str) -> Result<()> {
        let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
        match self.docker().await?.stop_container(id, Some(options)).await {
            Ok(()) => Ok(()),
            // It is stopped already, or gone.
            Err(error) if refusal(&error).is_some_and(|(status, _)| matches!(status, 304 | 404)) => Ok(()),
            Err(error) => Err(sorted("stop the container", error)),
        }
    }

    /// Removes the container of a deployment in a role, with its anonymous volumes, running or not; whether
    /// there was one. What is not ours stays.
    pub(crate) async fn discard(&self, name: &DeploymentName, role: Role) -> Result<bool> {
        let container_name = role.container(name);
        let docker = self.docker().await?;
        let container = match docker.inspect_container(&container_name, None).await {
            Ok(container) => container,
            Err(error) if is_not_found(&error) => return Ok(false),
            Err(error) => return Err(sorted("look at the container", error)),
        };
        let found = container.config.and_then(|config| config.labels).as_ref().and_then(labels::deployment);
        match container.id {
            Some(id) if found.as_ref() == Some(name) => self.remove(&id).await.map(|()| true),
            _ => Ok(false),
        }
    }

    /// Removes a container, with its anonymous volumes; one that is not there is fine.
    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker().await?.remove_container(id, Some(options)).await {
            Ok(()) => Ok(()),
            // Somebody else has removed it, or does so just now.
            Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(()),
            Err(error) => Err(sorted("remove the container", error)),
        }
    }

    /// Gives a container another role; whether the name of that role was free.
    pub(crate) async fn rename(&self, id: &str, name: &DeploymentName, role: Role) -> Result<bool> {
        let docker = self.docker().await?;
        let container_name = role.container(name);
        let rename = || {
            let options = RenameContainerOptionsBuilder::new().name(&container_name).build();
            docker.rename_container(id, options)
        };
        match although_it_ends(rename).await {
            Ok(()) => Ok(true),
            Err(error) if is_conflict(&error) => Ok(false),
            Err(error) => Err(sorted_of(name, "rename the container", error)),
        }
    }

    /// Lets the daemon restart a container as a spec says.
    pub(crate) async fn keep_up(&self, id: &str, spec: &DeploymentSpec) -> Result<()> {
        self.set_policy(id, &spec.name, container::restart_policy(spec.restart)).await
    }

    /// Marks a container as stopped on purpose: the daemon does not start it, whatever the spec says.
    pub(crate) async fn keep_down(&self, id: &str, spec: &DeploymentSpec) -> Result<()> {
        self.set_policy(id, &spec.name, container::stopped_policy(spec.restart)).await
    }

    /// The daemon does not start it again, whatever the spec says, and also when the daemon itself starts again.
    pub(crate) async fn never_restart(&self, id: &str, spec: &DeploymentSpec) -> Result<()> {
        self.set_policy(id, &spec.name, container::restart_policy(RestartPolicy::Never)).await
    }

    async fn set_policy(
        &self,
        id: &str,
        name: &DeploymentName,
        policy: bollard::models::RestartPolicy,
    ) -> Result<()> {
        let docker = self.docker().await?;
        let body = ContainerUpdateBody { restart_policy: Some(policy), ..ContainerUpdateBody::default() };
        let updated = although_it_ends(|| docker.update_container(id, body.clone())).await;
        updated.map_err(|error| sorted_of(name, "set the restart policy", error))
    }
}

/// Something that is not ours has the name.
pub(crate) fn taken(container_name: String) -> Error {
    let reason =
        "a container of this name is there that mcp-deploy did not make, or whose labels this version of \
                  it cannot read"
            .to_owned();
    Error::Conflict { name: container_name, backend: BACKEND, reason }
}

/// Tries a step again while its container ends at that very moment: a daemon takes it for running still, and then
/// does not find its parts.
async fn although_it_ends<F>(step: impl Fn() -> F) -> Result<(), Bollard>
where
    F: Future<Output = Result<(), Bollard>>,
{
    let ends = |error: &Bollard| match refusal(error) {
        Some((404, words)) => words.starts_with("sandbox "),
        Some((500, words)) => words.starts_with("Cannot update container"),
        _ => false,
    };
    for _ in 0..TRIES {
        match step().await {
            Err(error) if ends(&error) => sleep(PAUSE).await,
            done => return done,
        }
    }
    step().await
}
