//! Capabilities: what a backend does not claim it refuses, and touches nothing.

use std::collections::BTreeMap;

use super::site::Site;
use super::{Behaviour, CaseResult, Fixture, ensure};
use crate::{
    AccessMode, Autoscaling, Capabilities, DeployOptions, DeploymentSpec, Error, Exposure, Mount, Network,
    Peer, Placement, Request, RestartPolicy, TransportKind, Volume,
};

/// Each part that is not claimed, one by one.
pub async fn every_part_that_cannot_be_enforced_is_unsupported_at_once(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let good = site.spec(Behaviour::Well, Request::default())?;
    for (part, spec) in refused(&site.backend.capabilities(), &good) {
        for dry_run in [true, false] {
            let options = DeployOptions { dry_run, ..DeployOptions::default() };
            let outcome = site.backend.deploy(&spec, options).await;
            ensure!(matches!(outcome, Err(Error::Unsupported { .. })), "{part}: it says {outcome:?}");
        }
        let objects = fixture.objects(&spec.name).await?;
        ensure!(objects.is_empty(), "{part}: the refused deploy made {}", objects.join(", "));
    }
    Ok(())
}

/// Scaling is refused as deploying is.
pub async fn more_replicas_than_are_claimed_are_unsupported(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, _) = site.deployed(Behaviour::Well).await?;
    let too_many = site.backend.capabilities().max_replicas.saturating_add(1);
    let outcome = site.backend.scale(&spec.name, too_many).await;
    ensure!(matches!(outcome, Err(Error::Unsupported { .. })), "it says {outcome:?}");
    let after = site.backend.get(&spec.name).await?;
    ensure!(after.replicas.desired == 1 && after.ready, "the refused scale changed it: {:?}", after.replicas);
    site.remove(&spec.name).await
}

/// A spec for each part that is not claimed; the last has too many replicas, which nobody claims.
fn refused(capabilities: &Capabilities, good: &DeploymentSpec) -> Vec<(&'static str, DeploymentSpec)> {
    let Capabilities {
        max_replicas,
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
    } = capabilities;
    let mut refused = Vec::new();
    let mut without = |claimed: bool, part: &'static str, change: &dyn Fn(&mut DeploymentSpec)| {
        if !claimed {
            let mut spec = good.clone();
            change(&mut spec);
            refused.push((part, spec));
        }
    };
    let peer = |peer: Peer| Network::Allow(vec![peer]);
    let cidr = peer(Peer { cidr: Some("10.0.0.0/8".to_owned()), ..Peer::default() });
    let host = peer(Peer { host: Some("example.com".to_owned()), ..Peer::default() });
    for transport in [TransportKind::Stdio, TransportKind::Sse] {
        without(transports.contains(&transport), "transport", &|spec| spec.transport.kind = transport);
    }
    for restart in [RestartPolicy::OnFailure, RestartPolicy::Never] {
        without(restart_policies.contains(&restart), "restart policy", &|spec| spec.restart = restart);
    }
    without(*volumes, "volume", &|spec| {
        spec.volumes = vec![Volume {
            name: "data".to_owned(),
            path: "/data".to_owned(),
            size: None,
            access_mode: AccessMode::default(),
            storage_class: None,
        }];
    });
    without(*host_mounts, "host mount", &|spec| {
        spec.mounts = vec![Mount { host_path: "/srv".to_owned(), path: "/srv".to_owned(), read_only: true }];
    });
    without(*host_port, "host port", &|spec| spec.host_port = Some(21999));
    without(*pids, "limit of processes", &|spec| spec.resources.limits.pids = Some(64));
    without(*network_none, "no network", &|spec| spec.network = Network::None);
    without(*network_rules, "network rules", &|spec| spec.network = cidr.clone());
    without(*network_hosts, "network hosts", &|spec| spec.network = host.clone());
    without(*exposure, "exposure", &|spec| spec.exposure = Some(Exposure::default()));
    without(*autoscaling, "autoscaling", &|spec| {
        spec.autoscaling = Some(Autoscaling { min_replicas: 1, max_replicas: 2, target_cpu_percent: 80 });
    });
    without(*placement, "placement", &|spec| {
        let node_selector = BTreeMap::from([("disk".to_owned(), "fast".to_owned())]);
        spec.placement = Some(Placement { node_selector, ..Placement::default() });
    });
    without(false, "replicas", &|spec| spec.replicas = max_replicas.saturating_add(1));
    refused
}
