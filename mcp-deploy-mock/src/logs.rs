//! The stream of what simulated servers write.

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use mcp_deploy_core::{DeploymentName, Error, LogLine, LogOptions, LogStream, Result};

use crate::backend::MockBackend;
use crate::lines::{all, chosen};
use crate::watch::Changes;

/// The lines that the options choose, then, where they say so, those that come until the deployment is gone.
pub(crate) fn stream(backend: MockBackend, name: DeploymentName, options: LogOptions) -> LogStream {
    let reading =
        Reading { changes: Changes::new(backend.clone()), backend, name, options, next: None, over: false };
    let step = |mut reading: Reading| async move {
        let lines = reading.more().await?;
        Some((stream::iter(lines), reading))
    };
    stream::unfold(reading, step).flatten().boxed()
}

struct Reading {
    backend: MockBackend,
    changes: Changes,
    name: DeploymentName,
    options: LogOptions,
    /// The number of the next line; `None` before the first.
    next: Option<usize>,
    over: bool,
}

impl Reading {
    /// The next lines, maybe none; `None` at the end.
    async fn more(&mut self) -> Option<Vec<Result<LogLine>>> {
        if self.over {
            return None;
        }
        if self.next.is_some() {
            self.changes.next().await;
        }
        let record = match self.backend.record(&self.name) {
            Ok(record) => record,
            // Deleted while it was followed: there is nothing more to say.
            Err(Error::NotFound { .. }) if self.next.is_some() => return None,
            Err(error) => {
                self.over = true;
                return Some(vec![Err(error)]);
            }
        };
        let (let_go, kept) = all(&record, Timestamp::now(), self.backend.phases());
        let end = let_go + kept.len();
        let lines = match self.next {
            None => chosen(kept, self.options),
            Some(next) => kept.into_iter().skip(next.saturating_sub(let_go)).collect(),
        };
        self.next = Some(end.max(self.next.unwrap_or_default()));
        self.over = !self.options.follow;
        Some(lines.into_iter().map(Ok).collect())
    }
}
