//! Objects whose content never changes: the ConfigMap, the Secret and the ControllerRevision of a revision.
//!
//! They are created, and not applied, which the API server does in half the time. What can change in them, which is
//! their metadata, is merged: nothing is ever left out of it.

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment as Live};
use kube::Resource;
use kube::api::DynamicObject;
use mcp_deploy_core::{DeploymentName, Result};
use serde_json::{Value, json};

use crate::apply::{How, create, merge};
use crate::delete::is_owned_by;
use crate::error::{code, foreign, sorted};
use crate::handle::KubernetesBackend;
use crate::labels;
use crate::objects::{Object, delete, not_applied};

/// How often a name that was taken and then free is tried.
const TRIES: u32 = 3;

impl Object {
    /// Whether its content never changes.
    pub(crate) fn is_immutable(&self) -> bool {
        self.body["immutable"] == true || self.is_revision()
    }

    fn is_revision(&self) -> bool {
        self.resource.kind == ControllerRevision::kind(&())
    }

    fn owner(&self) -> Option<&str> {
        self.body["metadata"]["ownerReferences"][0]["uid"].as_str()
    }

    /// Whether what was found has the owner and the content that this one should have. Of a Deployment each number
    /// is one revision only, in whatever words another version of this program wrote it.
    fn is(&self, found: &DynamicObject) -> bool {
        self.owner().is_none_or(|owner| is_owned_by(&found.metadata, owner))
            && (self.is_revision() || self.body["data"] == found.data["data"])
    }

    /// What has to be merged into the metadata of what was found; `None` where nothing has.
    fn metadata_for(&self, found: &DynamicObject) -> Option<Value> {
        let labels = &self.body["metadata"]["labels"];
        let annotations = &self.body["metadata"]["annotations"];
        let has_all = |found: &Option<labels::Map>, wanted: &Value| {
            let mut wanted = wanted.as_object().into_iter().flatten();
            wanted.all(|(key, value)| {
                found.as_ref().and_then(|found| found.get(key)).is_some_and(|it| value == it)
            })
        };
        if has_all(&found.metadata.labels, labels) && has_all(&found.metadata.annotations, annotations) {
            return None;
        }
        let mut metadata = json!({"labels": labels});
        // Where we have none, those of others stay: null would take them away.
        if !annotations.is_null() {
            metadata["annotations"] = annotations.clone();
        }
        Some(json!({"metadata": metadata}))
    }
}

impl KubernetesBackend {
    /// Creates the object where it is not there as it should be. One that is left of an earlier Deployment of the
    /// name, or that somebody has put in its place, gives way. `false` where somebody else has deployed the name
    /// meanwhile.
    pub(crate) async fn make_immutable(
        &self,
        name: &DeploymentName,
        object: &Object,
        how: How,
    ) -> Result<bool> {
        let kind = self.kind(&object.resource).await?;
        let dry_run = matches!(how, How::DryRun { .. });
        let failed = |error| not_applied(name, object, error);
        for _ in 0..TRIES {
            match create(&kind, &object.body, dry_run).await {
                Ok(()) => return Ok(true),
                Err(error) if code(&error) == Some(409) => {}
                Err(error) => return Err(failed(error)),
            }
            let Some(found) = kind.get_opt(&object.name).await.map_err(failed)? else { continue };
            if labels::deployment(&found.metadata).as_ref() != Some(name) {
                return Err(foreign(&object.resource.kind, &object.name, self.namespace()));
            }
            if dry_run {
                return Ok(true);
            }
            if object.is(&found) {
                if let Some(metadata) = object.metadata_for(&found) {
                    merge(&kind, &object.name, &metadata).await.map_err(failed)?;
                }
                return Ok(true);
            }
            if !self.is_owner_there(name, object).await? {
                return Ok(false);
            }
            delete(&kind, &object.name, found.metadata.uid).await.map_err(failed)?;
        }
        Ok(false)
    }

    async fn is_owner_there(&self, name: &DeploymentName, object: &Object) -> Result<bool> {
        let owner = self.objects::<Live>().await?.get_metadata_opt(name.as_str()).await;
        let owner = owner.map_err(|error| sorted("look at the deployment", error))?;
        Ok(owner.is_some_and(|owner| owner.metadata.uid.as_deref() == object.owner()))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    #[test]
    fn what_is_merged_leaves_the_annotations_of_others() {
        let object = |metadata: Value| json!({"metadata": metadata, "immutable": true, "data": {"A": "1"}});
        let wanted: ConfigMap =
            serde_json::from_value(object(json!({"name": "one", "labels": {"version": "2"}}))).unwrap();
        let found = json!({"name": "one", "labels": {"version": "1"}, "annotations": {"theirs": "yes"}});
        let found: DynamicObject = serde_json::from_value(object(found)).unwrap();
        let merged = Object::of(&wanted).metadata_for(&found);
        assert_eq!(merged, Some(json!({"metadata": {"labels": {"version": "2"}}})));
    }
}
