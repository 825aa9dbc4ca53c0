//! The contract of images: what every backend expects of a template's image, and whether one keeps it.

mod examine;
mod hardening;

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};

use mcp_deploy_core::{
    DeployOptions, DeploymentBackend, DeploymentName, DeploymentSpec, Error, Failure, FailureReason,
    ImageRef, Network, PullPolicy, RestartPolicy, Result, TemplateId,
};
use serde::Serialize;

use self::examine::Examined;
use crate::handle::DockerBackend;
use crate::names::Role;
use crate::volumes;

/// A clause of the contract between a template and its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clause {
    /// The server starts and does not end by itself.
    StaysUp,
    /// It listens on `PORT`.
    Listens,
    /// Its liveness path, mostly `/health`, answers 200.
    Health,
    /// Its readiness path, mostly `/ready`, answers 200.
    Ready,
    /// It answers MCP.
    Mcp,
    /// SIGTERM ends it within ten seconds.
    Terminates,
    /// It runs as user 1000 with a read-only root, or its template says what it needs instead.
    Hardened,
}

impl Clause {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; 7] = [
        Self::StaysUp,
        Self::Listens,
        Self::Health,
        Self::Ready,
        Self::Mcp,
        Self::Terminates,
        Self::Hardened,
    ];

    /// The word, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StaysUp => "stays_up",
            Self::Listens => "listens",
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Mcp => "mcp",
            Self::Terminates => "terminates",
            Self::Hardened => "hardened",
        }
    }

    /// The reason of a deployment that fails for it.
    fn reason(self) -> FailureReason {
        match self {
            Self::StaysUp => FailureReason::CrashLoop,
            Self::Listens | Self::Health | Self::Ready => FailureReason::Unhealthy,
            Self::Mcp => FailureReason::NotMcp,
            Self::Terminates => FailureReason::Unknown,
            Self::Hardened => FailureReason::ConfigError,
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What was found about a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The image keeps it.
    Kept,
    /// The image breaks it.
    Broken,
    /// The template promises nothing of the kind.
    NotPromised,
    /// It could not be seen, for another clause is broken.
    NotSeen,
}

/// A clause with its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClauseReport {
    /// The clause.
    pub clause: Clause,
    /// What was found.
    pub verdict: Verdict,
    /// What was seen, or what is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl fmt::Display for ClauseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clause, verdict: _, detail } = self;
        write!(f, "{clause}")?;
        detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

/// Whether an image keeps the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContractReport {
    /// The image.
    pub image: ImageRef,
    /// Every clause, in the order of [`Clause::ALL`].
    pub clauses: Vec<ClauseReport>,
    /// The last lines that the server wrote, where a clause is broken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
}

impl ContractReport {
    /// Whether no clause is broken.
    pub fn is_kept(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The clauses that are broken.
    pub fn broken(&self) -> impl Iterator<Item = &ClauseReport> {
        self.clauses.iter().filter(|report| report.verdict == Verdict::Broken)
    }

    /// The failure of an image that breaks the contract, with every clause that it breaks.
    pub fn failure(&self) -> Option<Failure> {
        let first = self.broken().next()?;
        let clauses: Vec<String> = self.broken().map(ToString::to_string).collect();
        let message = format!("the image `{}` breaks the contract: {}", self.image, clauses.join("; "));
        let failure = Failure::new(first.clause.reason(), message).log_tail(self.log_tail.clone());
        Some(failure)
    }
}

impl DockerBackend {
    /// Runs the image of a spec, as a deployment would, under a throw-away name, and holds it against the contract. An
    /// image that ends in its hardened container is tried again with parts of the hardening taken back, one by one.
    ///
    /// What was started is removed in every case, also when `stop` resolves: then there is no report. Dropping the
    /// future leaves the container behind, as a deployment that can be deleted.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for what Docker does not run, as a server on standard input; those of a deploy. An image
    /// that breaks the contract is none.
    pub async fn check_contract(
        &self,
        spec: &DeploymentSpec,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<ContractReport>> {
        let mut stop = pin!(stop);
        let Some(first) = self.tried(throw_away(spec), stop.as_mut()).await? else { return Ok(None) };
        if !first.has_ended() {
            let hardened = hardening::kept(&spec.security);
            return Ok(Some(first.report(&spec.image, hardened)));
        }
        for security in hardening::relaxed(&spec.security) {
            let relaxed = DeploymentSpec { security, ..throw_away(spec) };
            let hardened = hardening::needs(&relaxed.security, &first);
            let Some(again) = self.tried(relaxed, stop.as_mut()).await? else { return Ok(None) };
            if !again.has_ended() {
                return Ok(Some(again.with_log_of(first).report(&spec.image, hardened)));
            }
        }
        Ok(Some(first.report(&spec.image, hardening::not_seen())))
    }

    /// Starts, examines and removes one.
    async fn tried(
        &self,
        spec: DeploymentSpec,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<Examined>> {
        // The start is not interrupted: nobody would know what has come of it.
        let examined = match self.deploy(&spec, DeployOptions::default()).await {
            Ok(_) => tokio::select! {
                biased;
                () = stop => Ok(None),
                examined = self.examined(&spec) => examined.map(Some),
            },
            Err(Error::Failed { failure, .. }) => Ok(Some(Examined::unstarted(&failure))),
            Err(error) => Err(error),
        };
        self.throw_away(&spec.name).await?;
        examined
    }

    /// Removes all that a throw-away deployment has, at once.
    async fn throw_away(&self, name: &DeploymentName) -> Result<()> {
        for role in [Role::Volumes, Role::Current] {
            self.discard(name, role).await?;
        }
        volumes::remove(self.docker().await?, name).await
    }
}

/// The spec under a new name, as one container that is run once, of the image that the daemon has; without what is no
/// concern of the image.
fn throw_away(spec: &DeploymentSpec) -> DeploymentSpec {
    let id: TemplateId = "contract-check".parse().expect("it is a template id");
    DeploymentSpec {
        name: DeploymentName::derived_from(&id),
        pull_policy: Some(PullPolicy::Never),
        restart: RestartPolicy::Never,
        replicas: 1,
        host_port: None,
        exposure: None,
        autoscaling: None,
        placement: None,
        network: Network::All,
        ..spec.clone()
    }
}
