//! The proof that a deployment answers MCP, and the verbs that ask its server.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::evidence::with_last_lines;
use super::{DeploymentManager, or_nearest, superseded, working};
use crate::probe::{self, ProbeError, ToolAnswer};
use crate::{
    Deployment, DeploymentBackend, DeploymentBackendExt, DeploymentName, Error, Failure, FailureReason,
    McpReport, Result, Status, Tool, one_line,
};

/// Between the first two tries of a handshake; doubled up to [`LONGEST_PAUSE`]. A small server needs no longer from
/// its start until it listens.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
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
    pub async fn ask_all(&self, deployments: Vec<Arc<Deployment>>) -> Vec<Arc<Deployment>> {
        let asked = deployments.into_iter().map(|deployment| async move {
            match self.backends().get(Some(&deployment.backend)) {
                Ok(backend) => Arc::new(asked(&*backend, Arc::unwrap_or_clone(deployment), ONE_TRY).await),
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
        if let Some(failure) = deployment.failure.take() {
            deployment.failure = Some(with_last_lines(backend, &deployment.name, failure).await);
        }
        return deployment;
    }
    let answer = match backend.connect(&deployment.name).await {
        Ok(connection) => {
            probe::probe(&connection, patience).await.map_err(|error| failure(&error, connection.host()))
        }
        Err(error) => Err(Failure::new(FailureReason::Unknown, one_line(&error))),
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
/// reports that it failed, or that another has taken its place.
pub(super) async fn verified(
    backend: &dyn DeploymentBackend,
    ready: Deployment,
    ours: Option<u64>,
    deadline: Instant,
    patience: Duration,
) -> Result<Deployment> {
    let name = &ready.name;
    let is_over = |deployment: &Deployment| {
        deployment.status == Status::Failed || superseded(deployment, ours).is_some()
    };
    let report = tokio::select! {
        report = handshake(backend, name, deadline, patience) => report?,
        over = backend.wait_for(name, is_over) => return working(over?, ours),
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
        let (error, host) = match one_try(backend, name, deadline).await? {
            Ok(report) => return Ok(report),
            Err(error) => error,
        };
        tracing::debug!(deployment = %name, error = %one_line(&error), "no MCP answer yet");
        let now = Instant::now();
        let may_be_starting = matches!(error, ProbeError::Unreachable(_) | ProbeError::Mute(_));
        if !may_be_starting && now >= grace_ends {
            return Err(Error::Failed {
                name: name.clone(),
                failure: Box::new(failure(&error, host.as_deref())),
                recovery: None,
            });
        }
        if now >= deadline {
            return Err(Error::timeout(name, "an MCP server that answers", patience, Some(one_line(&error))));
        }
        sleep(pause.min(deadline - now)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One handshake, or why there was none, and the host by which the server was called through a tunnel. A platform that
/// cannot connect us just now is tried again; one that never will is an error.
async fn one_try(
    backend: &dyn DeploymentBackend,
    name: &DeploymentName,
    deadline: Instant,
) -> Result<Result<McpReport, (ProbeError, Option<String>)>> {
    let connection = match backend.connect(name).await {
        Ok(connection) => connection,
        Err(error @ (Error::NotFound { .. } | Error::Denied { .. } | Error::Unsupported { .. })) => {
            return Err(error);
        }
        Err(error) => return Ok(Err((ProbeError::Unreachable(error.into()), None))),
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let answer = probe::probe(&connection, left.min(ONE_TRY)).await;
    Ok(answer.map_err(|error| (error, connection.host().map(str::to_owned))))
}

fn failure(error: &ProbeError, host: Option<&str>) -> Failure {
    let reason = match error {
        ProbeError::HostRejected(_) => FailureReason::HostRejected,
        ProbeError::Unreachable(_) | ProbeError::Mute(_) => FailureReason::Unhealthy,
        _ => FailureReason::NotMcp,
    };
    let failure = Failure::new(reason, one_line(error));
    match (error, host) {
        (ProbeError::HostRejected(_), Some(host)) => failure.hint(format!(
            "clients call the server by `{host}`: allow that host in the server's own settings (often called \
             allowed hosts)"
        )),
        _ => failure,
    }
}

fn refused(name: &DeploymentName, error: ProbeError) -> Error {
    match error {
        ProbeError::Server(source) => Error::Server { source },
        error @ ProbeError::AuthorizationRequired => Error::Server { source: error.into() },
        error => {
            Error::Failed { name: name.clone(), failure: Box::new(failure(&error, None)), recovery: None }
        }
    }
}
