//! Looking at a server that runs: what it answers, and how it ends.

use std::time::Duration;

use futures_util::StreamExt;
use mcp_deploy_core::probe::{self, ProbeError};
use mcp_deploy_core::{
    DeploymentBackend, DeploymentName, DeploymentSpec, Error, Failure, FailureReason, ImageRef, LogOptions,
    McpReport, Result, Status, one_line,
};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use tokio::time::{Instant, sleep, timeout};

use super::{Clause, ClauseReport, ContractReport, Verdict};
use crate::container::STOP_SECONDS;
use crate::error::sorted;
use crate::handle::DockerBackend;
use crate::names::{BACKEND, Role};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(30);
/// How long it may then answer what is no MCP, or that it is not ready: some listen before they serve.
const GRACE: Duration = Duration::from_secs(5);
/// How long it has to stay up at least.
const STEADY: Duration = Duration::from_secs(2);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(3);
const HANDSHAKE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
const LOG_LINES: usize = 20;
const LOG_PATIENCE: Duration = Duration::from_secs(2);
/// The exit code of a process that SIGKILL has ended.
const KILLED: i64 = 137;

/// What was seen of a server.
#[derive(Debug)]
pub(super) struct Examined {
    /// How it ended by itself, where it did.
    end: Option<String>,
    clauses: Vec<ClauseReport>,
    log_tail: Vec<String>,
}

impl Examined {
    /// One that the daemon could not start.
    pub(super) fn unstarted(failure: &Failure) -> Self {
        Self { end: Some(told(failure)), clauses: Vec::new(), log_tail: failure.log_tail.clone() }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// How it ended by itself.
    pub(super) fn end(&self) -> Option<&str> {
        self.end.as_deref()
    }

    /// With what an earlier one wrote before it ended.
    pub(super) fn with_log_of(self, earlier: Self) -> Self {
        Self { log_tail: earlier.log_tail, ..self }
    }

    /// The verdicts on all clauses; what nobody came to look at is not seen.
    pub(super) fn report(self, image: &ImageRef, hardened: ClauseReport) -> ContractReport {
        let Self { end, mut clauses, log_tail } = self;
        clauses.push(hardened);
        if let Some(end) = end {
            // What was seen before its end is worth less than that.
            clauses.retain(|report| report.clause != Clause::StaysUp);
            clauses.push(broken(Clause::StaysUp, end));
        }
        let report_on = |clause| {
            let found = clauses.iter().find(|report| report.clause == clause).cloned();
            found.unwrap_or(ClauseReport { clause, verdict: Verdict::NotSeen, detail: None })
        };
        let clauses: Vec<_> = Clause::ALL.into_iter().map(report_on).collect();
        let mut report = ContractReport { image: image.clone(), clauses, log_tail };
        if report.is_kept() {
            report.log_tail.clear();
        }
        report
    }
}

impl DockerBackend {
    /// Looks at a server that was just started, and ends it.
    pub(super) async fn examined(&self, spec: &DeploymentSpec) -> Result<Examined> {
        let name = &spec.name;
        let started = Instant::now();
        let host = self.reach(name).await?;
        let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(ANSWER).build();
        let client = client.map_err(|error| Error::backend(BACKEND, "make an HTTP client", error))?;
        let mut clauses = Vec::new();

        let listens = self.listens(name, &client, &host, started + START).await?;
        if listens {
            clauses.push(kept(Clause::Listens, format!("port {}", spec.transport.port)));
            clauses.extend(health(spec, &client, &host).await);
            clauses.push(mcp(&format!("http://{host}{}", spec.transport.path)).await);
        } else {
            let nobody = format!(
                "nothing listens on port {}, which `PORT` tells, within {} s",
                spec.transport.port,
                START.as_secs()
            );
            clauses.push(broken(Clause::Listens, nobody));
        }
        tokio::time::sleep_until(started + STEADY).await;
        let end = self.end(name).await?;
        if end.is_none() {
            clauses.push(ClauseReport { clause: Clause::StaysUp, verdict: Verdict::Kept, detail: None });
            clauses.push(self.terminates(name).await?);
        }
        if end.is_some() && !listens {
            clauses.clear();
        }
        Ok(Examined { end, clauses, log_tail: self.log_tail(name).await })
    }

    /// Where its port is reached from here.
    async fn reach(&self, name: &DeploymentName) -> Result<String> {
        let found = self.running(name).await?;
        let address = found.ours.placed.address;
        let daemon = self.daemon().await?;
        daemon.place.reach(address).ok_or_else(|| Error::Unsupported {
            backend: BACKEND,
            feature: format!(
                "a look at the server on the daemon's host: it is published on the loopback interface of `{}`; set \
                 `MCP_DOCKER_BIND` to an address of that host",
                daemon.address
            ),
        })
    }

    /// Waits until something answers, or it ends. A port that is published takes connections whether somebody listens
    /// behind it or not, so only an answer counts, or that a question is kept: twice, for the first may have come
    /// before the container's network was up.
    async fn listens(
        &self,
        name: &DeploymentName,
        client: &Client,
        host: &str,
        deadline: Instant,
    ) -> Result<bool> {
        let url = format!("http://{host}/");
        let mut was_kept = false;
        while Instant::now() < deadline {
            let is_kept = match client.get(&url).send().await {
                Ok(_) => return Ok(true),
                Err(error) => error.is_timeout() && !error.is_connect(),
            };
            if is_kept && was_kept {
                return Ok(true);
            }
            was_kept = is_kept;
            if self.end(name).await?.is_some() {
                return Ok(false);
            }
            sleep(PAUSE).await;
        }
        Ok(false)
    }

    /// How it has ended by itself, where it has.
    async fn end(&self, name: &DeploymentName) -> Result<Option<String>> {
        let deployment = self.get(name).await?;
        if deployment.status != Status::Failed {
            return Ok(None);
        }
        Ok(Some(deployment.failure.as_ref().map_or_else(|| "it ended".to_owned(), told)))
    }

    /// SIGTERM, and how it ends then.
    async fn terminates(&self, name: &DeploymentName) -> Result<ClauseReport> {
        let Some(found) = self.find(name, Role::Current).await? else {
            return Ok(broken(Clause::Terminates, "somebody has removed it"));
        };
        let asked = Instant::now();
        self.stop(&found.id).await?;
        let took = asked.elapsed();
        let container = self.docker().await?.inspect_container(&found.id, None).await;
        let state = container.map_err(|error| sorted("look at the container", error))?.state;
        let exit_code = state.and_then(|state| state.exit_code).unwrap_or_default();
        let patience = Duration::from_secs(STOP_SECONDS.unsigned_abs().into());
        if exit_code == KILLED && took >= patience {
            let detail = format!("it went on for {STOP_SECONDS} s after SIGTERM, and was killed");
            return Ok(broken(Clause::Terminates, detail));
        }
        Ok(kept(Clause::Terminates, format!("after {:.1} s, exit code {exit_code}", took.as_secs_f64())))
    }

    async fn log_tail(&self, name: &DeploymentName) -> Vec<String> {
        let lines = self.logs(name, LogOptions { tail: Some(LOG_LINES), ..LogOptions::default() });
        let lines = lines.filter_map(async |line| line.ok().map(|line| line.message)).collect::<Vec<_>>();
        timeout(LOG_PATIENCE, lines).await.unwrap_or_default()
    }
}

/// How a server ended, and what mends that; of a crash its last lines say more.
fn told(failure: &Failure) -> String {
    match &failure.hint {
        Some(hint) if failure.reason != FailureReason::CrashLoop => format!("{}; {hint}", failure.message),
        _ => failure.message.clone(),
    }
}

/// What the paths of the health contract answer, where the template has one.
async fn health(spec: &DeploymentSpec, client: &Client, host: &str) -> [ClauseReport; 2] {
    let Some(health) = &spec.health else {
        let detail = "the template has no `health`".to_owned();
        return [Clause::Health, Clause::Ready].map(|clause| ClauseReport {
            clause,
            verdict: Verdict::NotPromised,
            detail: Some(detail.clone()),
        });
    };
    let deadline = Instant::now() + GRACE;
    let answer = async |clause, path: &str| {
        let url = format!("http://{host}/{}", path.trim_start_matches('/'));
        loop {
            let problem = match client.get(&url).send().await.map(|answer| answer.status()) {
                Ok(StatusCode::OK) => return kept(clause, format!("`{path}` answers 200")),
                Ok(status) => format!("`{path}` answers {}, and 200 is promised", status.as_u16()),
                Err(error) if error.is_timeout() => {
                    format!("`{path}` does not answer within {} s", ANSWER.as_secs())
                }
                Err(error) => format!("`{path}` does not answer: {}", one_line(&error)),
            };
            if Instant::now() >= deadline {
                return broken(clause, problem);
            }
            sleep(PAUSE).await;
        }
    };
    [answer(Clause::Health, &health.liveness).await, answer(Clause::Ready, &health.readiness).await]
}

/// Whether it answers MCP; one that wants authorization does.
async fn mcp(url: &str) -> ClauseReport {
    let deadline = Instant::now() + GRACE;
    loop {
        match probe::probe(url, HANDSHAKE).await {
            Ok(report) => return kept(Clause::Mcp, who(&report)),
            Err(error @ ProbeError::HostRejected(_)) => {
                let detail = format!("{}; it has to answer by any host name", one_line(&error));
                return broken(Clause::Mcp, detail);
            }
            Err(error) if Instant::now() >= deadline => return broken(Clause::Mcp, one_line(&error)),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Who has answered, in which revision.
fn who(report: &McpReport) -> String {
    let McpReport { protocol_version, server, tools, authorization_required, .. } = report;
    if *authorization_required {
        return "it wants authorization first".to_owned();
    }
    let version = protocol_version.as_deref().unwrap_or("an unknown revision");
    let server = server.as_ref().map_or("a server", |server| server.name.as_str());
    let tools = if tools.len() == 1 { "1 tool".to_owned() } else { format!("{} tools", tools.len()) };
    format!("{version}, {server}, {tools}")
}

fn kept(clause: Clause, detail: impl Into<String>) -> ClauseReport {
    ClauseReport { clause, verdict: Verdict::Kept, detail: Some(detail.into()) }
}

fn broken(clause: Clause, detail: impl Into<String>) -> ClauseReport {
    ClauseReport { clause, verdict: Verdict::Broken, detail: Some(detail.into()) }
}
