//! What cases do again and again: name, resolve, deploy, ask, remove.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;

use super::{Behaviour, Fixture};
use crate::probe;
use crate::{
    Backends, BoxError, Catalog, DeleteOptions, Deploy, Deployed, Deployment, DeploymentBackend,
    DeploymentManager, DeploymentName, DeploymentSpec, Error, Request, Result, Settings, TemplateId,
};

/// A place to work in: the fixture, its backend, and a manager of it.
pub(super) struct Site<'a> {
    pub(super) fixture: &'a dyn Fixture,
    pub(super) backend: Arc<dyn DeploymentBackend>,
    pub(super) manager: DeploymentManager,
}

impl<'a> Site<'a> {
    pub(super) fn new(fixture: &'a dyn Fixture) -> Self {
        let backend = fixture.backend();
        let backends =
            Backends::default().with(Arc::clone(&backend)).default_to(Some(backend.name().to_owned()));
        let manager = DeploymentManager::new(Catalog::default(), backends, &Settings::default());
        Self { fixture, backend, manager }
    }

    /// A name that nothing has.
    pub(super) fn new_name() -> Result<DeploymentName, BoxError> {
        let stem: TemplateId = "t-case".parse()?;
        Ok(DeploymentName::derived_from(&stem))
    }

    /// What a request makes of the template of a behaviour.
    pub(super) fn spec(&self, behaviour: Behaviour, request: Request) -> Result<DeploymentSpec, BoxError> {
        let template = self.fixture.template(behaviour).ok_or("the fixture has no template for it")?;
        let request = match &request.name {
            Some(_) => request,
            None => request.name(Self::new_name()?.as_str()),
        };
        Ok(self.manager.resolve(&template, &request)?)
    }

    pub(super) fn options(&self) -> Deploy {
        Deploy { wait: Some(self.fixture.patience()), ..Deploy::default() }
    }

    /// Deploys and waits until it answers.
    pub(super) async fn deploy(&self, spec: &DeploymentSpec) -> Result<Deployed> {
        self.manager.deploy(spec, &self.options()).await
    }

    /// A deployment that answers, of a behaviour.
    pub(super) async fn deployed(
        &self,
        behaviour: Behaviour,
    ) -> Result<(DeploymentSpec, Deployment), BoxError> {
        let spec = self.spec(behaviour, Request::default())?;
        let Deployed { deployment, .. } = self.deploy(&spec).await?;
        Ok((spec, deployment))
    }

    /// Removes a deployment and its volumes, and checks that nothing of it is left.
    pub(super) async fn remove(&self, name: &DeploymentName) -> Result<(), BoxError> {
        self.backend.delete(name, DeleteOptions { volumes: true }).await?;
        let left = self.fixture.objects(name).await?;
        if left.is_empty() { Ok(()) } else { Err(format!("delete left {}", left.join(", ")).into()) }
    }

    /// The environment as the server has it.
    pub(super) async fn environment(
        &self,
        name: &DeploymentName,
    ) -> Result<BTreeMap<String, String>, BoxError> {
        let connection = self.backend.connect(name).await?;
        let answer =
            probe::call_tool(connection.url(), "environment", Map::new(), Duration::from_secs(30)).await?;
        Ok(serde_json::from_str(&answer.text.concat())?)
    }
}

/// Whether an error says that a name is not there.
pub(super) fn is_not_found<T>(outcome: &Result<T>) -> bool {
    matches!(outcome, Err(Error::NotFound { .. }))
}

/// The ids of a deployment's instances, sorted.
pub(super) fn instance_ids(deployment: &Deployment) -> Vec<&str> {
    let mut ids: Vec<&str> = deployment.instances.iter().map(|instance| instance.id.as_str()).collect();
    ids.sort_unstable();
    ids
}
