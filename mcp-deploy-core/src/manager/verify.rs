//! The proof that a deployment answers MCP, and the verbs that ask its server.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::{DeploymentManager, or_nearest};
use crate::error::chain;
use crate::probe::{self, ProbeError, ToolAnswer};
use crate::{
    Deployment, DeploymentBackend, DeploymentBackendExt, DeploymentName, Error, Failure, FailureReason,
    McpReport, Result, Status, Tool,
};

/// Between the first two tries of a handshake; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long one handshake may take.
const ONE_TRY: Duration = Duration::from_secs(10);
/// How long a server may give answers that are not MCP: some answer 404 until all of them has started.
const GRACE: Duration = Duration::from_secs(10);
/// How long a verb on a running server waits for its answer.
const PATIENCE: Duration = Duration::from_secs(30);

impl DeploymentManager {
    /// One deployment, with what its server answers; one that does not answer is `degraded` with its failure.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub async fn status(&self, backend: Option<&str>, name: &DeploymentName) -> Result<Deployment> {
        let deployment = self.get(backend, name).await?;
        let backend = self.backends().get(backend)?;
        Ok(asked(&*backend, deployment, ONE_TRY).await)
    }

    /// The deployments with what their servers answer, all asked at once.
    pub async fn ask_all(&self, deployments: Vec<Deployment>) -> Vec<Deployment> {
        let asked = deployments.into_iter().map(|deployment| async move {
            match self.backends().get(Some(&deployment.backend)) {
                Ok(backend) => asked(&*backend, deployment, ONE_TRY).await,
                Err(_) => deployment,
            }
        });
        futures_util::future::join_all(asked).await
    }

    /// The tools of a deployment's server, with the schemas of their arguments.
    ///
    /// # Errors
    ///
    /// Those of [`DeploymentBackend::connect`]; [`Error::Failed`] where it does not answer MCP, [`Error::Server`]
    /// where its answer is an error.
    pub async fn tools(&self, backend: Option<&str>, name: &DeploymentName) -> Result<Vec<Tool>> {
        let backend = self.backends().get(backend)?;
        let connection = or_nearest(&*backend, backend.connect(name).await).await?;
        probe::list_tools(connection.url(), PATIENCE).await.map_err(|error| refused(name, error))
    }

    /// Calls a tool of a deployment's server.
    ///
    /// # Errors
    ///
    /// Those of [`tools`](Self::tools). A tool that ran and failed is an answer.
    pub async fn call(
        &self,
        backend: Option<&str>,
        name: &DeploymentName,
        tool: &str,
        arguments: Map<String, Value>,
        patience: Duration,
    ) -> Result<ToolAnswer> {
        let backend = self.backends().get(backend)?;
        let connection = or_nearest(&*backend, backend.connect(name).await).await?;
        probe::call_tool(connection.url(), tool, arguments, patience)
            .await
            .map_err(|error| refused(name, error))
    }
}

async fn asked(
    backend: &dyn DeploymentBackend,
    mut deployment: Deployment,
    patience: Duration,
) -> Deployment {
    if !deployment.ready {
        return deployment;
    }
    let answer = match backend.connect(&deployment.name).await {
        Ok(connection) => probe::probe(connection.url(), patience).await.map_err(|error| failure(&error)),
        Err(error) => Err(Failure::new(FailureReason::Unknown, chain(&error))),
    };
    match answer {
        Ok(report) => deployment.mcp = Some(report),
        Err(failure) => {
            deployment.status = Status::Degraded;
            deployment.failure = Some(failure);
        }
    }
    deployment
}

/// The deployment with what its server answered; tries again until then, and gives up as soon as the platform
/// reports that it failed.
pub(super) async fn verified(
    backend: &dyn DeploymentBackend,
    ready: Deployment,
    deadline: Instant,
    patience: Duration,
) -> Result<Deployment> {
    let name = &ready.name;
    let has_failed = |deployment: &Deployment| deployment.status == Status::Failed;
    let report = tokio::select! {
        report = handshake(backend, name, deadline, patience) => report?,
        failed = backend.wait_for(name, has_failed) => {
            let failure = failed?.failure;
            let failure = failure.unwrap_or_else(|| Failure::new(FailureReason::Unknown, "the backend gave no reason"));
            return Err(Error::Failed { name: name.clone(), failure: Box::new(failure), recovery: None });
        }
    };
    // The platform may know more by now: an address, another instance.
    let deployment = backend.get(name).await.unwrap_or(ready);
    Ok(Deployment { mcp: Some(report), ..deployment })
}

async fn handshake(
    backend: &dyn DeploymentBackend,
    name: &DeploymentName,
    deadline: Instant,
    patience: Duration,
) -> Result<McpReport> {
    let grace_ends = Instant::now() + GRACE.min(patience / 2);
    let mut pause = FIRST_PAUSE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let connection = backend.connect(name).await?;
        let error = match probe::probe(connection.url(), left.min(ONE_TRY)).await {
            Ok(report) => return Ok(report),
            Err(error) => error,
        };
        tracing::debug!(deployment = %name, error = %chain(&error), "no MCP answer yet");
        let is_over = Instant::now() + pause >= deadline;
        match &error {
            ProbeError::Unreachable(_) | ProbeError::Mute(_) if is_over => {
                return Err(Error::timeout(
                    name,
                    "an MCP server that answers",
                    patience,
                    Some(chain(&error)),
                ));
            }
            ProbeError::Unreachable(_) | ProbeError::Mute(_) => {}
            _ if is_over || Instant::now() >= grace_ends => {
                return Err(Error::Failed {
                    name: name.clone(),
                    failure: Box::new(failure(&error)),
                    recovery: None,
                });
            }
            _ => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn failure(error: &ProbeError) -> Failure {
    let reason = match error {
        ProbeError::HostRejected(_) => FailureReason::HostRejected,
        ProbeError::Unreachable(_) | ProbeError::Mute(_) => FailureReason::Unhealthy,
        _ => FailureReason::NotMcp,
    };
    Failure::new(reason, chain(error))
}

fn refused(name: &DeploymentName, error: ProbeError) -> Error {
    match error {
        ProbeError::Server(source) => Error::Server { source },
        error @ ProbeError::AuthorizationRequired => Error::Server { source: error.into() },
        error => Error::Failed { name: name.clone(), failure: Box::new(failure(&error)), recovery: None },
    }
}
