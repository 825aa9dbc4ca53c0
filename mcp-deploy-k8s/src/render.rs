//! The plain manifests of a spec, for those who apply them by other means.

use k8s_openapi::ByteString;
use mcp_deploy_core::{DeploymentBackend, DeploymentSpec, REDACTED, Result};
use serde_json::Value;

use crate::handle::KubernetesBackend;
use crate::manifest::{self, Placed};
use crate::names::BACKEND;
use crate::objects::Object;

impl KubernetesBackend {
    /// The objects of a spec, ready for `kubectl apply -f -` and the same each time. Nothing is reached.
    ///
    /// The values of secrets are `***` unless `with_secrets`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](mcp_deploy_core::Error::Unsupported) and
    /// [`Error::Invalid`](mcp_deploy_core::Error::Invalid), as a deploy would end with them.
    pub fn render(&self, spec: &DeploymentSpec, with_secrets: bool) -> Result<Vec<Value>> {
        self.capabilities().check(BACKEND, spec)?;
        let placed = Placed {
            deployed_at: None,
            updated_at: None,
            ..self.placed(spec, 1, (!spec.secrets.is_empty()).then(|| format!("{}-secrets", spec.name)))
        };
        let mut manifests = manifest::render(spec, &placed)?;
        if let Some(secret) = manifests.secret.as_mut().filter(|_| !with_secrets) {
            for ByteString(value) in secret.data.iter_mut().flat_map(|data| data.values_mut()) {
                *value = REDACTED.as_bytes().to_vec();
            }
        }
        let mut objects: Vec<Value> =
            manifests.dependents().into_iter().map(|Object { body, .. }| body).collect();
        objects.push(Object::of(&manifests.deployment).body);
        Ok(objects)
    }
}
