//! What a daemon tells of a container, as a report: pure.

use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary,
    ContainerSummaryStateEnum, HealthStatusEnum,
};
use jiff::Timestamp;
use mcp_deploy_core::{Deployment, Failure, FailureReason, Instance, Replicas, RestartPolicy, Status};

use crate::container::restart_policy;
use crate::daemon::Place;
use crate::error::is_port_taken;
use crate::labels::{Ours, Placed};
use crate::names::{self, BACKEND};

/// How long a server that was started again has to run before it counts as well.
pub(crate) const SETTLED: Duration = Duration::from_secs(10);

/// The report on a running container of a listing; `None` where only an inspection tells what is the matter:
/// it does not run, or has started so lately that it may be starting again and again.
pub(crate) fn listed(ours: &Ours, container: &ContainerSummary, place: &Place) -> Option<Deployment> {
    let status = container.status.as_deref().unwrap_or_default();
    if container.state != Some(ContainerSummaryStateEnum::RUNNING) || started_lately(status) {
        return None;
    }
    let instance = Instance {
        id: names::short(container.id.as_deref().unwrap_or_default()),
        started_at: None,
        ready: true,
        restarts: None,
    };
    let unhealthy = status.contains("(unhealthy)").then(|| unhealthy(None));
    Some(serving(ours, instance, unhealthy, place))
}

/// Whether the daemon's words, as in `Up 4 seconds`, speak of less than [`SETTLED`].
fn started_lately(status: &str) -> bool {
    let up = status.strip_prefix("Up ").unwrap_or(status);
    let seconds = up.split_once(" second").and_then(|(count, _)| count.parse::<u64>().ok());
    up.starts_with("Less than a second") || seconds.is_some_and(|count| count <= SETTLED.as_secs())
}

/// The report on an inspected container.
pub(crate) fn report(
    ours: &Ours,
    container: &ContainerInspectResponse,
    place: &Place,
    now: Timestamp,
) -> Deployment {
    let state = container.state.clone().unwrap_or_default();
    let restarts = u32::try_from(container.restart_count.unwrap_or_default()).unwrap_or_default();
    let started_at = state.started_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    let instance = |ready| Instance {
        id: names::short(container.id.as_deref().unwrap_or_default()),
        started_at: started_at.filter(|at| at.as_second() > 0),
        ready,
        restarts: Some(restarts),
    };
    let with_failure = |status, failure| Deployment {
        status,
        failure: Some(failure),
        instances: vec![instance(false)],
        ..wanted(ours, 1)
    };
    match phase(ours, container, &state) {
        Phase::Serving => {
            let is_settled =
                restarts == 0 || started_at.is_none_or(|at| now.duration_since(at).unsigned_abs() >= SETTLED);
            if !is_settled {
                let instances = vec![instance(false)];
                return Deployment { status: Status::Starting, instances, ..wanted(ours, 1) };
            }
            let health = state.health.as_ref();
            let health = health.filter(|health| health.status == Some(HealthStatusEnum::UNHEALTHY));
            let last_words = health.map(|health| health.log.as_deref().and_then(<[_]>::last));
            let unhealthy = last_words.map(|last| unhealthy(last.and_then(|last| last.output.as_deref())));
            serving(ours, instance(true), unhealthy, place)
        }
        Phase::Paused => {
            let failure = Failure::new(FailureReason::Unknown, "somebody has paused the container");
            with_failure(Status::Degraded, failure.hint(format!("`docker unpause {}`", ours.spec.name)))
        }
        Phase::Created => wanted(ours, 1),
        Phase::Stopped => Deployment { status: Status::Stopped, ..wanted(ours, 0) },
        Phase::Removing => Deployment { status: Status::Deleting, ..wanted(ours, 0) },
        Phase::Ended => with_failure(Status::Failed, failure(ours, &state)),
    }
}

/// The report on a deployment in the moment between its current container and the next.
pub(crate) fn replaced(ours: &Ours) -> Deployment {
    Deployment { status: Status::Starting, ..wanted(ours, 1) }
}

/// What a container is at.
enum Phase {
    Created,
    Serving,
    Paused,
    /// It ended, or is between two starts.
    Ended,
    /// It was stopped through us, or was never to start.
    Stopped,
    Removing,
}

fn phase(ours: &Ours, container: &ContainerInspectResponse, state: &ContainerState) -> Phase {
    let is = |status| state.status == Some(status);
    if is(ContainerStateStatusEnum::REMOVING) || is(ContainerStateStatusEnum::DEAD) {
        return Phase::Removing;
    }
    if state.restarting == Some(true) {
        return Phase::Ended;
    }
    if state.paused == Some(true) {
        return Phase::Paused;
    }
    if state.running == Some(true) {
        return Phase::Serving;
    }
    let is_created = is(ContainerStateStatusEnum::CREATED);
    // What is stopped on purpose has another restart policy than its spec wants: labels cannot change.
    let policy = container.host_config.as_ref().and_then(|config| config.restart_policy.as_ref());
    let is_other = policy.is_some_and(|policy| policy.name != restart_policy(ours.spec.restart).name);
    if is_other || (is_created && ours.spec.replicas == 0) {
        return Phase::Stopped;
    }
    if is_created && start_error(state).is_none() { Phase::Created } else { Phase::Ended }
}

fn pending(ours: &Ours) -> Deployment {
    let Placed { revision, address: _, created_at, updated_at } = ours.placed;
    Deployment { revision, updated_at, ..Deployment::pending(&ours.spec, BACKEND, created_at) }
}

fn wanted(ours: &Ours, desired: u32) -> Deployment {
    Deployment { replicas: Replicas { desired, ready: 0 }, ..pending(ours) }
}

fn serving(ours: &Ours, instance: Instance, unhealthy: Option<Failure>, place: &Place) -> Deployment {
    let path = &ours.spec.transport.path;
    Deployment {
        status: if unhealthy.is_some() { Status::Degraded } else { Status::Running },
        ready: true,
        replicas: Replicas { desired: 1, ready: 1 },
        instances: vec![instance],
        endpoint: place.reach(ours.placed.address).map(|address| format!("http://{address}{path}")),
        failure: unhealthy,
        ..pending(ours)
    }
}

/// The image's own check is reported and no more: it may be wrong, and the server may well answer.
fn unhealthy(last_words: Option<&str>) -> Failure {
    let last_words = last_words.map(str::trim).filter(|words| !words.is_empty()).map(str::to_owned);
    Failure::new(FailureReason::Unhealthy, "the image's own health check fails")
        .events(last_words.into_iter().collect())
}

fn start_error(state: &ContainerState) -> Option<&str> {
    state.error.as_deref().filter(|error| !error.is_empty())
}

fn failure(ours: &Ours, state: &ContainerState) -> Failure {
    let exit_code = state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or_default();
    if state.oom_killed == Some(true) {
        return Failure::new(FailureReason::OutOfMemory, "the server used more memory than its limit")
            .exit_code(exit_code);
    }
    if let Some(error) = start_error(state) {
        return refused(reason_of_start(error), error);
    }
    // A daemon starts such a server again whenever it ends by itself.
    let is_kept_up = ours.spec.restart == RestartPolicy::Always && state.restarting != Some(true);
    if is_kept_up {
        let message =
            format!("somebody else has stopped the container; the server ended with exit code {exit_code}");
        return Failure::new(FailureReason::Unknown, message)
            .exit_code(exit_code)
            .hint(format!("`start {}` runs it again", ours.spec.name));
    }
    Failure::of_exit(exit_code)
}

/// The failure of a container that the daemon refuses to make or to start, in its words.
pub(crate) fn refused(reason: FailureReason, words: &str) -> Failure {
    let failure = Failure::new(reason, words);
    if reason != FailureReason::ConfigError {
        return failure;
    }
    failure.hint("change what the daemon names, in `resources` or `security` of the template or by an option of `deploy`")
}

/// Why the daemon refuses to make or to start a container.
pub(crate) fn reason_of_start(words: &str) -> FailureReason {
    let says = |known: &[&str]| known.iter().any(|known| words.contains(known));
    if is_port_taken(words) {
        FailureReason::PortConflict
    } else if says(&["no space left on device", "disk quota exceeded"]) {
        FailureReason::DiskFull
    } else if says(&[
        "exec:",
        "executable file",
        "exec format error",
        "no command specified",
        "specified platform",
        "passwd file",
    ]) {
        FailureReason::ImageInvalid
    } else if says(&["No such image"]) {
        FailureReason::ImageNotFound
    } else if says(&["mount"]) {
        FailureReason::Volume
    } else if says(&["CPUs", "emory limit", "capability"]) {
        FailureReason::ConfigError
    } else {
        FailureReason::Unknown
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerConfig, Health, HealthcheckResult, HostConfig};
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
        let address = "127.0.0.1:21007".parse().unwrap();
        let placed = Placed { revision: 3, address, created_at: now, updated_at: now };
        let body = container(&spec, placed, "net", &[]).unwrap();
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
        report(&ours, &container, &Place::Here, now + SETTLED)
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
        let restarting = |code| ContainerState { restarting: Some(true), running: Some(true), ..ended(code) };
        let failure = told(restarting(3), 1, false).failure.unwrap();
        assert_eq!((failure.reason, failure.exit_code), (FailureReason::CrashLoop, Some(3)));
        assert_eq!(told(restarting(0), 1, false).failure.unwrap().reason, FailureReason::StdioImage);
        // The daemon would have started it again: somebody has stopped it.
        let failure = told(ended(143), 0, false).failure.unwrap();
        assert_eq!((failure.reason, failure.exit_code), (FailureReason::Unknown, Some(143)));
        let killed = ContainerState { oom_killed: Some(true), ..ended(137) };
        assert_eq!(told(killed, 0, false).failure.unwrap().reason, FailureReason::OutOfMemory);
    }

    #[test]
    fn what_fails_its_own_health_check_is_degraded_and_ready_all_the_same() {
        let unhealthy = ContainerState {
            health: Some(Health {
                status: Some(HealthStatusEnum::UNHEALTHY),
                log: Some(vec![HealthcheckResult {
                    output: Some("no route\n".to_owned()),
                    ..HealthcheckResult::default()
                }]),
                ..Health::default()
            }),
            ..running("1970-01-01T00:00:00Z")
        };
        let deployment = told(unhealthy, 0, false);
        assert_eq!((deployment.status, deployment.ready), (Status::Degraded, true));
        assert_eq!(deployment.failure.unwrap().events, ["no route"]);
    }

    #[test]
    fn a_container_that_somebody_has_paused_says_how_to_go_on() {
        let paused = ContainerState { paused: Some(true), ..running("1970-01-01T00:00:00Z") };
        let deployment = told(paused, 0, false);
        assert_eq!((deployment.status, deployment.ready), (Status::Degraded, false));
        assert_eq!(deployment.failure.unwrap().hint.as_deref(), Some("`docker unpause plain-one`"));
    }

    #[test]
    fn only_what_has_run_for_a_while_is_reported_without_an_inspection() {
        for (status, lately) in [
            ("Up Less than a second", true),
            ("Up 1 second", true),
            ("Up 10 seconds (healthy)", true),
            ("Up 11 seconds", false),
            ("Up About a minute (unhealthy)", false),
            ("Up 3 hours", false),
        ] {
            assert_eq!(started_lately(status), lately, "{status}");
        }
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
        assert_eq!(reason("range of CPUs is from 0.01 to 2.00"), FailureReason::ConfigError);
        assert_eq!(reason("mkdir /var/lib/docker/x: no space left on device"), FailureReason::DiskFull);
        assert_eq!(reason("cgroup: cannot enter"), FailureReason::Unknown);
        assert_eq!(
            reason("error mounting \"/srv\" to rootfs at \"/srv\": no such file or directory"),
            FailureReason::Volume
        );
        assert_eq!(
            reason("Bind for 127.0.0.1:21007 failed: port is already allocated"),
            FailureReason::PortConflict
        );
    }
}
