//! Volumes: claims that outlive the deployment, and the scratch space of each pod.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeClaimVolumeSource, Volume as PodVolume, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mcp_deploy_core::{AccessMode, DeploymentSpec, Volume};

use super::{Placed, metadata};
use crate::names;

/// The name of the volume at `/tmp`.
pub(super) const SCRATCH: &str = "tmp";
const DEFAULT_SIZE: &str = "1Gi";

/// Whether `/tmp` is scratch space, in memory and of a limited size as on Docker.
pub(super) fn needs_scratch(spec: &DeploymentSpec) -> bool {
    spec.volumes.iter().all(|volume| volume.path.trim_end_matches('/') != "/tmp")
}

/// The name of a volume within its pod, where no template can name one like ours.
pub(super) fn volume_name(volume: &Volume) -> String {
    format!("volume-{}", volume.name)
}

pub(super) fn volumes(spec: &DeploymentSpec) -> Vec<PodVolume> {
    let scratch = needs_scratch(spec).then(|| PodVolume {
        name: SCRATCH.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: Some("Memory".to_owned()),
            size_limit: Some(Quantity("64Mi".to_owned())),
        }),
        ..PodVolume::default()
    });
    let named = spec.volumes.iter().map(|volume| PodVolume {
        name: volume_name(volume),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: names::claim(&spec.name, &volume.name),
            ..PersistentVolumeClaimVolumeSource::default()
        }),
        ..PodVolume::default()
    });
    scratch.into_iter().chain(named).collect()
}

/// Without an owner: they outlive the deployment.
pub(super) fn claims(spec: &DeploymentSpec, placed: &Placed) -> Vec<PersistentVolumeClaim> {
    let claim = |volume: &Volume| {
        let size = volume.size.map_or_else(|| DEFAULT_SIZE.to_owned(), |size| size.to_string());
        PersistentVolumeClaim {
            metadata: ObjectMeta {
                name: Some(names::claim(&spec.name, &volume.name)),
                ..metadata(spec, placed)
            },
            spec: Some(PersistentVolumeClaimSpec {
                access_modes: Some(vec![access_mode(volume.access_mode).to_owned()]),
                storage_class_name: volume.storage_class.clone(),
                resources: Some(VolumeResourceRequirements {
                    requests: Some(BTreeMap::from([("storage".to_owned(), Quantity(size))])),
                    ..VolumeResourceRequirements::default()
                }),
                ..PersistentVolumeClaimSpec::default()
            }),
            ..PersistentVolumeClaim::default()
        }
    };
    spec.volumes.iter().map(claim).collect()
}

fn access_mode(mode: AccessMode) -> &'static str {
    match mode {
        AccessMode::ReadWriteOnce => "ReadWriteOnce",
        AccessMode::ReadOnlyMany => "ReadOnlyMany",
        AccessMode::ReadWriteMany => "ReadWriteMany",
    }
}

/// The new instance serves before the old one ends, unless a volume can only be mounted by one of them.
pub(super) fn strategy(spec: &DeploymentSpec) -> DeploymentStrategy {
    if spec.volumes.iter().any(|volume| volume.access_mode == AccessMode::ReadWriteOnce) {
        return DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None };
    }
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_unavailable: Some(IntOrString::Int(0)),
            max_surge: Some(IntOrString::Int(1)),
        }),
    }
}
