//! The backends of this program: the one place that joins them.

use mcp_deploy_core::{Backends, Settings};

/// Those that are built in, and the names of those that are not; within a Tokio runtime.
pub(crate) fn join(settings: &Settings) -> Backends {
    let backends = Backends::default().default_to(settings.backend.clone());

    #[cfg(feature = "docker")]
    let backends = backends.with(mcp_deploy_docker::DockerBackend::from_settings(settings));
    #[cfg(not(feature = "docker"))]
    let backends = backends.without("docker", "docker");

    #[cfg(feature = "kubernetes")]
    let backends = backends.with(mcp_deploy_k8s::KubernetesBackend::from_settings(settings));
    #[cfg(not(feature = "kubernetes"))]
    let backends = backends.without("kubernetes", "kubernetes");

    #[cfg(feature = "mock")]
    let backends = backends.with(mcp_deploy_mock::MockBackend::from_settings(settings));
    #[cfg(not(feature = "mock"))]
    let backends = backends.without("mock", "mock");

    // Whoever serves a cluster answers from memory; a cluster that nobody serves is not watched.
    #[cfg(feature = "kubernetes")]
    if backends.default_name() == Some("kubernetes") {
        return backends.with(mcp_deploy_k8s::KubernetesBackend::from_settings(settings).cached());
    }
    backends
}
