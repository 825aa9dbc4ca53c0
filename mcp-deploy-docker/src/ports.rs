//! Where on the host a deployment is published: an address that stays.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use bollard::models::{ContainerSummary, PortSummary, PortSummaryTypeEnum};
use bollard::query_parameters::ListContainersOptionsBuilder;
use mcp_deploy_core::{DeploymentName, Error, PortRange, Result};

use crate::error::sorted;
use crate::handle::DockerBackend;
use crate::labels;
use crate::names::{BACKEND, Role};

impl DockerBackend {
    /// The ports for a new deployment, the best first: the one that the user has fixed, or those of the range
    /// that no other deployment has, be it stopped or not. Which of them is free only the daemon can say.
    pub(crate) async fn ports_for(
        &self,
        name: &DeploymentName,
        bind: IpAddr,
        fixed: Option<u16>,
    ) -> Result<Vec<u16>> {
        let containers = self.containers().await?;
        if let Some(port) = fixed {
            return match holder(&containers, SocketAddr::new(bind, port), name) {
                Some(holder) => Err(port_conflict(port, &holder)),
                None => Ok(vec![port]),
            };
        }
        let taken: BTreeSet<u16> = containers
            .iter()
            .filter(|container| deployment(container).as_ref() != Some(name))
            .flat_map(|container| ports(container, bind))
            .collect();
        Ok(ports_of(name, self.settings().port_range).filter(|port| !taken.contains(port)).collect())
    }

    /// The error for a port that the daemon did not give although nobody was known to have it.
    pub(crate) async fn port_taken(&self, address: SocketAddr, name: &DeploymentName) -> Result<Error> {
        let holder = holder(&self.containers().await?, address, name);
        Ok(port_conflict(
            address.port(),
            holder.as_deref().unwrap_or("something that is no container listens there"),
        ))
    }

    /// All containers of the daemon, also those that are not ours.
    async fn containers(&self) -> Result<Vec<ContainerSummary>> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let containers = self.docker().await?.list_containers(Some(options)).await;
        containers.map_err(|error| sorted("list containers", error))
    }
}

/// The error where the whole range is taken.
pub(crate) fn range_is_full(range: PortRange) -> Error {
    Error::Conflict {
        name: format!("ports {range}"),
        backend: BACKEND,
        reason: "every port of the range is taken; `MCP_PORT_RANGE` sets another".to_owned(),
    }
}

fn port_conflict(port: u16, holder: &str) -> Error {
    Error::Conflict { name: format!("port {port}"), backend: BACKEND, reason: holder.to_owned() }
}

/// Who has an address, other than a deployment itself.
fn holder(containers: &[ContainerSummary], address: SocketAddr, name: &DeploymentName) -> Option<String> {
    let others = containers.iter().filter(|container| deployment(container).as_ref() != Some(name));
    let has_it = |container: &&ContainerSummary| ports(container, address.ip()).contains(&address.port());
    let container = others.clone().find(has_it)?;
    let shown = container.names.as_ref().and_then(|names| names.first());
    Some(match deployment(container) {
        Some(deployment) => format!("the deployment `{deployment}` has it"),
        None => format!("the container `{}` has it", shown.map_or("?", |name| name.trim_start_matches('/'))),
    })
}

fn deployment(container: &ContainerSummary) -> Option<DeploymentName> {
    container.labels.as_ref().and_then(labels::deployment)
}

/// The TCP ports at an address of the host that a container has, or will have when it is started again. The
/// container of an earlier revision has none: it is started in the place of another.
fn ports(container: &ContainerSummary, bind: IpAddr) -> BTreeSet<u16> {
    let meets = |ip: IpAddr| ip == bind || ip.is_unspecified() || bind.is_unspecified();
    let is_other = |port: &PortSummary| {
        let ip = port.ip.as_deref().and_then(|ip| ip.parse().ok());
        matches!(port.typ, Some(PortSummaryTypeEnum::UDP | PortSummaryTypeEnum::SCTP))
            || ip.is_some_and(|ip| !meets(ip))
    };
    let published = container.ports.iter().flatten().filter(|port| !is_other(port));
    let published = published.filter_map(|port| port.public_port);
    let reserved = deployment(container).and_then(|name| {
        let is_current =
            container.names.iter().flatten().any(|found| Role::of(found, &name) == Some(Role::Current));
        labels::address(container.labels.as_ref()?).filter(|address| is_current && meets(address.ip()))
    });
    published.chain(reserved.map(|address| address.port())).collect()
}

/// All ports of the range, beginning with one that follows from the name.
fn ports_of(name: &DeploymentName, range: PortRange) -> impl Iterator<Item = u16> + use<> {
    let (first, count) = (*range.ports().start(), range.ports().len());
    let sum = name.as_str().bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let at = move |step: usize| first + u16::try_from((sum % count + step) % count).unwrap_or_default();
    (0..count).map(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_port_follows_from_the_name_and_every_port_comes_once() {
        let range: PortRange = "21000-21009".parse().unwrap();
        let ports = |name: &str| ports_of(&name.parse().unwrap(), range).collect::<Vec<_>>();
        assert_eq!(ports("demo-one"), ports("demo-one"));
        assert_ne!(ports("demo-one")[0], ports("demo-two")[0]);
        let mut all = ports("demo-one");
        all.sort_unstable();
        assert_eq!(all, (21000..=21009).collect::<Vec<_>>());
        assert_eq!(
            ports_of(&"demo-one".parse().unwrap(), "65535".parse().unwrap()).collect::<Vec<_>>(),
            [65535]
        );
    }

    #[test]
    fn a_port_has_a_holder_that_is_named() {
        let port = |ip: &str, port, typ| PortSummary {
            ip: Some(ip.to_owned()),
            public_port: Some(port),
            typ: Some(typ),
            ..PortSummary::default()
        };
        let stranger = ContainerSummary {
            names: Some(vec!["/theirs".to_owned()]),
            ports: Some(vec![
                port("0.0.0.0", 21007, PortSummaryTypeEnum::TCP),
                port("0.0.0.0", 21008, PortSummaryTypeEnum::UDP),
                port("192.0.2.1", 21009, PortSummaryTypeEnum::TCP),
            ]),
            ..ContainerSummary::default()
        };
        let holder = |address: &str| {
            holder(std::slice::from_ref(&stranger), address.parse().unwrap(), &"demo-one".parse().unwrap())
        };
        for taken in ["127.0.0.1:21007", "192.0.2.1:21009", "0.0.0.0:21009"] {
            assert_eq!(holder(taken).as_deref(), Some("the container `theirs` has it"), "{taken}");
        }
        for free in ["127.0.0.1:21008", "127.0.0.1:21009", "127.0.0.1:21010"] {
            assert_eq!(holder(free), None, "{free}");
        }
    }
}
