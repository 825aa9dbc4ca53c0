//! All that the mock knows, and how each verb changes it: pure functions of the state and the time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mcp_deploy_core::{
    Capabilities, DeploymentName, DeploymentSpec, Error, Logs, Network, RestartPolicy, Result, Revision,
    TransportKind,
};
use serde::{Deserialize, Serialize};

use crate::faults::{Faults, Phases};
use crate::lines;
use crate::record::{BACKEND, Earlier, Record, Started, StoredSpec};

/// How many earlier specs of a deployment are kept.
const KEPT_REVISIONS: usize = 10;

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        max_replicas: 100,
        transports: &[TransportKind::StreamableHttp],
        volumes: true,
        host_mounts: true,
        host_port: true,
        pids: true,
        restart_policies: &[RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never],
        network_none: true,
        network_rules: true,
        network_hosts: true,
        exposure: true,
        autoscaling: true,
        placement: true,
        revisions: 10,
        logs: Logs::Kept,
        previous_logs: false,
        reasons: &[],
    }
}

/// Everything.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) deployments: BTreeMap<DeploymentName, Record>,
    /// Named volumes, as `deployment/volume`; they outlive their deployment.
    pub(crate) volumes: BTreeSet<String>,
    /// Objects that are not ours.
    pub(crate) foreign: BTreeSet<String>,
    /// How many calls the platform is not there for.
    pub(crate) unavailable_calls: u32,
}

impl State {
    /// Counts a call to a platform that is not there.
    pub(crate) fn call(&mut self) -> Result<()> {
        if self.unavailable_calls == 0 {
            return Ok(());
        }
        self.unavailable_calls -= 1;
        Err(Error::Unavailable { backend: BACKEND, source: "it was told to be away".into() })
    }

    pub(crate) fn record(&self, name: &DeploymentName) -> Result<&Record> {
        self.deployments.get(name).ok_or_else(|| not_found(name))
    }

    fn record_mut(&mut self, name: &DeploymentName) -> Result<&mut Record> {
        self.deployments.get_mut(name).ok_or_else(|| not_found(name))
    }

    /// Makes it so.
    pub(crate) fn deploy(
        &mut self,
        spec: &DeploymentSpec,
        usual: &Faults,
        now: Timestamp,
        phases: Phases,
    ) -> Result<()> {
        check(spec)?;
        let faults = Faults::of(spec, usual)?;
        if self.foreign.contains(spec.name.as_str()) {
            return Err(Error::Conflict {
                name: spec.name.to_string(),
                backend: BACKEND,
                reason: "an object of this name is there that mcp-deploy did not make".to_owned(),
            });
        }
        self.unavailable_calls = self.unavailable_calls.max(faults.unavailable_calls);
        self.volumes.extend(spec.volumes.iter().map(|volume| format!("{}/{}", spec.name, volume.name)));
        match self.deployments.get_mut(&spec.name) {
            Some(record) => record.update(spec, faults, now, phases),
            None => {
                self.deployments.insert(spec.name.clone(), Record::new(spec, faults, now));
            }
        }
        Ok(())
    }

    pub(crate) fn scale(
        &mut self,
        name: &DeploymentName,
        replicas: u32,
        now: Timestamp,
        phases: Phases,
    ) -> Result<()> {
        let record = self.record_mut(name)?;
        capabilities().check_replicas(BACKEND, replicas)?;
        record.scale(replicas, now, phases);
        Ok(())
    }

    pub(crate) fn restart(&mut self, name: &DeploymentName, now: Timestamp, phases: Phases) -> Result<()> {
        let record = self.record_mut(name)?;
        let desired = record.desired;
        record.end_instances(0, now, phases);
        record.start_instances(desired, now);
        record.updated_at = now;
        Ok(())
    }

    pub(crate) fn delete(&mut self, name: &DeploymentName, volumes: bool) -> Result<()> {
        self.deployments.remove(name).ok_or_else(|| not_found(name))?;
        if volumes {
            self.remove_volumes(name);
        }
        Ok(())
    }

    pub(crate) fn remove_volumes(&mut self, name: &DeploymentName) {
        let prefix = format!("{name}/");
        self.volumes.retain(|volume| !volume.starts_with(&prefix));
    }
}

/// What can be refused before anything is touched.
pub(crate) fn check(spec: &DeploymentSpec) -> Result<()> {
    if let Network::Allow(peers) = &spec.network
        && let Some(index) = peers.iter().position(|peer| {
            [&peer.cidr, &peer.namespace, &peer.host].into_iter().filter(|part| part.is_some()).count() != 1
        })
    {
        return Err(Error::invalid(
            format!("/network/allow/{index}"),
            "needs exactly one of `cidr`, `namespace` and `host`",
        ));
    }
    capabilities().check(BACKEND, spec)
}

pub(crate) fn not_found(name: &DeploymentName) -> Error {
    Error::NotFound { name: name.clone(), backend: BACKEND, nearest: None }
}

impl Record {
    fn new(spec: &DeploymentSpec, faults: Faults, now: Timestamp) -> Self {
        let mut record = Self {
            spec: StoredSpec(spec.clone()),
            faults,
            revision: 1,
            desired: spec.replicas,
            created_at: now,
            updated_at: now,
            instances: Vec::new(),
            written: Vec::new(),
            earlier: Vec::new(),
        };
        record.start_instances(spec.replicas, now);
        record
    }

    /// Another spec replaces all instances; the same one changes their number at most.
    fn update(&mut self, spec: &DeploymentSpec, faults: Faults, now: Timestamp, phases: Phases) {
        if self.spec.0.is_resized(spec) {
            self.spec.0.replicas = spec.replicas;
            if self.desired != spec.replicas {
                self.scale(spec.replicas, now, phases);
            }
            return;
        }
        self.end_instances(0, now, phases);
        let spec_before = std::mem::replace(&mut self.spec, StoredSpec(spec.clone()));
        self.earlier.push(Earlier { number: self.revision, created_at: self.updated_at, spec: spec_before });
        let too_many = self.earlier.len().saturating_sub(KEPT_REVISIONS);
        self.earlier.drain(..too_many);
        self.faults = faults;
        self.revision += 1;
        self.desired = spec.replicas;
        self.updated_at = now;
        self.start_instances(spec.replicas, now);
    }

    fn scale(&mut self, replicas: u32, now: Timestamp, phases: Phases) {
        self.desired = replicas;
        self.updated_at = now;
        self.end_instances(replicas, now, phases);
        self.start_instances(replicas, now);
    }

    /// Starts instances until there are so many.
    fn start_instances(&mut self, wanted: u32, now: Timestamp) {
        while self.instances.len() < wanted as usize {
            self.instances.push(Started { id: format!("{:012x}", fastrand::u64(..1 << 48)), at: now });
        }
    }

    /// Ends instances until so many are left; what they wrote stays.
    fn end_instances(&mut self, left: u32, now: Timestamp, phases: Phases) {
        let ended = self.instances.split_off(self.instances.len().min(left as usize));
        for instance in &ended {
            self.written.extend(lines::of_instance(self, instance, now, phases));
            self.written.extend(lines::of_stop(self, instance, now, phases));
        }
        lines::keep_the_last(&mut self.written);
    }

    /// The earlier specs, newest first.
    pub(crate) fn revisions(&self) -> Vec<Revision> {
        let revision = |earlier: &Earlier| Revision {
            number: earlier.number,
            created_at: earlier.created_at,
            spec: earlier.spec.0.clone(),
        };
        self.earlier.iter().rev().map(revision).collect()
    }
}
