//! What a container writes, line by line.

use std::collections::VecDeque;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as Bollard;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use mcp_deploy_core::{DeploymentName, Error, LogLine, LogOptions, LogSource, LogStream, Result};
use tokio::time::{Instant, sleep};

use crate::error::sorted;
use crate::handle::DockerBackend;
use crate::names;

/// Between a cut and the next try.
const PAUSE_AFTER_CUT: Duration = Duration::from_millis(500);
/// How long a daemon may be away while its log is followed.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn stream(backend: DockerBackend, name: DeploymentName, options: LogOptions) -> LogStream {
    let reading = Reading {
        backend,
        name,
        options,
        instance: String::new(),
        chunks: None,
        queue: VecDeque::new(),
        state: State::Begins,
    };
    stream::unfold(reading, |mut reading| async move { Some((reading.next().await?, reading)) }).boxed()
}

struct Reading {
    backend: DockerBackend,
    name: DeploymentName,
    /// What is still to be read: after a cut, what comes after the last line.
    options: LogOptions,
    instance: String,
    chunks: Option<BoxStream<'static, Result<LogOutput, Bollard>>>,
    queue: VecDeque<LogLine>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begins,
    /// Something came to an end that is followed: a container, or the connection to the daemon.
    Cut,
    Over,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<LogLine>> {
        loop {
            if let Some(line) = self.queue.pop_front() {
                return Some(Ok(line));
            }
            if self.state == State::Over {
                return None;
            }
            let Some(chunks) = &mut self.chunks else {
                match self.open().await {
                    Ok(true) => continue,
                    Ok(false) => return None,
                    Err(error) => {
                        self.state = State::Over;
                        return Some(Err(error));
                    }
                }
            };
            match chunks.next().await {
                Some(Ok(chunk)) => self.take_in(&chunk),
                _ if self.options.follow => (self.chunks, self.state) = (None, State::Cut),
                Some(Err(error)) => {
                    self.state = State::Over;
                    return Some(Err(sorted("read the log", error)));
                }
                None => return None,
            }
        }
    }

    fn take_in(&mut self, chunk: &LogOutput) {
        let lines = parse(chunk, &self.instance, self.options.since);
        if self.options.follow
            && let Some(last) = lines.iter().rev().find_map(|line| line.timestamp)
        {
            let after = last.checked_add(SignedDuration::from_nanos(1)).unwrap_or(last);
            self.options = LogOptions { since: Some(after), tail: None, ..self.options };
        }
        self.queue.extend(lines);
    }

    /// Opens the log of the container that runs now; whether there is one to follow.
    async fn open(&mut self) -> Result<bool> {
        let given_up = Instant::now() + PATIENCE;
        let is_cut = self.state == State::Cut;
        let found = loop {
            if is_cut {
                sleep(PAUSE_AFTER_CUT).await;
            }
            match self.backend.running(&self.name).await {
                Ok(found) => break found,
                Err(Error::NotFound { .. }) if is_cut => return Ok(false),
                Err(error) if is_cut && error.is_retryable() && Instant::now() < given_up => {
                    tracing::debug!(deployment = %self.name, %error, "the log is cut");
                }
                Err(error) => return Err(error),
            }
        };
        if is_cut && !found.is_up() {
            return Ok(false);
        }
        let LogOptions { tail, since, follow, previous: _ } = self.options;
        if tail == Some(0) && !follow {
            return Ok(false);
        }
        let mut query = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).follow(follow);
        if let Some(tail) = tail {
            query = query.tail(&tail.to_string());
        }
        if let Some(since) = since {
            query = query.since(i32::try_from(since.as_second()).unwrap_or(i32::MAX));
        }
        self.instance = names::short(&found.id);
        self.chunks = Some(self.backend.docker().await?.logs(&found.id, Some(query.build())).boxed());
        Ok(true)
    }
}

/// The lines of a chunk: the daemon sends one a chunk, and begins it with its time. The daemon knows `since` in
/// whole seconds, so what is earlier is left out here.
fn parse(chunk: &LogOutput, instance: &str, since: Option<Timestamp>) -> Vec<LogLine> {
    let (source, message) = match chunk {
        LogOutput::StdErr { message } => (LogSource::Stderr, message),
        LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
            (LogSource::Stdout, message)
        }
    };
    let text = String::from_utf8_lossy(message);
    let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n').map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (at, message) = line.split_once(' ').unwrap_or((line, ""));
        let (timestamp, message) = match at.parse() {
            Ok(timestamp) => (Some(timestamp), message),
            Err(_) => (None, line),
        };
        LogLine { timestamp, instance: instance.to_owned(), stream: source, message: message.to_owned() }
    });
    lines.filter(|line| since.is_none_or(|since| line.timestamp.is_none_or(|at| at >= since))).collect()
}
