//! The evidence of a failure: the last lines that its server wrote.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;

use crate::{DeploymentBackend, DeploymentName, Error, Failure, LogOptions};

/// How many of the last log lines belong to a failure.
const LOG_TAIL_LINES: usize = 20;
/// How long the log may take to say them.
const LOG_TAIL_PATIENCE: Duration = Duration::from_secs(2);

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
    let mut lines = messages(backend, name, now).await;
    if lines.len() < LOG_TAIL_LINES && backend.capabilities().previous_logs {
        // What was just started again has said little yet.
        let mut before = messages(backend, name, LogOptions { previous: true, ..now }).await;
        before.append(&mut lines);
        lines = before.split_off(before.len().saturating_sub(LOG_TAIL_LINES));
    }
    lines
}

async fn messages(
    backend: &dyn DeploymentBackend,
    name: &DeploymentName,
    options: LogOptions,
) -> Vec<String> {
    let lines = backend.logs(name, options);
    let lines = lines.filter_map(async |line| line.ok().map(|line| line.message)).collect::<Vec<_>>();
    timeout(LOG_TAIL_PATIENCE, lines).await.unwrap_or_default()
}
