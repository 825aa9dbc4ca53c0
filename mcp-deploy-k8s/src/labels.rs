//! What stands in the labels and annotations of what we make: written, and read back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use mcp_deploy_core::{DeploymentName, DeploymentSpec, Selector};
use secrecy::SecretString;
use serde_json::Value;

/// Whether an object is of this project: every one of ours carries it.
const MANAGED_BY: (&str, &str) = ("managed-by", "mcp-platform");
pub(crate) const DEPLOYMENT: &str = "mcp-deploy.dev/deployment";
const TEMPLATE: &str = "mcp-deploy.dev/template";
/// On pods: which pod template they are made from.
pub(crate) const POD_HASH: &str = "mcp-deploy.dev/pod-hash";

/// On a Deployment: the spec without the values of its secrets.
pub(crate) const SPEC: &str = "mcp-deploy.dev/spec";
pub(crate) const REVISION: &str = "mcp-deploy.dev/revision";
/// The name of the Secret, where there is one.
pub(crate) const SECRET: &str = "mcp-deploy.dev/secret";
/// When its revision was deployed.
pub(crate) const DEPLOYED_AT: &str = "mcp-deploy.dev/deployed-at";
/// When the spec was changed last, or its size.
pub(crate) const UPDATED_AT: &str = "mcp-deploy.dev/updated-at";
/// The annotation by which kubectl, too, replaces all pods.
pub(crate) const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

pub(crate) type Map = BTreeMap<String, String>;

/// A Deployment of ours, as its annotations describe it.
#[derive(Debug, Clone)]
pub(crate) struct Ours {
    /// Without the values of its secrets.
    pub(crate) spec: DeploymentSpec,
    pub(crate) revision: u64,
    pub(crate) secret: Option<String>,
    pub(crate) deployed_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
    pub(crate) restarted_at: Option<String>,
}

impl Ours {
    /// `None` where it is not ours.
    pub(crate) fn of(deployment: &Deployment) -> Option<Self> {
        let metadata = &deployment.metadata;
        let name = self::deployment(metadata)?;
        metadata.name.as_ref().filter(|found| *found == name.as_str())?;
        let template = deployment.spec.as_ref()?.template.metadata.as_ref()?;
        Some(Self {
            spec: spec(serde_json::from_str(annotation(metadata, SPEC)?).ok()?)?,
            revision: annotation(metadata, REVISION)?.parse().ok()?,
            secret: annotation(metadata, SECRET).map(str::to_owned),
            deployed_at: annotation(metadata, DEPLOYED_AT).and_then(|at| at.parse().ok()),
            updated_at: annotation(metadata, UPDATED_AT).and_then(|at| at.parse().ok()),
            restarted_at: annotation(template, RESTARTED_AT).map(str::to_owned),
        })
    }
}

/// The spec of its plain part, the values of its secrets empty.
pub(crate) fn spec(plain: Value) -> Option<DeploymentSpec> {
    let names = plain["secrets"].as_object()?.keys().map(|name| (name.clone(), SecretString::default()));
    let secrets = names.collect();
    DeploymentSpec::from_parts(plain, secrets).ok()
}

/// The labels of every object of a deployment.
pub(crate) fn of(spec: &DeploymentSpec) -> Map {
    let template = spec.template.id.as_str();
    map([
        MANAGED_BY,
        (DEPLOYMENT, spec.name.as_str()),
        (TEMPLATE, template),
        ("app.kubernetes.io/name", template),
        ("app.kubernetes.io/instance", spec.name.as_str()),
        ("app.kubernetes.io/version", &value(&spec.template.version)),
        ("app.kubernetes.io/component", "mcp-server"),
        ("app.kubernetes.io/managed-by", "mcp-platform"),
    ])
}

/// The labels of what belongs to no one deployment.
pub(crate) fn of_platform() -> Map {
    map([MANAGED_BY, ("app.kubernetes.io/managed-by", "mcp-platform")])
}

/// The labels that the pods of a deployment are selected by; they never change.
pub(crate) fn of_pods(name: &DeploymentName) -> Map {
    map([(DEPLOYMENT, name.as_str())])
}

/// The label selector of what is ours and is selected.
pub(crate) fn selector(selector: &Selector) -> String {
    let Selector { name, template } = selector;
    let name = name.as_ref().map(|name| format!("{DEPLOYMENT}={name}"));
    let template = template.as_ref().map(|template| format!("{TEMPLATE}={template}"));
    let ours = format!("{}={},{DEPLOYMENT}", MANAGED_BY.0, MANAGED_BY.1);
    [ours].into_iter().chain(name).chain(template).collect::<Vec<_>>().join(",")
}

/// What lists the objects of one deployment.
pub(crate) fn of_name(name: &DeploymentName) -> ListParams {
    ListParams::default().labels(&selector(&Selector::named(name)))
}

/// The deployment that an object of ours belongs to; `None` where it is not ours.
pub(crate) fn deployment(metadata: &ObjectMeta) -> Option<DeploymentName> {
    let labels = metadata.labels.as_ref()?;
    let (key, ours) = MANAGED_BY;
    labels.get(key).filter(|found| *found == ours)?;
    labels.get(DEPLOYMENT)?.parse().ok()
}

pub(crate) fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

pub(crate) fn map<const N: usize>(pairs: [(&str, &str); N]) -> Map {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A text as the value of a label: at most 63 characters, letters and digits at its ends.
fn value(text: &str) -> String {
    const LONGEST: usize = 63;
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let text: String = text.chars().map(fits).take(LONGEST).collect();
    text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_version_is_a_value_of_a_label() {
        assert_eq!(value("1.0.0"), "1.0.0");
        assert_eq!(value("1.0.0+build 7"), "1.0.0-build-7");
        assert_eq!(value("-ß-"), "");
        assert_eq!(value(&"1".repeat(80)).len(), 63);
    }
}
