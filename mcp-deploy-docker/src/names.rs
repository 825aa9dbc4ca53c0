//! The names and labels of what we make on a daemon.

use std::collections::HashMap;

use mcp_deploy_core::DeploymentName;

/// The backend's name.
pub(crate) const BACKEND: &str = "docker";
/// The network that all deployments are on.
pub(crate) const NETWORK: &str = "mcp-platform";

pub(crate) const MANAGED_BY: &str = "managed-by";
pub(crate) const MANAGED_BY_US: &str = "mcp-platform";
pub(crate) const DEPLOYMENT: &str = "mcp-deploy.dev/deployment";
pub(crate) const TEMPLATE: &str = "mcp-deploy.dev/template";
pub(crate) const REVISION: &str = "mcp-deploy.dev/revision";
/// When the name was first deployed, and this container made.
pub(crate) const CREATED_AT: &str = "mcp-deploy.dev/created-at";
pub(crate) const UPDATED_AT: &str = "mcp-deploy.dev/updated-at";
/// The port on the host.
pub(crate) const PORT: &str = "mcp-deploy.dev/port";
/// The spec without the values of its secrets; those are in the container's environment.
pub(crate) const SPEC: &str = "mcp-deploy.dev/spec";

/// Where the container of the revision before is kept.
pub(crate) fn previous(name: &DeploymentName) -> String {
    format!("{name}.previous")
}

/// Where a container is made, until it takes the place of another.
pub(crate) fn next(name: &DeploymentName) -> String {
    format!("{name}.next")
}

/// The name of a deployment's volume on the daemon.
pub(crate) fn volume(name: &DeploymentName, volume: &str) -> String {
    format!("{name}-{volume}")
}

/// A filter for what is ours.
pub(crate) fn ours() -> HashMap<&'static str, Vec<String>> {
    HashMap::from([("label", vec![format!("{MANAGED_BY}={MANAGED_BY_US}")])])
}

/// A filter for what is ours and belongs to one deployment.
pub(crate) fn ours_of(name: &DeploymentName) -> HashMap<&'static str, Vec<String>> {
    HashMap::from([("label", vec![format!("{MANAGED_BY}={MANAGED_BY_US}"), format!("{DEPLOYMENT}={name}")])])
}
