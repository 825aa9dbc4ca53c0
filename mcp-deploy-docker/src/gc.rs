//! Removing what we made and nothing owns any more.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListVolumesOptionsBuilder;
use mcp_deploy_core::{DeployOptions, DeploymentName, Result, Selector};
use serde::Serialize;
use tokio::time::sleep;

use crate::error::sorted;
use crate::handle::DockerBackend;
use crate::mend::ABANDONED;
use crate::names::{self, NETWORK, Role};
use crate::{labels, list, network, volumes};

/// Something that we made and nothing owns any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// What it is.
    pub kind: GarbageKind,
    /// Its name on the daemon.
    pub name: String,
    /// Why nothing owns it.
    pub reason: &'static str,
}

/// What kind of object is garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GarbageKind {
    /// A container of an update that was interrupted, or of an earlier revision of what is gone.
    Container,
    /// An anonymous volume that no container uses.
    Volume,
    /// The network, when no deployment is left.
    Network,
}

impl fmt::Display for GarbageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Container => "container",
            Self::Volume => "volume",
            Self::Network => "network",
        })
    }
}

const INTERRUPTED: &str = "an update was interrupted";

impl DockerBackend {
    /// Removes what we made and nothing owns any more, and tells what that was: containers of interrupted updates,
    /// anonymous volumes, the network when no deployment is left. Never an image, never a named volume, never what
    /// is not ours. A dry run only tells.
    ///
    /// An update that somebody else is about is told from one that was interrupted by a look 20 seconds later;
    /// where no update is under way, nothing is waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](mcp_deploy_core::Error::Unavailable), and what the daemon refuses.
    pub async fn gc(&self, dry_run: bool) -> Result<Vec<Garbage>> {
        let mut garbage = self.leftover_containers(dry_run).await?;
        garbage.extend(self.anonymous_volumes(dry_run).await?);
        garbage.extend(self.empty_network(dry_run, &garbage).await?);
        Ok(garbage)
    }

    async fn leftover_containers(&self, dry_run: bool) -> Result<Vec<Garbage>> {
        let daemon = self.daemon().await?;
        let all = Selector::default();
        let mut containers = list::ours(daemon, &all).await?;
        if containers.keys().any(|(_, role)| is_passing(*role)) {
            sleep(ABANDONED).await;
            let later = list::ours(daemon, &all).await?;
            containers = later
                .into_iter()
                .filter(|(key, container)| {
                    !is_passing(key.1) || containers.get(key).is_some_and(|before| before.id == container.id)
                })
                .collect();
        }
        let mut garbage = Vec::new();
        for ((name, role), container) in &containers {
            let Some(reason) = reason(name, *role, &containers) else { continue };
            garbage.push(Garbage { kind: GarbageKind::Container, name: role.container(name), reason });
            if !dry_run {
                self.clear(name, *role, container).await?;
            }
        }
        Ok(garbage)
    }

    /// Removes a leftover, or ends what it was made for, unless somebody has done so since it was listed.
    async fn clear(&self, name: &DeploymentName, role: Role, container: &ContainerSummary) -> Result<()> {
        let mut turn = self.turn(name).await;
        if role != Role::Next {
            return self.discard(name, role).await.map(drop);
        }
        let Some(next) =
            self.find(name, Role::Next).await?.filter(|next| Some(&next.id) == container.id.as_ref())
        else {
            return Ok(());
        };
        self.mend(name, &next).await?;
        turn.ends();
        // It may have been stopped for the sake of the one that never came.
        match self.find(name, Role::Current).await? {
            Some(current) if current.is_interrupted() => {
                self.resize(&current, 1, &DeployOptions::default(), &mut turn).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    async fn anonymous_volumes(&self, dry_run: bool) -> Result<Vec<Garbage>> {
        let docker = self.docker().await?;
        let mut filters: HashMap<&str, Vec<String>> = labels::filter(&Selector::default());
        filters.insert("dangling", vec!["true".to_owned()]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let listed =
            docker.list_volumes(Some(options)).await.map_err(|error| sorted("list volumes", error))?;
        let mut garbage = Vec::new();
        for volume in listed.volumes.unwrap_or_default() {
            if labels::is_named_volume(&volume.labels) {
                continue;
            }
            if !dry_run {
                volumes::remove_one(docker, &volume.name).await?;
            }
            let name = names::short(&volume.name);
            garbage.push(Garbage { kind: GarbageKind::Volume, name, reason: "no container uses it" });
        }
        Ok(garbage)
    }

    async fn empty_network(&self, dry_run: bool, gone: &[Garbage]) -> Result<Option<Garbage>> {
        let daemon = self.daemon().await?;
        let containers = list::ours(daemon, &Selector::default()).await?;
        let is_left = |(name, role): &(DeploymentName, Role)| {
            let name = role.container(name);
            !gone.iter().any(|garbage| garbage.kind == GarbageKind::Container && garbage.name == name)
        };
        if containers.keys().any(is_left) {
            return Ok(None);
        }
        let removed = network::remove(&daemon.docker, dry_run).await?;
        let reason = "no deployment is left";
        Ok(removed.then(|| Garbage { kind: GarbageKind::Network, name: NETWORK.to_owned(), reason }))
    }
}

/// Whether a container of this role is there only while a verb is at work.
fn is_passing(role: Role) -> bool {
    matches!(role, Role::Next | Role::Volumes)
}

/// Why nothing owns a container, where nothing does.
fn reason(
    name: &DeploymentName,
    role: Role,
    containers: &BTreeMap<(DeploymentName, Role), ContainerSummary>,
) -> Option<&'static str> {
    let is_there = |role| containers.contains_key(&(name.clone(), role));
    match role {
        Role::Next | Role::Volumes => Some(INTERRUPTED),
        Role::Previous if !is_there(Role::Current) && !is_there(Role::Next) => {
            Some("the deployment that it was kept for is gone")
        }
        Role::Previous | Role::Current => None,
    }
}
