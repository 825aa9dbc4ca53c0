//! The suite over a real daemon; without one, or without the mock server's binary, all cases are ignored.

mod image;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use mcp_deploy_core::conformance::{self, Behaviour, Fixture, Others};
use mcp_deploy_core::{BoxError, DeploymentBackend, DeploymentName, Template};
use mcp_deploy_docker::DockerBackend;
use serde_json::json;

fn main() -> ExitCode {
    conformance::run(|| async {
        let address =
            std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let docker = Docker::connect_with_host(&address)?;
        docker.ping().await.map_err(|error| format!("no daemon answers at {address}: {error}"))?;
        image::import(&docker).await?;
        Ok(Box::new(Daemon { backend: DockerBackend::new(&address), docker }) as Box<dyn Fixture>)
    })
}

#[derive(Debug)]
struct Daemon {
    backend: DockerBackend,
    docker: Docker,
}

#[async_trait]
impl Fixture for Daemon {
    fn backend(&self) -> Arc<dyn DeploymentBackend> {
        Arc::new(self.backend.clone())
    }

    fn template(&self, behaviour: Behaviour) -> Option<Template> {
        let (image, behaviour) = match behaviour {
            Behaviour::Well => (image::NAME, "well".to_owned()),
            Behaviour::EchoesEnvironment => (image::NAME, "echo-environment".to_owned()),
            Behaviour::Crashes(code) => (image::NAME, format!("crash:{code}")),
            Behaviour::NeverListens => (image::NAME, "never-listens".to_owned()),
            Behaviour::Slow(delay) => (image::NAME, format!("slow:{}", delay.as_millis())),
            Behaviour::IgnoresSigterm => (image::NAME, "ignore-sigterm".to_owned()),
            Behaviour::Stdio => (image::NAME, "stdio".to_owned()),
            Behaviour::NotMcp => (image::NAME, "not-mcp".to_owned()),
            // Nobody listens there.
            Behaviour::BadImage => ("127.0.0.1:1/none:1", "well".to_owned()),
            _ => return None,
        };
        let template = json!({
            "id": "t-behaves", "name": "Behaves", "description": "Behaves as the suite wants.", "version": "1.0.0",
            "docker_image": image, "command": ["/mcp-mock-server"],
            "environment_variables": {"MOCK_BEHAVIOUR": behaviour},
            "tools": [{"name": "echo", "input_schema": {"type": "object"}}],
        });
        Template::from_value(template, None).ok()
    }

    fn patience(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn others(&self) -> Option<&dyn Others> {
        Some(self)
    }

    async fn objects(&self, name: &DeploymentName) -> Result<Vec<String>, BoxError> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let containers = self.docker.list_containers(Some(options)).await?;
        let names = containers.into_iter().flat_map(|container| container.names.unwrap_or_default());
        let is_of_name = |found: &String| {
            let found = found.trim_start_matches('/');
            found == name.as_str() || found.starts_with(&format!("{name}."))
        };
        let containers = names.filter(is_of_name).map(|name| format!("container{name}"));
        let volumes = self.volumes(name).await?.into_iter().map(|volume| format!("volume/{volume}"));
        Ok(containers.chain(volumes).collect())
    }

    async fn remove_volumes(&self, name: &DeploymentName) -> Result<(), BoxError> {
        for volume in self.volumes(name).await? {
            self.docker.remove_volume(&volume, Some(RemoveVolumeOptionsBuilder::new().build())).await?;
        }
        Ok(())
    }

    async fn shown(&self, name: &DeploymentName) -> Result<String, BoxError> {
        let mut container = self.docker.inspect_container(name.as_str(), None).await?;
        // Whoever may inspect may read the environment: that is where Docker has secrets.
        if let Some(config) = &mut container.config {
            config.env = None;
        }
        Ok(serde_json::to_string(&container)?)
    }
}

impl Daemon {
    async fn volumes(&self, name: &DeploymentName) -> Result<Vec<String>, BoxError> {
        let listed = self.docker.list_volumes(Some(ListVolumesOptionsBuilder::new().build())).await?;
        let names = listed.volumes.unwrap_or_default().into_iter().map(|volume| volume.name);
        Ok(names.filter(|found| found.starts_with(&format!("{name}-"))).collect())
    }
}

#[async_trait]
impl Others for Daemon {
    async fn plant(&self, name: &DeploymentName) -> Result<(), BoxError> {
        let options = CreateContainerOptionsBuilder::new().name(name.as_str()).build();
        let body = ContainerCreateBody {
            image: Some(image::NAME.to_owned()),
            cmd: Some(vec!["/mcp-mock-server".to_owned()]),
            ..ContainerCreateBody::default()
        };
        self.docker.create_container(Some(options), body).await?;
        Ok(())
    }

    async fn remove(&self, name: &DeploymentName) -> Result<(), BoxError> {
        let container = self.docker.inspect_container(name.as_str(), None).await?;
        let labels = container.config.and_then(|config| config.labels).unwrap_or_default();
        if !labels.is_empty() {
            return Err(format!("the foreign container has labels now: {labels:?}").into());
        }
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        Ok(self.docker.remove_container(name.as_str(), Some(options)).await?)
    }
}

/// Where cargo puts binaries, beside this test.
fn binaries() -> Result<PathBuf, BoxError> {
    let test = std::env::current_exe()?;
    Ok(test.parent().and_then(|deps| deps.parent()).ok_or("the test lies in no directory")?.to_owned())
}
