//! What simulated servers write: pure functions of a record and the time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mcp_deploy_core::{LogLine, LogOptions, LogSource};

use crate::faults::Phases;
use crate::record::{Record, Started};
use crate::status;

/// How many lines of instances that are no more are kept.
pub(crate) const KEPT_LINES: usize = 1000;
/// How many lines belong to a failure.
pub(crate) const TAIL_LINES: usize = 20;
/// How many crashes in a row are told.
const TOLD_CRASHES: u32 = 100;

/// What an instance has written until now.
pub(crate) fn of_instance(
    record: &Record,
    instance: &Started,
    now: Timestamp,
    phases: Phases,
) -> Vec<LogLine> {
    let faults = &record.faults;
    let at = status::started_at(faults, instance, phases);
    if faults.pull_error.is_some() || faults.port_conflict || now < at {
        return Vec::new();
    }
    let Some(crash) = &faults.crash else {
        let message = format!("listening on 0.0.0.0:{}", record.spec.0.transport.port);
        return vec![line(instance, at, LogSource::Stdout, &message)];
    };
    let restarts = status::restarts(record, instance, now, phases).min(TOLD_CRASHES);
    let starts = (0..=restarts).map(|restart| at + status::RESTART_PAUSE * restart);
    starts
        .flat_map(|at| crash.log.iter().map(move |message| line(instance, at, LogSource::Stderr, message)))
        .collect()
}

/// What an instance writes when it is told to stop.
pub(crate) fn of_stop(
    record: &Record,
    instance: &Started,
    now: Timestamp,
    phases: Phases,
) -> Option<LogLine> {
    let serves = status::progress(&record.faults, instance, now, phases) == status::Progress::Ready;
    let then = if record.faults.ignores_sigterm { "ignoring it" } else { "stopping" };
    let message = format!("received SIGTERM, {then}");
    serves.then(|| line(instance, now, LogSource::Stdout, &message))
}

fn line(instance: &Started, at: Timestamp, stream: LogSource, message: &str) -> LogLine {
    LogLine { timestamp: Some(at), instance: instance.id.clone(), stream, message: message.to_owned() }
}

/// All lines that are kept; those of one instance are in their order and complete.
pub(crate) fn all(record: &Record, now: Timestamp, phases: Phases) -> Vec<LogLine> {
    let mut lines = record.written.clone();
    lines.extend(record.instances.iter().flat_map(|instance| of_instance(record, instance, now, phases)));
    lines
}

/// Lets go of the oldest instances' lines until no more are left than are kept.
pub(crate) fn keep_the_last(written: &mut Vec<LogLine>) {
    while written.len() > KEPT_LINES {
        let oldest = written[0].instance.clone();
        written.retain(|line| line.instance != oldest);
    }
}

/// The lines that the options choose.
pub(crate) fn chosen(lines: Vec<LogLine>, options: LogOptions) -> Vec<LogLine> {
    let LogOptions { tail, since, follow: _, previous: _ } = options;
    let mut lines: Vec<LogLine> = lines
        .into_iter()
        .filter(|line| since.is_none_or(|since| line.timestamp.is_none_or(|at| at >= since)))
        .collect();
    let Some(tail) = tail else { return lines };
    // The last ones of each instance.
    let mut seen = BTreeMap::<String, usize>::new();
    lines.reverse();
    lines.retain(|line| {
        let count = seen.entry(line.instance.clone()).or_default();
        *count += 1;
        *count <= tail
    });
    lines.reverse();
    lines
}
