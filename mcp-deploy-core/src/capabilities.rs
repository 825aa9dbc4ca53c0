//! What a backend can do, as data, and the one check of a spec against it.

use serde::Serialize;

use crate::{DeploymentSpec, Error, Network, RestartPolicy, Result, TransportKind};

/// What a backend can do with the parts of a spec: enforced, or refused before anything is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Capabilities {
    /// The most instances of a deployment.
    pub max_replicas: u32,
    /// The transports whose servers can be reached.
    pub transports: &'static [TransportKind],
    /// Named volumes.
    pub volumes: bool,
    /// Paths of the host.
    pub host_mounts: bool,
    /// What can happen when the server's process ends.
    pub restart_policies: &'static [RestartPolicy],
    /// A server that reaches nothing.
    pub network_none: bool,
    /// A list of addresses, ports and namespaces that a server may reach.
    pub network_rules: bool,
    /// Host names in that list.
    pub network_hosts: bool,
    /// An address outside the platform.
    pub exposure: bool,
    /// Replicas by load.
    pub autoscaling: bool,
    /// A choice of machines.
    pub placement: bool,
    /// How many earlier specs are kept.
    pub revisions: u32,
    /// Which logs can be read.
    pub logs: Logs,
}

/// Which logs can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Logs {
    /// None.
    None,
    /// Those of instances that exist.
    WhileRunning,
    /// Also those of a stopped deployment.
    Kept,
}

impl Capabilities {
    /// The least that a backend can do: one instance over streamable HTTP, restarted when it ends. A new backend
    /// claims more part by part.
    pub const LEAST: Self = Self {
        max_replicas: 1,
        transports: &[TransportKind::StreamableHttp],
        volumes: false,
        host_mounts: false,
        restart_policies: &[RestartPolicy::Always],
        network_none: false,
        network_rules: false,
        network_hosts: false,
        exposure: false,
        autoscaling: false,
        placement: false,
        revisions: 0,
        logs: Logs::None,
    };

    /// Refuses a spec with parts that cannot be enforced; all of them are named.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`].
    pub fn check(&self, backend: &'static str, spec: &DeploymentSpec) -> Result<()> {
        let unsupported = self.unsupported(spec);
        if unsupported.is_empty() {
            return Ok(());
        }
        Err(Error::Unsupported { backend, feature: unsupported.join(", ") })
    }

    fn unsupported(&self, spec: &DeploymentSpec) -> Vec<String> {
        let Self {
            max_replicas,
            transports,
            volumes,
            host_mounts,
            restart_policies,
            network_none,
            network_rules,
            network_hosts,
            exposure,
            autoscaling,
            placement,
            revisions: _,
            logs: _,
        } = self;
        let mut parts = Vec::new();
        if spec.replicas > *max_replicas {
            parts.push(format!("{} replicas (at most {max_replicas})", spec.replicas));
        }
        if !transports.contains(&spec.transport.kind) {
            parts.push(format!("the transport {}", spec.transport.kind));
        }
        if !restart_policies.contains(&spec.restart) {
            parts.push(format!("the restart policy {}", spec.restart));
        }
        let (none, rules, hosts) = match &spec.network {
            Network::All => (false, false, false),
            Network::None => (true, false, false),
            Network::Allow(peers) => (
                false,
                peers.iter().any(|peer| peer.host.is_none()),
                peers.iter().any(|peer| peer.host.is_some()),
            ),
        };
        let asked = [
            (!spec.volumes.is_empty(), *volumes, "named volumes"),
            (!spec.mounts.is_empty(), *host_mounts, "mounts of host paths"),
            (none, *network_none, "a server without network"),
            (rules, *network_rules, "rules for the network"),
            (hosts, *network_hosts, "host names in the rules for the network"),
            (spec.exposure.is_some(), *exposure, "exposure"),
            (spec.autoscaling.is_some(), *autoscaling, "autoscaling"),
            (spec.placement.is_some(), *placement, "placement"),
        ];
        parts.extend(
            asked.iter().filter(|(asked, can, _)| *asked && !can).map(|(_, _, part)| (*part).to_owned()),
        );
        parts
    }

    /// Refuses a number of instances that cannot be.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`].
    pub fn check_replicas(&self, backend: &'static str, replicas: u32) -> Result<()> {
        if replicas <= self.max_replicas {
            return Ok(());
        }
        let feature = format!("{replicas} replicas (at most {})", self.max_replicas);
        Err(Error::Unsupported { backend, feature })
    }
}
