//! The stream of what simulated servers write.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use mcp_deploy_core::{DeploymentName, Error, LogLine, LogOptions, LogStream, Result};

use crate::backend::MockBackend;
use crate::lines::{all, chosen};
use crate::watch::Changes;

/// The lines that the options choose, then, where they say so, those that come until the deployment is gone.
pub(crate) fn stream(backend: MockBackend, name: DeploymentName, options: LogOptions) -> LogStream {
    let reading =
        Reading { changes: Changes::new(backend.clone()), backend, name, options, told: None, over: false };
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
    /// How many lines of each instance are told; `None` before the first look.
    told: Option<BTreeMap<String, usize>>,
    over: bool,
}

impl Reading {
    /// The next lines, maybe none; `None` at the end.
    async fn more(&mut self) -> Option<Vec<Result<LogLine>>> {
        if self.over {
            return None;
        }
        if self.told.is_some() {
            self.changes.next().await;
        }
        let record = match self.backend.record(&self.name) {
            Ok(record) => record,
            // Deleted while it was followed: there is nothing more to say.
            Err(Error::NotFound { .. }) if self.told.is_some() => return None,
            Err(error) => {
                self.over = true;
                return Some(vec![Err(error)]);
            }
        };
        let lines = all(&record, Timestamp::now(), self.backend.phases());
        self.over = !self.options.follow;
        let news = match &self.told {
            None => chosen(lines.clone(), self.options),
            Some(told) => after(told, &lines),
        };
        let mut told = BTreeMap::new();
        for line in lines {
            *told.entry(line.instance).or_default() += 1;
        }
        self.told = Some(told);
        Some(news.into_iter().map(Ok).collect())
    }
}

/// The lines that follow those that are told, of each instance.
fn after(told: &BTreeMap<String, usize>, lines: &[LogLine]) -> Vec<LogLine> {
    let mut seen = BTreeMap::<&str, usize>::new();
    let mut news = Vec::new();
    for line in lines {
        let count = seen.entry(&line.instance).or_default();
        *count += 1;
        if *count > told.get(&line.instance).copied().unwrap_or_default() {
            news.push(line.clone());
        }
    }
    news
}
