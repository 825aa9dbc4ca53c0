//! What cases do again and again.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use mcp_deploy_core::conformance::Fixture;
use mcp_deploy_core::{
    Backends, Catalog, DeleteOptions, Deploy, Deployment, DeploymentBackend, DeploymentBackendExt,
    DeploymentManager, DeploymentName, DeploymentSpec, Error, Failure, Request, Result, Settings, Status,
    probe,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::fixture::{Cluster, template};
use crate::real;

/// The program that starts and stops the parts of a cluster whose node is this machine.
pub(crate) const CLUSTER: &str = "MCP_DEPLOY_E2E_CLUSTER";

pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn new_name() -> DeploymentName {
    DeploymentName::derived_from(&"t-cluster".parse().unwrap())
}

/// The spec of a behaviour, under a new name.
pub(crate) fn spec(behaviour: &str, more: Value) -> DeploymentSpec {
    resolved(behaviour, more, &Request::default().name(new_name().as_str()))
}

pub(crate) fn resolved(behaviour: &str, more: Value, request: &Request) -> DeploymentSpec {
    mcp_deploy_core::resolve(&template(behaviour, more), request, "unused.example").unwrap()
}

/// Another generation of a spec.
pub(crate) fn generation(name: &DeploymentName, number: u32) -> DeploymentSpec {
    let request = Request::default()
        .name(name.as_str())
        .env("GENERATION", number.to_string())
        .env("GENERATION_TOKEN", number.to_string());
    resolved("echo-environment", json!({}), &request)
}

impl Cluster {
    pub(crate) fn manager(&self) -> DeploymentManager {
        let name = self.backend.name().to_owned();
        let backends = Backends::default().with(self.backend.clone()).default_to(Some(name));
        DeploymentManager::new(Catalog::default(), backends, &Settings::default())
    }

    /// Deploys, and waits until it answers.
    pub(crate) async fn deploy(&self, spec: &DeploymentSpec) -> Result<Deployment> {
        let options = Deploy { wait: Some(PATIENCE), ..Deploy::default() };
        Ok(self.manager().deploy(spec, &options).await?.deployment)
    }

    /// Why a deploy fails.
    pub(crate) async fn failure(&self, spec: &DeploymentSpec) -> Failure {
        match self.deploy(spec).await {
            Err(Error::Failed { failure, .. }) => *failure,
            outcome => panic!("deploy ended with {outcome:?}"),
        }
    }

    /// Waits until a deployment is so.
    pub(crate) async fn until(
        &self,
        name: &DeploymentName,
        condition: impl FnMut(&Deployment) -> bool + Send,
    ) -> Deployment {
        if let Ok(deployment) = timeout(PATIENCE, self.backend.wait_for(name, condition)).await {
            return deployment.unwrap();
        }
        panic!("it stays {:?}", self.backend.get(name).await);
    }

    /// The failure that a deployment ends in.
    pub(crate) async fn failed(&self, name: &DeploymentName) -> Failure {
        self.until(name, |deployment| deployment.status == Status::Failed).await.failure.unwrap()
    }

    /// Calls a tool: its answer, or why it was refused.
    pub(crate) async fn call(
        &self,
        name: &DeploymentName,
        tool: &str,
        arguments: Value,
    ) -> Result<Value, String> {
        let connection = self.backend.connect(name).await.map_err(|error| error.to_string())?;
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let answer = probe::call_tool(connection.url(), tool, arguments, Duration::from_secs(20));
        let answer = answer.await.map_err(|error| error.to_string())?;
        let text = answer.text.concat();
        if answer.is_error { Err(text) } else { Ok(serde_json::from_str(&text).unwrap()) }
    }

    /// Another namespace of the cluster, made anew, with labels and an object.
    pub(crate) async fn namespace(&self, name: &str, labels: Value) -> Self {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = json!({"metadata": {"name": name, "labels": labels}});
        let namespace: Namespace = serde_json::from_value(namespace).unwrap();
        if namespaces.get_opt(name).await.unwrap().is_some() {
            let labels = Patch::Merge(json!({"metadata": {"labels": labels}}));
            namespaces.patch(name, &PatchParams::default(), &labels).await.unwrap();
        } else {
            namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        }
        real::cluster(name).await.unwrap()
    }

    pub(crate) async fn remove_namespace(self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.unwrap();
    }

    /// Removes a deployment, and checks that nothing of it is left.
    pub(crate) async fn remove_all(&self, name: &DeploymentName) {
        self.backend.delete(name, DeleteOptions { volumes: true }).await.unwrap();
        assert_eq!(self.objects(name).await.unwrap(), Vec::<String>::new());
    }
}
