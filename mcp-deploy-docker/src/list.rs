//! The containers that run deployments, and the reports on them.

use std::collections::BTreeMap;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::future::join_all;
use jiff::Timestamp;
use mcp_deploy_core::{Deployment, DeploymentName, Error, Result, Selector};

use crate::containers::Found;
use crate::daemon::Daemon;
use crate::error::sorted;
use crate::handle::DockerBackend;
use crate::labels::{self, Ours};
use crate::names::Role;
use crate::status;

/// How exactly to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// What runs is reported as it is listed, in one call; when it started and how often it was restarted is
    /// then not known.
    Quick,
    /// Every container is inspected.
    Exact,
}

impl DockerBackend {
    /// The reports on the selected deployments, sorted by name.
    pub(crate) async fn look(&self, selector: &Selector, look: Look) -> Result<Vec<Deployment>> {
        let daemon = self.daemon().await?;
        if let Some(name) = &selector.name {
            return self.look_at(name, selector).await;
        }
        let mut chosen: BTreeMap<DeploymentName, Option<ContainerSummary>> = BTreeMap::new();
        for ((name, role), container) in ours(daemon, selector).await? {
            match role {
                Role::Current => drop(chosen.insert(name, Some(container))),
                Role::Next => drop(chosen.entry(name).or_default()),
                Role::Previous | Role::Volumes => {}
            }
        }
        let reports = chosen.iter().map(async |(name, current)| {
            let listed = current.as_ref().filter(|_| look == Look::Quick);
            match listed.and_then(|container| quick_report(daemon, container)) {
                Some(report) => Ok(vec![report]),
                None => self.look_at(name, selector).await,
            }
        });
        let reports = join_all(reports).await.into_iter().collect::<Result<Vec<Vec<_>>>>()?;
        Ok(reports.into_iter().flatten().collect())
    }

    /// The report on a container as it was found.
    pub(crate) async fn report(&self, found: &Found) -> Result<Deployment> {
        if found.is_replaced {
            return Ok(status::replaced(&found.ours));
        }
        Ok(status::report(&found.ours, &found.container, &self.daemon().await?.place, Timestamp::now()))
    }

    /// The report on one deployment, where it is there: a daemon finds one by its name sooner than all by their
    /// labels.
    async fn look_at(&self, name: &DeploymentName, selector: &Selector) -> Result<Vec<Deployment>> {
        match self.running(name).await {
            Ok(found) if selector.matches(name, &found.ours.spec.template.id) => {
                Ok(vec![self.report(&found).await?])
            }
            Ok(_) | Err(Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// All containers of ours that are selected, by deployment and role.
pub(crate) async fn ours(
    daemon: &Daemon,
    selector: &Selector,
) -> Result<BTreeMap<(DeploymentName, Role), ContainerSummary>> {
    let options = ListContainersOptionsBuilder::new().all(true).filters(&labels::filter(selector)).build();
    let containers = daemon.docker.list_containers(Some(options)).await;
    let containers = containers.map_err(|error| sorted("list containers", error))?;
    let with_role = |container: ContainerSummary| {
        let name = container.labels.as_ref().and_then(labels::deployment)?;
        let role = container.names.iter().flatten().find_map(|found| Role::of(found, &name))?;
        Some(((name, role), container))
    };
    Ok(containers.into_iter().filter_map(with_role).collect())
}

/// The report on a container as it is listed, where that is enough.
fn quick_report(daemon: &Daemon, container: &ContainerSummary) -> Option<Deployment> {
    status::listed(&Ours::read(container.labels.as_ref()?, None)?, container, &daemon.place)
}
