//! What a container writes, line by line.

use std::collections::VecDeque;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use mcp_deploy_core::{DeploymentName, LogLine, LogOptions, LogSource, LogStream, Result};

use crate::backend::DockerBackend;
use crate::error::sorted;

pub(crate) fn stream(backend: DockerBackend, name: DeploymentName, options: LogOptions) -> LogStream {
    let opened = async move {
        let found = async {
            let (_, container) = backend.inspect_ours(&name).await?;
            Ok((backend.docker()?.clone(), container.id.unwrap_or_default()))
        };
        match found.await {
            Ok((docker, id)) => lines(&docker, &id, options).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        }
    };
    stream::once(opened).flatten().boxed()
}

fn lines(
    docker: &Docker,
    id: &str,
    options: LogOptions,
) -> impl futures_util::Stream<Item = Result<LogLine>> + use<> {
    let LogOptions { tail, since, follow } = options;
    let mut query = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).follow(follow);
    if let Some(tail) = tail {
        query = query.tail(&tail.to_string());
    }
    if let Some(since) = since {
        query = query.since(i32::try_from(since.as_second()).unwrap_or(i32::MAX));
    }
    let instance: String = id.chars().take(12).collect();
    let chunks = docker.logs(id, Some(query.build())).boxed();
    let state = (chunks, VecDeque::new(), instance, tail == Some(0) && !follow);
    stream::unfold(state, move |(mut chunks, mut queue, instance, over)| async move {
        loop {
            if over {
                return None;
            }
            if let Some(line) = queue.pop_front() {
                return Some((line, (chunks, queue, instance, over)));
            }
            match chunks.next().await? {
                Ok(chunk) => queue.extend(parse(&chunk, &instance, since).into_iter().map(Ok)),
                Err(error) => queue.push_back(Err(sorted("read the log", error))),
            }
        }
    })
}

/// The lines of a chunk; the daemon counts `since` in whole seconds, so what is earlier is left out here.
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
