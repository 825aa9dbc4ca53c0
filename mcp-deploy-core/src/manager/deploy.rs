//! Deploying with a wait, a verification, and a way back.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout_at};

use super::evidence::with_log_tail;
use super::{DEFAULT_WAIT, DeploymentManager, superseded, working};
use crate::{
    DeployOptions, Deployment, DeploymentBackend, DeploymentBackendExt, DeploymentName, DeploymentSpec,
    Error, Phase, Progress, Recovery, Result, Status,
};

/// No wait is longer: a clock has an end.
pub(super) const LONGEST_WAIT: Duration = Duration::from_hours(24 * 365);

/// How to deploy.
#[derive(Debug, Clone)]
pub struct Deploy {
    /// The backend; the default one where none is named.
    pub backend: Option<String>,
    /// Checks everything and touches nothing.
    pub dry_run: bool,
    /// How long to wait until the server answers over MCP, after the platform has accepted the spec; `None`
    /// does not wait, and so knows no way back.
    pub wait: Option<Duration>,
    /// Where to tell of each step.
    pub progress: Option<UnboundedSender<Progress>>,
}

impl Default for Deploy {
    fn default() -> Self {
        Self { backend: None, dry_run: false, wait: Some(DEFAULT_WAIT), progress: None }
    }
}

/// What a deploy did.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    /// The deployment as it is now; with a wait, what its server answered is in it.
    pub deployment: Deployment,
    /// What it did to what was there.
    pub change: Change,
}

/// What a deploy did to what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// There was none of this name.
    Created,
    /// There was one, and it was changed in place.
    Updated,
    /// There was one with the same spec; nothing was touched.
    Unchanged,
}

impl DeploymentManager {
    /// Makes it so, waits until the server answers over MCP, and goes back to what worked when an update does
    /// not. A first deployment that fails stays, for a look at it.
    ///
    /// # Errors
    ///
    /// Those of [`DeploymentBackend::deploy`]; [`Error::Failed`] and [`Error::Timeout`], which say what became of
    /// the revision before.
    #[tracing::instrument(skip_all, fields(deployment = %spec.name, operation = "deploy"))]
    pub async fn deploy(&self, spec: &DeploymentSpec, options: &Deploy) -> Result<Deployed> {
        let Deploy { backend, dry_run, wait, progress } = options;
        let backend = &*self.backends().get(backend.as_deref())?;
        let options = DeployOptions { dry_run: *dry_run, progress: progress.clone() };
        let before = match backend.get(&spec.name).await {
            Ok(deployment) => Some(deployment),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        options.report(Progress::Phase(Phase::Deploying));
        let deployment = backend.deploy(spec, options.clone()).await?;
        let change = change(before.as_ref(), &deployment);
        let Some(patience) = wait.filter(|_| !dry_run) else {
            return Ok(Deployed { deployment, change });
        };

        let ours = deployment.revision;
        let error = match settle(backend, &spec.name, Some(deployment), patience, &options).await {
            Ok(deployment) => return Ok(Deployed { deployment, change }),
            Err(error) => error,
        };
        match before {
            Some(before) if change == Change::Updated && worked(&before) && is_undone(&error) => {
                options.report(Progress::Phase(Phase::GoingBack));
                let recovery = match go_back(backend, &before, ours, patience, &options).await {
                    Ok(()) => Recovery::Restored,
                    Err(reason) => Recovery::NotRestored(reason.to_string()),
                };
                Err(with_recovery(error, recovery))
            }
            _ => Err(error),
        }
    }

    /// Waits until a deployment's server answers over MCP, or until it is stopped as it should be.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] as soon as it failed, [`Error::Timeout`] after `patience`.
    pub async fn wait(
        &self,
        backend: Option<&str>,
        name: &DeploymentName,
        patience: Duration,
    ) -> Result<Deployment> {
        let backend = self.backends().get(backend)?;
        settle(&*backend, name, None, patience, &DeployOptions::default()).await
    }
}

fn change(before: Option<&Deployment>, after: &Deployment) -> Change {
    match before {
        None => Change::Created,
        Some(before)
            if before.revision == after.revision && before.replicas.desired == after.replicas.desired =>
        {
            Change::Unchanged
        }
        Some(_) => Change::Updated,
    }
}

/// Whether there is something to go back to.
fn worked(before: &Deployment) -> bool {
    before.ready || before.status == Status::Stopped
}

/// Whether an update that ends with this error is undone: its server does not work, and it is still ours.
fn is_undone(error: &Error) -> bool {
    matches!(error, Error::Failed { .. } | Error::Timeout { .. })
}

/// Waits until the server answers; `deployed` is what our deploy has reported, whose revision it then has to be.
async fn settle(
    backend: &dyn DeploymentBackend,
    name: &DeploymentName,
    deployed: Option<Deployment>,
    patience: Duration,
    options: &DeployOptions,
) -> Result<Deployment> {
    let patience = patience.min(LONGEST_WAIT);
    let deadline = Instant::now() + patience;
    let ours = deployed.as_ref().map(|deployed| deployed.revision);
    let settled = async {
        let ready = started(backend, name, deployed, deadline, patience, options).await?;
        if ready.status == Status::Stopped {
            return Ok(ready);
        }
        options.report(Progress::Phase(Phase::Verifying));
        working(verified(backend, ready, ours, deadline, patience).await?, ours)
    };
    match settled.await {
        Err(error) => Err(with_log_tail(backend, error).await),
        settled => settled,
    }
}

/// Waits until the platform calls it ready, or stopped as it should be.
pub(super) async fn started(
    backend: &dyn DeploymentBackend,
    name: &DeploymentName,
    deployed: Option<Deployment>,
    deadline: Instant,
    patience: Duration,
    options: &DeployOptions,
) -> Result<Deployment> {
    options.report(Progress::Phase(Phase::Starting));
    let ours = deployed.as_ref().map(|deployed| deployed.revision);
    let is_over = |deployment: &Deployment| deployment.is_settled() || superseded(deployment, ours).is_some();
    let ready = async {
        match deployed.filter(is_over) {
            Some(ready) => Ok(ready),
            None => backend.wait_for(name, is_over).await,
        }
    };
    let Ok(ready) = timeout_at(deadline, ready).await else {
        let last_seen = match backend.get(name).await {
            Ok(Deployment { status, failure: Some(failure), .. }) => format!("{status}, {failure}"),
            Ok(deployment) => deployment.status.to_string(),
            Err(error) => error.to_string(),
        };
        return Err(Error::timeout(name, "ready", patience, Some(last_seen)));
    };
    working(ready?, ours)
}

#[cfg(feature = "probe")]
use super::verify::verified;

/// Without the probe the platform's word is all there is.
#[cfg(not(feature = "probe"))]
async fn verified(
    _backend: &dyn DeploymentBackend,
    ready: Deployment,
    _ours: Option<u64>,
    _deadline: Instant,
    _patience: Duration,
) -> Result<Deployment> {
    Ok(ready)
}

/// Brings back the spec that ran before, in the size in which it ran, unless somebody has deployed another.
async fn go_back(
    backend: &dyn DeploymentBackend,
    before: &Deployment,
    ours: u64,
    patience: Duration,
    options: &DeployOptions,
) -> Result<()> {
    if let Some(error) = superseded(&backend.get(&before.name).await?, Some(ours)) {
        return Err(error);
    }
    let revisions = backend.revisions(&before.name).await?;
    let Some(revision) = revisions.into_iter().find(|revision| revision.number == before.revision) else {
        return Err(Error::backend(
            backend.name(),
            "go back",
            format!("the revision {} is not kept", before.revision),
        ));
    };
    let mut spec = revision.spec;
    spec.replicas = before.replicas.desired;
    let back = backend.deploy(&spec, options.clone()).await?;
    settle(backend, &before.name, Some(back), patience, options).await?;
    Ok(())
}

fn with_recovery(mut error: Error, became: Recovery) -> Error {
    if let Error::Failed { recovery, .. } | Error::Timeout { recovery, .. } = &mut error {
        *recovery = Some(became);
    }
    error
}
