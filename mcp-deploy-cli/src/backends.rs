//! The backends of this program: the one place that joins them.

use mcp_deploy_core::{Backends, Settings};

/// Those that are built in, and the names of those that are not.
pub(crate) fn join(settings: &Settings) -> Backends {
    let backends = Backends::default().default_to(settings.backend.clone());

    #[cfg(feature = "docker")]
    let backends = backends.with(docker(settings));
    #[cfg(not(feature = "docker"))]
    let backends = backends.without("docker", "docker");

    #[cfg(feature = "kubernetes")]
    let backends = backends.with(kubernetes(settings));
    #[cfg(not(feature = "kubernetes"))]
    let backends = backends.without("kubernetes", "kubernetes");

    #[cfg(feature = "mock")]
    let backends = backends.with(mcp_deploy_mock::MockBackend::from_settings(settings));
    #[cfg(not(feature = "mock"))]
    let backends = backends.without("mock", "mock");

    backends
}

/// The Docker backend by its own type, for a verb that only it has.
#[cfg(feature = "docker")]
pub(crate) fn docker(settings: &Settings) -> mcp_deploy_docker::DockerBackend {
    mcp_deploy_docker::DockerBackend::from_settings(settings)
}

/// The Kubernetes backend, likewise.
#[cfg(feature = "kubernetes")]
pub(crate) fn kubernetes(settings: &Settings) -> mcp_deploy_k8s::KubernetesBackend {
    mcp_deploy_k8s::KubernetesBackend::from_settings(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_is_left_out_says_which_feature_brings_it() {
        let backends = join(&Settings::default()).without("elsewhere", "elsewhere");
        let error = backends.get(Some("elsewhere")).unwrap_err().to_string();
        assert!(error.ends_with("build it with `--features elsewhere`"), "{error}");
    }

    #[cfg(not(any(feature = "docker", feature = "kubernetes", feature = "mock")))]
    #[test]
    fn without_any_backend_nothing_is_the_default() {
        assert!(join(&Settings::default()).get(None).is_err());
    }
}
