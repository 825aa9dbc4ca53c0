//! The backend: the verbs of the trait.

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment as Live;
use kube::api::ListParams;
use mcp_deploy_core::{
    BackendHealth, Capabilities, Connection, DeleteOptions, DeployOptions, Deployment, DeploymentBackend,
    DeploymentName, DeploymentSpec, EventStream, LogOptions, LogStream, Logs, Part, Result, Revision,
    Selector,
};
use std::sync::Arc;

use crate::access::Access;
use crate::error::{absent, sorted};
use crate::handle::KubernetesBackend;
use crate::manifest::KEPT_REVISIONS;
use crate::names::BACKEND;
use crate::revisions::Kept;
use crate::{logs, watch};

impl KubernetesBackend {
    /// The report on one deployment.
    pub(crate) async fn report(&self, name: &DeploymentName) -> Result<Deployment> {
        let mut found = self.look(&Selector::named(name)).await?;
        found.pop().ok_or_else(|| absent(name))
    }
}

#[async_trait]
impl DeploymentBackend for KubernetesBackend {
    fn name(&self) -> &'static str {
        BACKEND
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_replicas: 1000,
            volumes: true,
            network_none: true,
            network_rules: true,
            exposure: true,
            autoscaling: true,
            placement: true,
            revisions: KEPT_REVISIONS,
            logs: Logs::WhileRunning,
            previous_logs: true,
            reasons: &[
                (Part::HostMounts, "a pod may run on any machine; give the server a volume"),
                (Part::HostPort, "a Service has the address; `exposure` gives one outside of the cluster"),
                (Part::NetworkHosts, "a NetworkPolicy knows addresses and namespaces, no names"),
                (Part::Pids, "the kubelet limits the processes of all pods of a machine, by `podPidsLimit`"),
                (Part::RestartPolicy, "the pods of a Deployment are always started again"),
            ],
            ..Capabilities::LEAST
        }
    }

    async fn check(&self) -> Result<BackendHealth> {
        let Access { client, url, .. } = self.access().await?;
        let version =
            client.apiserver_version().await.map_err(|error| sorted("ask for the version", error))?;
        // Whether the credentials are good, and good for something.
        let one = ListParams::default().limit(1);
        let listed = self.objects::<Live>().await?.list_metadata(&one).await;
        listed.map_err(|error| sorted("list deployments", error))?;
        let scope = format!("{} in {url}", self.namespace());
        Ok(BackendHealth { version: version.git_version, scope })
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %spec.name, operation = "deploy"))]
    async fn deploy(&self, spec: &DeploymentSpec, options: DeployOptions) -> Result<Deployment> {
        self.capabilities().check(BACKEND, spec)?;
        if options.dry_run {
            return Box::pin(self.try_out(spec, &options)).await;
        }
        let _turn = self.turn(&spec.name).await;
        self.make_it_so(spec).await
    }

    async fn get(&self, name: &DeploymentName) -> Result<Deployment> {
        self.report(name).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Arc<Deployment>>> {
        Ok(self.look(selector).await?.into_iter().map(Arc::new).collect())
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "scale"))]
    async fn scale(&self, name: &DeploymentName, replicas: u32) -> Result<Deployment> {
        let _turn = self.turn(name).await;
        self.found(name).await?;
        self.capabilities().check_replicas(BACKEND, replicas)?;
        self.change(name, |placed| {
            if placed.replicas != replicas {
                (placed.replicas, placed.updated_at) = (replicas, Some(Timestamp::now()));
            }
        })
        .await?;
        self.report(name).await
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "restart"))]
    async fn restart(&self, name: &DeploymentName) -> Result<Deployment> {
        let _turn = self.turn(name).await;
        self.change(name, |placed| {
            if placed.replicas > 0 {
                let now = Timestamp::now();
                (placed.updated_at, placed.restarted_at) = (Some(now), Some(now.to_string()));
            }
        })
        .await?;
        self.report(name).await
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "delete"))]
    async fn delete(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()> {
        let _turn = self.turn(name).await;
        self.remove(name, options).await
    }

    async fn revisions(&self, name: &DeploymentName) -> Result<Vec<Revision>> {
        let current = self.found(name).await?.ours.revision;
        let mut revisions = Vec::new();
        for Kept { number, created_at, content, .. } in self.kept(name).await? {
            if number != current {
                // One that has lost its Secret cannot be deployed again.
                let whole = self.whole(content.spec, content.secret.as_deref()).await?;
                revisions.extend(whole.map(|spec| Revision { number, created_at, spec }));
            }
        }
        Ok(revisions)
    }

    async fn connect(&self, name: &DeploymentName) -> Result<Connection> {
        self.open(name).await
    }

    fn logs(&self, name: &DeploymentName, options: LogOptions) -> LogStream {
        logs::stream(self.clone(), name.clone(), options)
    }

    fn watch(&self, selector: Selector) -> EventStream {
        watch::stream(self.clone(), selector)
    }
}
