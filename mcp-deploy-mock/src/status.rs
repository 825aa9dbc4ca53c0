//! Where a simulated deployment stands at a moment.

use std::time::Duration;

use jiff::Timestamp;
use mcp_deploy_core::{Deployment, Failure, FailureReason, Instance, Replicas, RestartPolicy, Status};

use crate::faults::{Crash, Faults, Phases};
use crate::lines;
use crate::record::{BACKEND, Record, Started};

/// Between two restarts of a server that crashes.
pub(crate) const RESTART_PAUSE: Duration = Duration::from_secs(10);

/// How far an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Pulling,
    Starting,
    Ready,
    Failed,
}

/// How long after its start an instance serves, or fails.
fn starts_after(faults: &Faults, phases: Phases) -> Duration {
    phases.pull + phases.start + Duration::from_millis(faults.slow_start_ms)
}

pub(crate) fn progress(faults: &Faults, instance: &Started, now: Timestamp, phases: Phases) -> Progress {
    let Faults { pull_error, crash, never_ready, port_conflict, .. } = faults;
    let age = age(instance, now);
    if age < phases.pull {
        Progress::Pulling
    } else if pull_error.is_some() || *port_conflict {
        Progress::Failed
    } else if age < starts_after(faults, phases) || *never_ready {
        Progress::Starting
    } else if crash.is_some() {
        Progress::Failed
    } else {
        Progress::Ready
    }
}

/// When an instance has started: serves, or crashes for the first time.
pub(crate) fn started_at(faults: &Faults, instance: &Started, phases: Phases) -> Timestamp {
    instance.at.checked_add(starts_after(faults, phases)).unwrap_or(Timestamp::MAX)
}

fn age(instance: &Started, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(instance.at)).unwrap_or_default()
}

/// How often the process of an instance was started again.
pub(crate) fn restarts(record: &Record, instance: &Started, now: Timestamp, phases: Phases) -> u32 {
    let restarted = match record.spec.0.restart {
        RestartPolicy::Always => record.faults.crash.is_some(),
        RestartPolicy::OnFailure => record.faults.crash.as_ref().is_some_and(|crash| crash.exit_code != 0),
        RestartPolicy::Never => false,
    };
    if !restarted || progress(&record.faults, instance, now, phases) != Progress::Failed {
        return 0;
    }
    let since = age(instance, now).saturating_sub(starts_after(&record.faults, phases));
    u32::try_from(since.as_secs() / RESTART_PAUSE.as_secs()).unwrap_or(u32::MAX)
}

/// The next moment at which a report on the record may be another one, though nobody touched it.
pub(crate) fn next_change(record: &Record, now: Timestamp, phases: Phases) -> Option<Duration> {
    let boundaries = |instance: &Started| {
        let starts = starts_after(&record.faults, phases);
        let age = age(instance, now);
        [phases.pull, starts, starts + RESTART_PAUSE * (1 + restarts(record, instance, now, phases))]
            .into_iter()
            .filter(move |boundary| *boundary > age)
            .map(move |boundary| boundary.saturating_sub(age))
            .min()
    };
    record.instances.iter().filter_map(boundaries).min()
}

/// What a report says.
pub(crate) fn report(record: &Record, now: Timestamp, phases: Phases) -> Deployment {
    let progresses: Vec<Progress> =
        record.instances.iter().map(|instance| progress(&record.faults, instance, now, phases)).collect();
    let ready = progresses.iter().filter(|progress| **progress == Progress::Ready).count();
    let ready = u32::try_from(ready).unwrap_or(u32::MAX);
    let status = status(&progresses, record.desired, ready);
    let instance = |(instance, progress): (&Started, &Progress)| Instance {
        id: instance.id.clone(),
        started_at: matches!(progress, Progress::Ready | Progress::Failed)
            .then(|| started_at(&record.faults, instance, phases)),
        ready: *progress == Progress::Ready,
        restarts: Some(restarts(record, instance, now, phases)),
    };
    Deployment {
        status,
        ready: record.desired > 0 && ready == record.desired,
        replicas: Replicas { desired: record.desired, ready },
        instances: record.instances.iter().zip(&progresses).map(instance).collect(),
        revision: record.revision,
        created_at: record.created_at,
        updated_at: record.updated_at,
        failure: (status == Status::Failed).then(|| failure(record, now, phases)),
        ..Deployment::pending(&record.spec.0, BACKEND, now)
    }
}

fn status(progresses: &[Progress], desired: u32, ready: u32) -> Status {
    if desired == 0 {
        Status::Stopped
    } else if ready == desired {
        Status::Running
    } else if ready > 0 {
        Status::Degraded
    } else if progresses.contains(&Progress::Failed) {
        Status::Failed
    } else if progresses.contains(&Progress::Starting) {
        Status::Starting
    } else {
        Status::Pending
    }
}

fn failure(record: &Record, now: Timestamp, phases: Phases) -> Failure {
    let Faults { pull_error, crash, port_conflict, .. } = &record.faults;
    let spec = &record.spec.0;
    if let Some(reason) = pull_error {
        let message = format!("the image `{}` cannot be pulled: {reason}", spec.image);
        let event = format!("Failed to pull image \"{}\": {reason}", spec.image);
        return Failure::new(FailureReason::ImagePull, message).events(vec![event]);
    }
    if *port_conflict {
        let message = format!("the port {} is taken", spec.transport.port);
        return Failure::new(FailureReason::PortConflict, message);
    }
    let Crash { exit_code, log: _ } = crash.clone().unwrap_or_default();
    let written =
        record.instances.iter().flat_map(|instance| lines::of_instance(record, instance, now, phases));
    let mut tail: Vec<String> = written.map(|line| line.message).collect();
    let too_many = tail.len().saturating_sub(lines::TAIL_LINES);
    tail.drain(..too_many);
    Failure::of_exit(exit_code).log_tail(tail)
}

/// Whether something listens at the endpoint.
pub(crate) fn listens(record: &Record, now: Timestamp, phases: Phases) -> bool {
    !record.faults.never_listens
        && record
            .instances
            .iter()
            .any(|instance| progress(&record.faults, instance, now, phases) == Progress::Ready)
}
