//! The names of what we make on a daemon.

use mcp_deploy_core::DeploymentName;

/// The backend's name.
pub(crate) const BACKEND: &str = "docker";
/// The network that all deployments are on.
pub(crate) const NETWORK: &str = "mcp-platform";

/// What a container is to its deployment; its name tells, since labels cannot change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// It runs the deployment.
    Current,
    /// It is about to take the place of the current one, and nobody else may while it is there.
    Next,
    /// It ran the deployment before; kept, stopped.
    Previous,
    /// It never runs: through it new volumes get their owner.
    Volumes,
}

impl Role {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Current, Self::Next, Self::Previous, Self::Volumes];

    /// The name of a deployment's container in this role.
    pub(crate) fn container(self, name: &DeploymentName) -> String {
        match self {
            Self::Current => name.to_string(),
            Self::Next => format!("{name}.next"),
            Self::Previous => format!("{name}.previous"),
            Self::Volumes => format!("{name}.volumes"),
        }
    }

    /// The role of a container of a deployment, from its name; the daemon begins names with a slash.
    pub(crate) fn of(container: &str, name: &DeploymentName) -> Option<Self> {
        let container = container.trim_start_matches('/');
        Self::ALL.into_iter().find(|role| role.container(name) == container)
    }
}

/// The name of a deployment's volume on the daemon.
pub(crate) fn volume(name: &DeploymentName, volume: &str) -> String {
    format!("{name}-{volume}")
}

/// An id as Docker's own tools show it.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
