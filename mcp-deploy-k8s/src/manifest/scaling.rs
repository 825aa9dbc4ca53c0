//! How many instances there are, and who may change that.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
    MetricTarget, ResourceMetricSource,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mcp_deploy_core::{Autoscaling, DeploymentSpec};

use super::{Placed, owned};
use crate::labels;

/// Left to the autoscaler where there is one; 0, which stops a deployment, stops the autoscaler too.
pub(super) fn replicas(spec: &DeploymentSpec, placed: &Placed) -> Option<i32> {
    let is_left = spec.autoscaling.is_some() && placed.replicas > 0;
    (!is_left).then(|| count(placed.replicas))
}

pub(super) fn autoscaler(spec: &DeploymentSpec, placed: &Placed) -> Option<HorizontalPodAutoscaler> {
    let Autoscaling { min_replicas, max_replicas, target_cpu_percent } = spec.autoscaling.as_ref()?;
    Some(HorizontalPodAutoscaler {
        metadata: owned(spec, placed),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: spec.name.to_string(),
            },
            min_replicas: Some(count(*min_replicas)),
            max_replicas: count(*max_replicas),
            metrics: Some(vec![MetricSpec {
                type_: "Resource".to_owned(),
                resource: Some(ResourceMetricSource {
                    name: "cpu".to_owned(),
                    target: MetricTarget {
                        type_: "Utilization".to_owned(),
                        average_utilization: Some(count(*target_cpu_percent)),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            }]),
            ..HorizontalPodAutoscalerSpec::default()
        }),
        ..HorizontalPodAutoscaler::default()
    })
}

/// Machines that are emptied take one instance at a time. With a single one it would block them for ever.
pub(super) fn disruption_budget(spec: &DeploymentSpec, placed: &Placed) -> Option<PodDisruptionBudget> {
    let fewest = spec.autoscaling.as_ref().map_or(placed.replicas, |autoscaling| autoscaling.min_replicas);
    (fewest > 1).then(|| PodDisruptionBudget {
        metadata: owned(spec, placed),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(labels::of_pods(&spec.name)),
                ..LabelSelector::default()
            }),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
