//! The specs that a deployment has had, whole: each is a ControllerRevision, its secrets in the Secret that it
//! names. The one that it has is in its Deployment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::core::ApiResource;
use mcp_deploy_core::{DeploymentName, DeploymentSpec, Error, Result};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::sorted;
use crate::handle::KubernetesBackend;
use crate::labels;
use crate::manifest::{self, KEPT_REVISIONS};
use crate::names::{self, BACKEND};
use crate::status::{Observed, created_at};
use crate::time;

/// The size in which a revision ran last.
const REPLICAS: &str = "mcp-deploy.dev/replicas";

/// A revision that is kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) content: Content,
    name: String,
}

/// What a ControllerRevision holds; the API server lets nobody change it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// The spec without the values of its secrets.
    pub(crate) spec: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
    pub(crate) config_map: String,
    /// Those that were written as soon as they were deployed do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deployed_at: Option<Timestamp>,
}

impl KubernetesBackend {
    /// The object that keeps what a Deployment is.
    pub(crate) fn revision(&self, found: &Observed) -> ControllerRevision {
        let Observed { ours, live, .. } = found;
        let placed = self.placed_again(found).owned_by(&live.metadata);
        ControllerRevision {
            metadata: ObjectMeta {
                name: Some(names::revision(&ours.spec.name, ours.revision)),
                annotations: Some(labels::map([(REPLICAS, &placed.replicas.to_string())])),
                ..manifest::owned(&ours.spec, &placed)
            },
            revision: i64::try_from(ours.revision).unwrap_or(i64::MAX),
            data: Some(RawExtension(serde_json::to_value(Content::of(found)).expect("it is JSON"))),
        }
    }

    /// The revisions of a name that are kept, newest first.
    pub(crate) async fn kept(&self, name: &DeploymentName) -> Result<Vec<Kept>> {
        let of_name = labels::of_name(name);
        let found = self.objects::<ControllerRevision>().await?.list(&of_name).await;
        let found = found.map_err(|error| sorted("list the revisions", error))?;
        let mut kept: Vec<Kept> = found.items.into_iter().filter_map(Kept::of).collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.number));
        Ok(kept)
    }

    /// A spec with the values of its secrets, which are in a Secret; `None` where that is not there.
    pub(crate) async fn whole(&self, plain: Value, secret: Option<&str>) -> Result<Option<DeploymentSpec>> {
        let values = match secret {
            Some(secret) => self.values(secret).await?,
            None => Some(BTreeMap::new()),
        };
        let Some(values) = values else { return Ok(None) };
        DeploymentSpec::from_parts(plain, values)
            .map(Some)
            .map_err(|error| Error::backend(BACKEND, "read a spec back from the cluster", error))
    }

    async fn values(&self, secret: &str) -> Result<Option<BTreeMap<String, SecretString>>> {
        let found = self.objects::<Secret>().await?.get_opt(secret).await;
        let found = found.map_err(|error| sorted("read the Secret", error))?;
        let text = |ByteString(bytes): ByteString| String::from_utf8_lossy(&bytes).into_owned().into();
        Ok(found.map(|secret| {
            let data = secret.data.unwrap_or_default().into_iter();
            data.map(|(name, bytes)| (name, text(bytes))).collect()
        }))
    }

    /// Lets go of revisions beyond those that are kept, and each ConfigMap and Secret that only they use.
    pub(crate) async fn forget(&self, current: &Observed) -> Result<()> {
        let name = &current.ours.spec.name;
        let mut kept = self.kept(name).await?;
        kept.retain(|kept| kept.number != current.ours.revision);
        let most = usize::try_from(KEPT_REVISIONS).unwrap_or(usize::MAX);
        let old = kept.split_off(most.min(kept.len()));
        let current = Content::of(current);
        let used: BTreeSet<&str> = kept
            .iter()
            .map(|kept| &kept.content)
            .chain([&current])
            .flat_map(Content::parts)
            .map(|(_, name)| name)
            .collect();
        let mut objects = Vec::new();
        for Kept { content, name, .. } in &old {
            objects.push((ApiResource::erase::<ControllerRevision>(&()), name.clone()));
            let parts = content.parts().filter(|(_, name)| !used.contains(name));
            objects.extend(parts.map(|(resource, name)| (resource, name.to_owned())));
        }
        self.remove_all(name, &objects).await
    }
}

impl Kept {
    fn of(found: ControllerRevision) -> Option<Self> {
        let RawExtension(data) = found.data?;
        let mut content: Content = serde_json::from_value(data).ok()?;
        let written_at = found.metadata.creation_timestamp.as_ref().map(time::read);
        if let Some(replicas) =
            labels::annotation(&found.metadata, REPLICAS).and_then(|it| it.parse::<u32>().ok())
        {
            content.spec["replicas"] = replicas.into();
        }
        Some(Self {
            number: u64::try_from(found.revision).ok()?,
            created_at: content.deployed_at.or(written_at)?,
            content,
            name: found.metadata.name?,
        })
    }
}

impl Content {
    fn of(Observed { ours, live, .. }: &Observed) -> Self {
        Self {
            // Another size is no other revision, so it stands beside the content.
            spec: serde_json::to_value(DeploymentSpec { replicas: 1, ..ours.spec.clone() })
                .expect("a spec is JSON"),
            secret: ours.secret.clone(),
            config_map: manifest::config_map_of(live).unwrap_or_default().to_owned(),
            deployed_at: Some(ours.deployed_at.unwrap_or_else(|| created_at(live))),
        }
    }

    fn parts(&self) -> impl Iterator<Item = (ApiResource, &str)> {
        let config_map = (ApiResource::erase::<ConfigMap>(&()), self.config_map.as_str());
        let secret = self.secret.as_deref().map(|name| (ApiResource::erase::<Secret>(&()), name));
        [config_map].into_iter().chain(secret)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_revision_that_does_not_say_when_it_was_deployed_was_written_then() {
        let written: ControllerRevision = serde_json::from_value(json!({
            "metadata": {
                "name": "demo-one-1",
                "annotations": {REPLICAS: "3"},
                "creationTimestamp": "2026-11-01T10:00:00Z",
            },
            "revision": 1,
            "data": {"spec": {"replicas": 1}, "config_map": "demo-one-a"},
        }))
        .unwrap();
        let kept = Kept::of(written).unwrap();
        assert_eq!(kept.created_at, "2026-11-01T10:00:00Z".parse().unwrap());
        assert_eq!(kept.content.spec["replicas"], 3);
    }
}
