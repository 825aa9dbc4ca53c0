//! What a daemon tells of a container, as a report: pure.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, HealthStatusEnum};
use jiff::Timestamp;
use mcp_deploy_core::{Deployment, DeploymentSpec, Failure, FailureReason, Instance, Replicas, Status};
use secrecy::SecretString;

use crate::container::{Placed, restart_policy};
use crate::error::is_port_taken;
use crate::names::{self, BACKEND};

/// How long a server that was started again has to run before it counts as well.
pub(crate) const SETTLED: Duration = Duration::from_secs(10);

/// What we put into the labels of a container of ours.
#[derive(Debug, Clone)]
pub(crate) struct Ours {
    /// Without the values of its secrets where only a listing is known.
    pub(crate) spec: DeploymentSpec,
    pub(crate) placed: Placed,
}

impl Ours {
    /// Reads the labels; `None` where they are not ours. `environment` has the values of the secrets.
    pub(crate) fn read(labels: &HashMap<String, String>, environment: Option<&[String]>) -> Option<Self> {
        if labels.get(names::MANAGED_BY)? != names::MANAGED_BY_US {
            return None;
        }
        let plain: serde_json::Value = serde_json::from_str(labels.get(names::SPEC)?).ok()?;
        let values: HashMap<&str, &str> =
            environment.into_iter().flatten().filter_map(|variable| variable.split_once('=')).collect();
        let secrets: BTreeMap<String, SecretString> = plain["secrets"]
            .as_object()?
            .keys()
            .map(|name| {
                (name.clone(), SecretString::from(values.get(name.as_str()).copied().unwrap_or_default()))
            })
            .collect();
        Some(Self {
            spec: DeploymentSpec::from_parts(plain, secrets).ok()?,
            placed: Placed {
                revision: labels.get(names::REVISION)?.parse().ok()?,
                port: labels.get(names::PORT)?.parse().ok()?,
                created_at: labels.get(names::CREATED_AT)?.parse().ok()?,
                updated_at: labels.get(names::UPDATED_AT)?.parse().ok()?,
            },
        })
    }

    /// Of an inspected container.
    pub(crate) fn of(container: &ContainerInspectResponse) -> Option<Self> {
        let config = container.config.as_ref()?;
        Self::read(config.labels.as_ref()?, config.env.as_deref())
    }

    /// The address for clients.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.placed.port, self.spec.transport.path)
    }

    fn pending(&self) -> Deployment {
        let Placed { revision, port: _, created_at, updated_at } = self.placed;
        Deployment {
            revision,
            created_at,
            updated_at,
            ..Deployment::pending(&self.spec, BACKEND, created_at)
        }
    }
}

/// The report on an inspected container.
pub(crate) fn report(ours: &Ours, container: &ContainerInspectResponse, now: Timestamp) -> Deployment {
    let state = container.state.clone().unwrap_or_default();
    let restarts = u32::try_from(container.restart_count.unwrap_or_default()).unwrap_or_default();
    let started_at = state.started_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    let instance = |ready| Instance {
        id: short(container.id.as_deref().unwrap_or_default()),
        started_at: started_at.filter(|at| at.as_second() > 0),
        ready,
        restarts: Some(restarts),
    };
    let is_settled =
        restarts == 0 || started_at.is_none_or(|at| now.duration_since(at).unsigned_abs() >= SETTLED);
    if state.running == Some(true) && state.restarting != Some(true) {
        let unhealthy =
            state.health.as_ref().is_some_and(|health| health.status == Some(HealthStatusEnum::UNHEALTHY));
        return match (is_settled, unhealthy) {
            (false, _) => {
                Deployment { status: Status::Starting, instances: vec![instance(false)], ..wanted(ours, 1) }
            }
            (true, true) => Deployment {
                failure: Some(Failure::new(FailureReason::Unhealthy, "the image's own health check fails")),
                ..serving(ours, instance(true), Status::Degraded)
            },
            (true, false) => serving(ours, instance(true), Status::Running),
        };
    }
    if is_stopped(ours, container, &state) {
        return Deployment { status: Status::Stopped, ..wanted(ours, 0) };
    }
    let is_new = state.status == Some(ContainerStateStatusEnum::CREATED) && no_error(&state).is_none();
    if is_new {
        return wanted(ours, 1);
    }
    Deployment {
        status: Status::Failed,
        failure: Some(failure(&state)),
        instances: vec![instance(false)],
        ..wanted(ours, 1)
    }
}

fn serving(ours: &Ours, instance: Instance, status: Status) -> Deployment {
    Deployment {
        status,
        ready: instance.ready,
        replicas: Replicas { desired: 1, ready: u32::from(instance.ready) },
        instances: vec![instance],
        endpoint: Some(ours.endpoint()),
        ..ours.pending()
    }
}

fn wanted(ours: &Ours, desired: u32) -> Deployment {
    Deployment { replicas: Replicas { desired, ready: 0 }, ..ours.pending() }
}

/// Whether it was stopped on purpose: its restart policy is not that of its spec, or it was never to start.
fn is_stopped(ours: &Ours, container: &ContainerInspectResponse, state: &ContainerState) -> bool {
    let policy = container.host_config.as_ref().and_then(|config| config.restart_policy.as_ref());
    let is_other = policy.is_some_and(|policy| policy.name != restart_policy(ours.spec.restart).name);
    let never_started = state.status == Some(ContainerStateStatusEnum::CREATED) && ours.spec.replicas == 0;
    state.restarting != Some(true) && (is_other || never_started)
}

fn no_error(state: &ContainerState) -> Option<&str> {
    state.error.as_deref().filter(|error| !error.is_empty())
}

fn failure(state: &ContainerState) -> Failure {
    if state.oom_killed == Some(true) {
        return Failure::new(FailureReason::OutOfMemory, "the server used more memory than its limit")
            .exit_code(137);
    }
    if let Some(error) = no_error(state) {
        let reason =
            if is_port_taken(error) { FailureReason::PortConflict } else { FailureReason::ImageInvalid };
        return Failure::new(reason, error);
    }
    Failure::of_exit(state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or_default())
}

/// The id as Docker's own tools show it.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerConfig, HostConfig};
    use mcp_deploy_core::{Request, Template, resolve};

    use super::*;
    use crate::container::{container, stopped_policy};

    /// The report on a container of a plain template in some state, at ten seconds after the epoch.
    fn told(state: ContainerState, restart_count: i64, stopped: bool) -> Deployment {
        let template = "{id: plain, name: Plain, description: Plain., version: '1'}";
        let template = Template::parse(template, "it", None).unwrap();
        let spec =
            resolve(&template, &Request::default().name("plain-one").env("A_TOKEN", "x"), "ghcr.io/team")
                .unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let placed = Placed { revision: 3, port: 21007, created_at: now, updated_at: now };
        let body = container(&spec, placed, "net").unwrap();
        let policy = if stopped { stopped_policy(spec.restart) } else { restart_policy(spec.restart) };
        let container = ContainerInspectResponse {
            id: Some("0123456789abcdef".to_owned()),
            state: Some(state),
            restart_count: Some(restart_count),
            config: Some(ContainerConfig {
                labels: body.labels,
                env: body.env,
                ..ContainerConfig::default()
            }),
            host_config: Some(HostConfig { restart_policy: Some(policy), ..HostConfig::default() }),
            ..ContainerInspectResponse::default()
        };
        let ours = Ours::of(&container).unwrap();
        assert_eq!(ours.spec, spec);
        report(&ours, &container, now + SETTLED)
    }

    fn running(started_at: &str) -> ContainerState {
        ContainerState {
            running: Some(true),
            started_at: Some(started_at.to_owned()),
            ..ContainerState::default()
        }
    }

    fn ended(exit_code: i64) -> ContainerState {
        let status = Some(ContainerStateStatusEnum::EXITED);
        ContainerState { status, exit_code: Some(exit_code), ..ContainerState::default() }
    }

    #[test]
    fn a_running_container_is_ready_at_its_address() {
        let deployment = told(running("1970-01-01T00:00:09Z"), 0, false);
        assert_eq!((deployment.status, deployment.ready, deployment.revision), (Status::Running, true, 3));
        assert_eq!(deployment.endpoint.as_deref(), Some("http://127.0.0.1:21007/mcp"));
        assert_eq!(deployment.instances[0].id, "0123456789ab");
    }

    #[test]
    fn a_server_that_was_just_started_again_has_to_prove_itself() {
        assert_eq!(told(running("1970-01-01T00:00:09Z"), 2, false).status, Status::Starting);
        assert_eq!(told(running("1970-01-01T00:00:00Z"), 2, false).status, Status::Running);
    }

    #[test]
    fn an_end_on_purpose_is_told_from_one_that_is_none() {
        assert_eq!(told(ended(143), 0, true).status, Status::Stopped);
        let failed = told(ended(3), 0, false);
        let failure = failed.failure.unwrap();
        assert_eq!((failure.reason, failure.exit_code), (FailureReason::CrashLoop, Some(3)));
        let restarting = ContainerState { restarting: Some(true), running: Some(true), ..ended(0) };
        assert_eq!(told(restarting, 1, false).failure.unwrap().reason, FailureReason::StdioImage);
        let killed = ContainerState { oom_killed: Some(true), ..ended(137) };
        assert_eq!(told(killed, 0, false).failure.unwrap().reason, FailureReason::OutOfMemory);
    }

    #[test]
    fn what_the_platform_refused_to_start_says_so() {
        let refused = |error: &str| ContainerState {
            status: Some(ContainerStateStatusEnum::CREATED),
            error: Some(error.to_owned()),
            ..ContainerState::default()
        };
        let reason = |error: &str| told(refused(error), 0, false).failure.unwrap().reason;
        assert_eq!(reason("exec: \"/nope\": no such file"), FailureReason::ImageInvalid);
        assert_eq!(
            reason("Bind for 127.0.0.1:21007 failed: port is already allocated"),
            FailureReason::PortConflict
        );
    }
}
