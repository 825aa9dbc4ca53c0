//! The deployments of the namespace, and the reports on them, in a number of requests that does not grow with
//! theirs.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment as Live;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Resource;
use kube::api::ListParams;
use mcp_deploy_core::{Deployment, Result, Selector};
use serde::de::DeserializeOwned;

use crate::error::sorted;
use crate::handle::KubernetesBackend;
use crate::index::Index;
use crate::labels;
use crate::status::{self, Observed};

/// How many objects one answer holds.
const PAGE: u32 = 500;

/// The events that tell why something does not work, and of them only what is worth to be asked for: those of an
/// ordinary start are left out.
pub(crate) const TROUBLE: &str = "reason!=Scheduled,reason!=Pulling,reason!=Pulled,reason!=Created,reason!=Started,\
    reason!=Killing,reason!=SuccessfulCreate,reason!=SuccessfulDelete,reason!=ScalingReplicaSet";

impl KubernetesBackend {
    /// The reports on the selected deployments, sorted by name.
    pub(crate) async fn look(&self, selector: &Selector) -> Result<Vec<Deployment>> {
        let selected = ListParams::default().labels(&labels::selector(selector));
        let (deployments, pods) = futures_util::try_join!(
            self.all::<Live, Vec<_>>("list deployments", selected.clone()),
            self.all::<Pod, Index<_>>("list pods", selected),
        )?;
        let observed = deployments.into_iter().filter_map(|live| Observed::of(live, self.ingress_host()));
        let observed: Vec<Observed> = observed.collect();
        let report = |observed: &Observed, events: &Index<Event>| self.report_on(observed, &pods, events);
        let silent = Index::default();
        let mut reports: Vec<Deployment> =
            observed.iter().map(|observed| report(observed, &silent)).collect();
        if reports.iter().any(|told| status::is_troubled(told.status)) {
            let events =
                self.all::<Event, Index<_>>("list events", ListParams::default().fields(TROUBLE)).await?;
            for (told, observed) in reports.iter_mut().zip(&observed) {
                if status::is_troubled(told.status) {
                    *told = report(observed, &events);
                }
            }
        }
        reports.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(reports)
    }

    pub(crate) fn report_on(
        &self,
        observed: &Observed,
        pods: &Index<Pod>,
        events: &Index<Event>,
    ) -> Deployment {
        status::report(observed, pods, events, self.ingress_host())
    }

    /// All objects of a kind, page by page.
    async fn all<K, A: FromIterator<K>>(&self, operation: &str, mut params: ListParams) -> Result<A>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        let kind = self.objects::<K>().await?;
        let mut items = Vec::new();
        params.limit = Some(PAGE);
        loop {
            let page = kind.list(&params).await.map_err(|error| sorted(operation, error))?;
            items.extend(page.items);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(items.into_iter().collect());
            }
        }
    }
}
