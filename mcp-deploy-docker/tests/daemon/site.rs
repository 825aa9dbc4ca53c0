//! What cases do again and again.

use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptions, RemoveContainerOptionsBuilder,
    RenameContainerOptionsBuilder,
};
use mcp_deploy_core::conformance::Fixture;
use mcp_deploy_core::{
    Backends, Catalog, DeleteOptions, Deploy, Deployment, DeploymentBackend, DeploymentManager,
    DeploymentName, DeploymentSpec, DockerSettings, Request, Result, Settings, probe,
};
use serde_json::{Value, json};

use crate::fixture::{Daemon, template};

pub(crate) fn new_name() -> DeploymentName {
    DeploymentName::derived_from(&"t-daemon".parse().unwrap())
}

/// The spec of a behaviour, under a new name.
pub(crate) fn spec(behaviour: &str, more: Value) -> DeploymentSpec {
    spec_of(&new_name(), behaviour, more)
}

/// The spec of a behaviour, under a name.
pub(crate) fn spec_of(name: &DeploymentName, behaviour: &str, more: Value) -> DeploymentSpec {
    resolved(behaviour, more, &Request::default().name(name.as_str()))
}

pub(crate) fn resolved(behaviour: &str, more: Value, request: &Request) -> DeploymentSpec {
    mcp_deploy_core::resolve(&template(behaviour, more), request, "unused.example").unwrap()
}

/// Another generation of a spec.
pub(crate) fn generation(name: &DeploymentName, number: u32) -> DeploymentSpec {
    let request = Request::default().name(name.as_str()).env("GENERATION", number.to_string());
    resolved("echo-environment", json!({}), &request)
}

impl Daemon {
    pub(crate) fn manager(&self) -> DeploymentManager {
        let backends = Backends::default().with(self.backend.clone()).default_to(Some("docker".to_owned()));
        DeploymentManager::new(Catalog::default(), backends, &Settings::default())
    }

    /// Deploys, and waits until it answers.
    pub(crate) async fn deploy(&self, spec: &DeploymentSpec) -> Result<Deployment> {
        let options = Deploy { wait: Some(Duration::from_secs(40)), ..Deploy::default() };
        Ok(self.manager().deploy(spec, &options).await?.deployment)
    }

    /// Calls a tool: its answer, or why it was refused.
    pub(crate) async fn call(
        &self,
        name: &DeploymentName,
        tool: &str,
        arguments: Value,
    ) -> Result<Value, String> {
        let connection = self.backend.connect(name).await.unwrap();
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let answer = probe::call_tool(connection.url(), tool, arguments, Duration::from_mins(1));
        let answer = answer.await.map_err(|error| error.to_string())?;
        let text = answer.text.concat();
        if answer.is_error { Err(text) } else { Ok(serde_json::from_str(&text).unwrap()) }
    }

    /// The settings for a backend of the same daemon that knows nothing of this one, as in another process.
    pub(crate) async fn settings(&self) -> DockerSettings {
        let host = Some(self.backend.check().await.unwrap().scope);
        DockerSettings { host, ..DockerSettings::default() }
    }

    pub(crate) async fn inspect(&self, container: &str) -> ContainerInspectResponse {
        self.docker.inspect_container(container, None).await.unwrap()
    }

    pub(crate) async fn id(&self, container: &str) -> String {
        self.inspect(container).await.id.unwrap()
    }

    pub(crate) async fn rename(&self, from: &str, to: &str) {
        let options = RenameContainerOptionsBuilder::new().name(to).build();
        self.docker.rename_container(from, options).await.unwrap();
    }

    /// The daemon keeps a container up again, as before it became a revision before.
    pub(crate) async fn keep_up(&self, container: &str) {
        let name = Some(RestartPolicyNameEnum::UNLESS_STOPPED);
        let restart_policy = Some(RestartPolicy { name, ..RestartPolicy::default() });
        let body = ContainerUpdateBody { restart_policy, ..ContainerUpdateBody::default() };
        self.docker.update_container(container, body).await.unwrap();
    }

    /// Removes a container behind our back, and leaves its volumes.
    pub(crate) async fn remove_behind_our_back(&self, container: &str) {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        self.docker.remove_container(container, Some(options)).await.unwrap();
    }

    /// How many containers, networks and volumes there are.
    pub(crate) async fn counts(&self) -> [usize; 3] {
        let all = ListContainersOptionsBuilder::new().all(true).build();
        let containers = self.docker.list_containers(Some(all)).await.unwrap().len();
        let networks = self.docker.list_networks(None::<ListNetworksOptions>).await.unwrap().len();
        let volumes = self
            .docker
            .list_volumes(None::<ListVolumesOptions>)
            .await
            .unwrap()
            .volumes
            .unwrap_or_default()
            .len();
        [containers, networks, volumes]
    }

    /// Removes a deployment, and checks that nothing of it is left.
    pub(crate) async fn remove_all(&self, name: &DeploymentName) {
        self.backend.delete(name, DeleteOptions { volumes: true }).await.unwrap();
        self.has_nothing_of(name).await;
    }

    pub(crate) async fn has_nothing_of(&self, name: &DeploymentName) {
        assert_eq!(self.objects(name).await.unwrap(), Vec::<String>::new());
    }
}
