//! The pods of a deployment, which satisfy the `restricted` Pod Security Standard unless the template relaxes it.

use k8s_openapi::api::core::v1::{
    Affinity, LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, Toleration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use mcp_deploy_core::{DeploymentSpec, Placement, RunAsUser, Violation, Violations};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::container::{DRAIN_SECONDS, container, drains};
use super::{Placed, storage};
use crate::{labels, names};

/// How long a server has between SIGTERM and SIGKILL, in seconds.
const STOP_SECONDS: i64 = 10;

pub(super) fn template(
    spec: &DeploymentSpec,
    placed: &Placed,
    config_map: &str,
    violations: &mut Violations,
) -> PodTemplateSpec {
    let restarted_at = placed.restarted_at.as_ref();
    let mut template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels::of(spec)),
            annotations: restarted_at.map(|at| labels::map([(labels::RESTARTED_AT, at)])),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(spec, placed, config_map, violations)),
    };
    // By it the pods of this template are told from those of an earlier one.
    let hash = names::hash(&serde_json::to_vec(&template).expect("a pod template is JSON"));
    let labels = template.metadata.as_mut().and_then(|metadata| metadata.labels.as_mut());
    labels.expect("it was made with labels").insert(labels::POD_HASH.to_owned(), hash);
    template
}

fn pod(spec: &DeploymentSpec, placed: &Placed, config_map: &str, violations: &mut Violations) -> PodSpec {
    let drain = if drains(spec) { DRAIN_SECONDS } else { 0 };
    let pod = PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(security_context(spec.security.run_as_user)),
        termination_grace_period_seconds: Some(STOP_SECONDS + drain),
        volumes: Some(storage::volumes(spec)),
        containers: vec![container(spec, placed, config_map)],
        ..PodSpec::default()
    };
    match &spec.placement {
        Some(placement) => placed_at(placement, pod, violations),
        None => pod,
    }
}

fn security_context(user: RunAsUser) -> PodSecurityContext {
    let id = match user {
        RunAsUser::Id(id) => Some(i64::from(id)),
        RunAsUser::Image => None,
    };
    PodSecurityContext {
        run_as_non_root: id.filter(|id| *id != 0).map(|_| true),
        run_as_user: id,
        run_as_group: id,
        // So that volumes are writable for the user.
        fs_group: id,
        fs_group_change_policy: id.map(|_| "OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

fn placed_at(placement: &Placement, pod: PodSpec, violations: &mut Violations) -> PodSpec {
    let Placement { node_selector, tolerations, affinity, image_pull_secrets, priority_class, runtime_class } =
        placement;
    let tolerations: Vec<Toleration> = tolerations
        .iter()
        .enumerate()
        .filter_map(|(index, toleration)| {
            read(toleration, &format!("/placement/tolerations/{index}"), violations)
        })
        .collect();
    let affinity: Option<Affinity> =
        affinity.as_ref().and_then(|affinity| read(affinity, "/placement/affinity", violations));
    let secrets = image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    PodSpec {
        node_selector: (!node_selector.is_empty()).then(|| node_selector.clone()),
        tolerations: (!tolerations.is_empty()).then_some(tolerations),
        affinity,
        image_pull_secrets: (!image_pull_secrets.is_empty()).then(|| secrets.collect()),
        priority_class_name: priority_class.clone(),
        runtime_class_name: runtime_class.clone(),
        ..pod
    }
}

/// A part that stands in the spec in the shape of the Kubernetes API.
fn read<T: DeserializeOwned>(value: &Value, pointer: &str, violations: &mut Violations) -> Option<T> {
    let read = serde_json::from_value(value.clone());
    read.map_err(|error| {
        violations.push(Violation::new(pointer, format!("is not of the Kubernetes API: {error}")));
    })
    .ok()
}
