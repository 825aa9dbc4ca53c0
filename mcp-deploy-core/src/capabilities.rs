//! What a backend can do, as data, and the one check of a spec against it.

use serde::Serialize;

use crate::{DeploymentSpec, Error, LogOptions, Network, RestartPolicy, Result, TransportKind};

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
    /// A port of the host that the user chooses.
    pub host_port: bool,
    /// A limit of processes and threads.
    pub pids: bool,
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
    /// Whether the logs of the run before the current one are kept apart.
    pub previous_logs: bool,
    /// Why a part is refused, where there is more to say than that it is.
    pub reasons: &'static [(Part, &'static str)],
}

/// A part of a spec that a backend may refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// So many instances.
    Replicas,
    /// How the server is talked to.
    Transport,
    /// What happens when its process ends.
    RestartPolicy,
    /// Named volumes.
    Volumes,
    /// Paths of the host.
    HostMounts,
    /// A port of the host.
    HostPort,
    /// A limit of processes and threads.
    Pids,
    /// A server that reaches nothing.
    NetworkNone,
    /// A list of what it may reach.
    NetworkRules,
    /// Host names in that list.
    NetworkHosts,
    /// An address outside the platform.
    Exposure,
    /// Replicas by load.
    Autoscaling,
    /// A choice of machines.
    Placement,
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
        host_port: false,
        pids: false,
        restart_policies: &[RestartPolicy::Always],
        network_none: false,
        network_rules: false,
        network_hosts: false,
        exposure: false,
        autoscaling: false,
        placement: false,
        revisions: 0,
        logs: Logs::None,
        previous_logs: false,
        reasons: &[],
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
            max_replicas: _,
            transports,
            volumes,
            host_mounts,
            host_port,
            pids,
            restart_policies,
            network_none,
            network_rules,
            network_hosts,
            exposure,
            autoscaling,
            placement,
            revisions: _,
            logs: _,
            previous_logs: _,
            reasons: _,
        } = self;
        let (none, rules, hosts) = match &spec.network {
            Network::All => (false, false, false),
            Network::None => (true, false, false),
            Network::Allow(peers) => (
                false,
                peers.iter().any(|peer| peer.host.is_none()),
                peers.iter().any(|peer| peer.host.is_some()),
            ),
        };
        let transport = (!transports.contains(&spec.transport.kind))
            .then(|| self.refused(Part::Transport, &format!("the transport {}", spec.transport.kind)));
        let restart = (!restart_policies.contains(&spec.restart))
            .then(|| self.refused(Part::RestartPolicy, &format!("the restart policy {}", spec.restart)));
        let asked = [
            (!spec.volumes.is_empty(), *volumes, Part::Volumes, "named volumes"),
            (!spec.mounts.is_empty(), *host_mounts, Part::HostMounts, "mounts of host paths"),
            (spec.host_port.is_some(), *host_port, Part::HostPort, "a port of the host"),
            (spec.resources.limits.pids.is_some(), *pids, Part::Pids, "a limit of processes"),
            (none, *network_none, Part::NetworkNone, "a server without network"),
            (rules, *network_rules, Part::NetworkRules, "rules for the network"),
            (hosts, *network_hosts, Part::NetworkHosts, "host names in the rules for the network"),
            (spec.exposure.is_some(), *exposure, Part::Exposure, "exposure"),
            (spec.autoscaling.is_some(), *autoscaling, Part::Autoscaling, "autoscaling"),
            (spec.placement.is_some(), *placement, Part::Placement, "placement"),
        ];
        let asked = asked.iter().filter(|(asked, can, ..)| *asked && !can);
        let asked = asked.map(|(_, _, part, words)| self.refused(*part, words));
        self.too_many(spec.replicas).into_iter().chain(transport).chain(restart).chain(asked).collect()
    }

    /// Refuses a number of instances that cannot be.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`].
    pub fn check_replicas(&self, backend: &'static str, replicas: u32) -> Result<()> {
        match self.too_many(replicas) {
            None => Ok(()),
            Some(feature) => Err(Error::Unsupported { backend, feature }),
        }
    }

    /// Refuses lines that cannot be told from others.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`].
    pub fn check_logs(&self, backend: &'static str, options: LogOptions) -> Result<()> {
        if options.previous && !self.previous_logs {
            let feature = "the log of the run before alone: the log holds all runs of the server".to_owned();
            return Err(Error::Unsupported { backend, feature });
        }
        Ok(())
    }

    fn too_many(&self, replicas: u32) -> Option<String> {
        let Self { max_replicas, .. } = self;
        let words = || self.refused(Part::Replicas, &format!("{replicas} replicas (at most {max_replicas})"));
        (replicas > *max_replicas).then(words)
    }

    /// The words for a part, and why it is refused, where there is more to say.
    fn refused(&self, part: Part, words: &str) -> String {
        match self.reasons.iter().find(|(refused, _)| *refused == part) {
            Some((_, reason)) => format!("{words}: {reason}"),
            None => words.to_owned(),
        }
    }
}
