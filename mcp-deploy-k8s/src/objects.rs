//! The objects beside a Deployment, of whatever kind: looked at, applied, removed.

use std::fmt::Debug;

use futures_util::future::try_join_all;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, DynamicObject, Preconditions};
use kube::core::ApiResource;
use kube::runtime::conditions::is_deleted;
use kube::runtime::wait::await_condition;
use kube::{Api, Error as Kube, Resource};
use mcp_deploy_core::{DeploymentName, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::apply::{How, apply_briefly};
use crate::delete::is_owned_by;
use crate::error::{code, foreign, sorted, sorted_of};
use crate::handle::KubernetesBackend;
use crate::labels;
use crate::manifest::Manifests;
use crate::names::BACKEND;

/// An object of some kind.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) resource: ApiResource,
    pub(crate) name: String,
    pub(crate) body: Value,
}

impl Object {
    pub(crate) fn of<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Self {
        Self {
            resource: ApiResource::erase::<K>(&()),
            name: object.meta().name.clone().unwrap_or_default(),
            body: serde_json::to_value(object).expect("an object of the API is JSON"),
        }
    }
}

impl Manifests {
    /// All of them but the Deployment.
    pub(crate) fn dependents(&self) -> Vec<Object> {
        let Self {
            deployment: _,
            config_map,
            secret,
            service,
            network_policy,
            ingress,
            autoscaler,
            disruption_budget,
            claims,
        } = self;
        let always = [Object::of(config_map), Object::of(service), Object::of(network_policy)];
        let some = [
            secret.as_ref().map(Object::of),
            ingress.as_ref().map(Object::of),
            autoscaler.as_ref().map(Object::of),
            disruption_budget.as_ref().map(Object::of),
        ];
        let claims = claims.iter().map(Object::of);
        always.into_iter().chain(some.into_iter().flatten()).chain(claims).collect()
    }
}

/// The kinds that have the deployment's name where its spec asks for them.
pub(crate) fn optional_kinds() -> [ApiResource; 3] {
    [
        ApiResource::erase::<Ingress>(&()),
        ApiResource::erase::<HorizontalPodAutoscaler>(&()),
        ApiResource::erase::<PodDisruptionBudget>(&()),
    ]
}

/// All kinds that go with a Deployment.
fn owned_kinds() -> Vec<ApiResource> {
    let always = [
        ApiResource::erase::<ControllerRevision>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
    ];
    always.into_iter().chain(optional_kinds()).collect()
}

impl KubernetesBackend {
    pub(crate) async fn kind(&self, resource: &ApiResource) -> Result<Api<DynamicObject>> {
        Ok(Api::namespaced_with(self.client().await?, self.namespace(), resource))
    }

    /// Refuses names that something has which is not ours.
    pub(crate) async fn check_ours(&self, name: &DeploymentName, objects: &[Object]) -> Result<()> {
        let checks = objects.iter().map(|Object { resource, name: wanted, .. }| async move {
            let found = self.kind(resource).await?.get_metadata_opt(wanted).await;
            match found.map_err(|error| sorted(&format!("look at the {}", resource.kind), error))? {
                Some(found) if labels::deployment(&found.metadata).as_ref() != Some(name) => {
                    Err(foreign(&resource.kind, wanted, self.namespace()))
                }
                _ => Ok(()),
            }
        });
        try_join_all(checks).await.map(drop)
    }

    /// Makes all of them so, at once. Where one was to be made anew, and is there since a deploy that was interrupted,
    /// it is made as it should be. `false` where somebody else has deployed the name meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] where one of the names is of something that is not ours.
    pub(crate) async fn make_all(&self, name: &DeploymentName, objects: &[Object], how: How) -> Result<bool> {
        let made = try_join_all(objects.iter().map(|object| self.make(name, object, how))).await?;
        Ok(made.into_iter().all(|is_made| is_made))
    }

    async fn make(&self, name: &DeploymentName, object: &Object, how: How) -> Result<bool> {
        if object.is_immutable() {
            return self.make_immutable(name, object, how).await;
        }
        let kind = self.kind(&object.resource).await?;
        let applied = match apply_briefly(&kind, &object.name, &object.body, how).await {
            Err(error) if how == How::Anew && code(&error) == Some(409) => {
                self.check_ours(name, std::slice::from_ref(object)).await?;
                apply_briefly(&kind, &object.name, &object.body, How::ByForce).await
            }
            applied => applied,
        };
        applied.map(|_| true).map_err(|error| not_applied(name, object, error))
    }

    /// Removes objects of ours by kind and name, where they are there.
    pub(crate) async fn remove_all(
        &self,
        name: &DeploymentName,
        objects: &[(ApiResource, String)],
    ) -> Result<()> {
        let removals = objects.iter().map(|(resource, wanted)| async move {
            let kind = self.kind(resource).await?;
            let failed = |error| sorted(&format!("remove the {}", resource.kind), error);
            match kind.get_metadata_opt(wanted).await.map_err(failed)? {
                Some(found) if labels::deployment(&found.metadata).as_ref() == Some(name) => {
                    delete(&kind, wanted, found.metadata.uid).await.map_err(failed)
                }
                _ => Ok(()),
            }
        });
        try_join_all(removals).await.map(drop)
    }

    /// Removes what a Deployment that is gone has left, which the platform itself would remove in its own time.
    pub(crate) async fn remove_left(&self, name: &DeploymentName, owner: &str) -> Result<()> {
        let of_name = labels::of_name(name);
        let kinds = owned_kinds();
        let removals = kinds.iter().map(|resource| {
            let of_name = &of_name;
            async move {
                let kind = self.kind(resource).await?;
                let failed = |error| sorted(&format!("remove each {}", resource.kind), error);
                for left in kind.list_metadata(of_name).await.map_err(failed)? {
                    if is_owned_by(&left.metadata, owner)
                        && let Some(name) = &left.metadata.name
                    {
                        delete(&kind, name, left.metadata.uid).await.map_err(failed)?;
                    }
                }
                Ok(())
            }
        });
        try_join_all(removals).await.map(drop)
    }

    /// Removes the claims of a deployment, with all that is in their volumes.
    pub(crate) async fn remove_claims(&self, name: &DeploymentName) -> Result<()> {
        let of_name = labels::of_name(name);
        let claims = self.kind(&ApiResource::erase::<PersistentVolumeClaim>(&())).await?;
        let failed = |error| sorted("remove the volumes", error);
        for claim in claims.list_metadata(&of_name).await.map_err(failed)? {
            let Some(name) = &claim.metadata.name else { continue };
            let uid = claim.metadata.uid.clone().unwrap_or_default();
            delete(&claims, name, claim.metadata.uid).await.map_err(failed)?;
            let gone = await_condition(claims.clone(), name, is_deleted(&uid)).await;
            gone.map_err(|error| Error::backend(BACKEND, "remove the volumes", error))?;
        }
        Ok(())
    }
}

pub(crate) fn not_applied(name: &DeploymentName, object: &Object, error: Kube) -> Error {
    sorted_of(name, &format!("apply the {}", object.resource.kind), error)
}

/// Removes this very object; that it is gone, or another has its name, is fine.
pub(crate) async fn delete<K>(kind: &Api<K>, name: &str, uid: Option<String>) -> Result<(), Kube>
where
    K: Clone + DeserializeOwned + Debug,
{
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version: None }),
        ..DeleteParams::background()
    };
    match kind.delete(name, &params).await {
        Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(()),
        outcome => outcome.map(drop),
    }
}
