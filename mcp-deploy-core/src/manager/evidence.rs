//! The evidence of a failure: the last lines that its server wrote.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::sleep;

use crate::{DeploymentBackend, DeploymentName, Error, Failure, LogOptions, LogStream};

/// How many of the last log lines belong to a failure.
const LOG_TAIL_LINES: usize = 20;
/// How long the log may take to say them: a busy machine needs seconds, and without them a failure says little.
const LOG_TAIL_PATIENCE: Duration = Duration::from_secs(10);

/// An error that says why a deployment failed, with the last log lines.
pub(super) async fn with_log_tail(backend: &dyn DeploymentBackend, mut error: Error) -> Error {
    if let Error::Failed { name, failure, .. } = &mut error {
        **failure = with_last_lines(backend, name, (**failure).clone()).await;
    }
    error
}

/// A failure whose backend told no log lines gets the last ones there are.
pub(super) async fn with_last_lines(
    backend: &dyn DeploymentBackend,
    name: &DeploymentName,
    failure: Failure,
) -> Failure {
    if !failure.log_tail.is_empty() {
        return failure;
    }
    let lines = last_lines(backend, name).await;
    failure.log_tail(lines)
}

/// The last lines that a server wrote, as far as they can be had.
pub(super) async fn last_lines(backend: &dyn DeploymentBackend, name: &DeploymentName) -> Vec<String> {
    let now = LogOptions { tail: Some(LOG_TAIL_LINES), ..LogOptions::default() };
    let mut lines = said(backend.logs(name, now)).await;
    if lines.len() < LOG_TAIL_LINES && backend.capabilities().previous_logs {
        // What was just started again has said little yet.
        let mut before = said(backend.logs(name, LogOptions { previous: true, ..now })).await;
        before.append(&mut lines);
        lines = before.split_off(before.len().saturating_sub(LOG_TAIL_LINES));
    }
    lines
}

/// What a log says within its time.
async fn said(log: LogStream) -> Vec<String> {
    let lines = log.take_until(sleep(LOG_TAIL_PATIENCE));
    lines.filter_map(async |line| line.ok().map(|line| line.message)).collect().await
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::{LogLine, LogSource};

    #[tokio::test(start_paused = true)]
    async fn what_a_log_said_before_it_hung_is_kept() {
        let line = LogLine {
            timestamp: None,
            instance: "one".to_owned(),
            stream: LogSource::Stderr,
            message: "fatal: no API key".to_owned(),
        };
        let hangs = stream::iter([Ok(line)]).chain(stream::pending()).boxed();
        assert_eq!(said(hangs).await, ["fatal: no API key"]);
    }
}
