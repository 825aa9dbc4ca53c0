//! What the pods of a deployment write, line by line.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{AsyncBufReadExt, StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use mcp_deploy_core::{
    DeploymentName, Event, EventStream, LogLine, LogOptions, LogSource, LogStream, Result, Selector,
};
use tokio::time::sleep;

use crate::error::{code, sorted};
use crate::handle::KubernetesBackend;
use crate::{labels, manifest, time, watch};

/// Between the end of a run and the next look at its instance.
const PAUSE: Duration = Duration::from_millis(500);

/// How often a log is asked for that has just gone.
const TRIES: u32 = 6;
/// What a kubelet puts in the place of such a log.
const LET_GO: &str = "unable to retrieve container logs";

pub(crate) fn stream(backend: KubernetesBackend, name: DeploymentName, options: LogOptions) -> LogStream {
    let opening = stream::once(async move {
        let reading = if options.follow && !options.previous {
            follow(backend, name, options).await
        } else {
            read(&backend, &name, options).await
        };
        reading.unwrap_or_else(|error| stream::iter([Err(error)]).boxed())
    });
    opening.flatten().boxed()
}

/// What there is, one pod after the other, the oldest first.
async fn read(backend: &KubernetesBackend, name: &DeploymentName, options: LogOptions) -> Result<LogStream> {
    backend.found(name).await?;
    let pods: Api<Pod> = backend.objects().await?;
    let of_name = labels::of_name(name);
    let mut found = pods.list(&of_name).await.map_err(|error| sorted("list pods", error))?.items;
    found.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|at| at.0));
    let names = found.into_iter().filter_map(|pod| pod.metadata.name);
    let logs = stream::iter(names).then(move |pod| read_one(pods.clone(), pod, options));
    Ok(logs.map(|opened| opened.unwrap_or_else(|error| stream::iter([Err(error)]).boxed())).flatten().boxed())
}

/// What there is in one pod. The run before is asked for again where the kubelet has just let go of it, because
/// another run has ended since.
async fn read_one(pods: Api<Pod>, pod: String, options: LogOptions) -> Result<LogStream> {
    for _ in 0..TRIES {
        let mut lines = open(pods.clone(), pod.clone(), options).await?.peekable();
        let first = Pin::new(&mut lines).peek().await;
        let is_let_go =
            first.is_some_and(|line| line.as_ref().is_ok_and(|line| line.message.starts_with(LET_GO)));
        if !(options.previous && is_let_go) {
            return Ok(lines.boxed());
        }
        sleep(PAUSE).await;
    }
    Ok(stream::empty().boxed())
}

/// The lines of one run in one pod; none where it has not run yet.
async fn open(pods: Api<Pod>, pod: String, options: LogOptions) -> Result<LogStream> {
    let LogOptions { tail, since, follow, previous } = options;
    let params = LogParams {
        container: Some(manifest::CONTAINER.to_owned()),
        follow: follow && !previous,
        previous,
        since_time: since.map(time::whole_second),
        tail_lines: tail.map(|tail| i64::try_from(tail).unwrap_or(i64::MAX)),
        timestamps: true,
        ..LogParams::default()
    };
    match pods.log_stream(&pod, &params).await {
        Ok(lines) => {
            let lines = lines.lines().map(move |line| match line {
                Ok(line) => Ok(parse(&line, &pod)),
                Err(error) => Err(sorted("read the log", kube::Error::ReadEvents(error))),
            });
            let is_wanted = move |line: &Result<LogLine>| {
                let at = line.as_ref().ok().and_then(|line| line.timestamp);
                // The API knows whole seconds.
                since.is_none_or(|since| at.is_none_or(|at| at >= since))
            };
            Ok(lines.filter(move |line| std::future::ready(is_wanted(line))).boxed())
        }
        // It has not started, has no run before, or is gone by now.
        Err(error) if matches!(code(&error), Some(400 | 404)) => Ok(stream::empty().boxed()),
        Err(error) => Err(sorted("read the log", error)),
    }
}

fn parse(line: &str, pod: &str) -> LogLine {
    let (at, message) = line.split_once(' ').unwrap_or((line, ""));
    let (timestamp, message) = match at.parse() {
        Ok(timestamp) => (Some(timestamp), message),
        Err(_) => (None, line),
    };
    LogLine {
        timestamp,
        instance: pod.to_owned(),
        // The API has one stream for both.
        stream: LogSource::Stdout,
        message: message.strip_suffix('\r').unwrap_or(message).to_owned(),
    }
}

async fn follow(backend: KubernetesBackend, name: DeploymentName, options: LogOptions) -> Result<LogStream> {
    backend.found(&name).await?;
    let following = Following {
        pods: backend.objects().await?,
        events: watch::stream(backend, Selector::named(&name)),
        options,
        instances: BTreeMap::new(),
        runs: SelectAll::new(),
        is_gone: false,
    };
    let step = |mut following: Following| async move { Some((following.next().await?, following)) };
    Ok(stream::unfold(following, step).boxed())
}

/// The runs of a deployment, through restarts and rollouts, until it is gone.
struct Following {
    pods: Api<Pod>,
    events: EventStream,
    options: LogOptions,
    /// How far each instance was read, and whether it is being read.
    instances: BTreeMap<String, Read>,
    runs: SelectAll<BoxStream<'static, Said>>,
    is_gone: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Read {
    is_open: bool,
    /// After this line.
    last: Option<Timestamp>,
}

/// What a run says: a line, or that it came to an end.
enum Said {
    Line(Result<LogLine>),
    End(String),
}

impl Following {
    async fn next(&mut self) -> Option<Result<LogLine>> {
        loop {
            if self.is_gone && self.runs.is_empty() {
                return None;
            }
            let is_waiting = !self.is_gone && self.instances.values().any(|read| !read.is_open);
            let look_again =
                async { if is_waiting { sleep(PAUSE).await } else { std::future::pending().await } };
            tokio::select! {
                said = self.runs.next(), if !self.runs.is_empty() => match said {
                    None => {}
                    Some(Said::Line(Ok(line))) => {
                        if let Some(read) = self.instances.get_mut(&line.instance) {
                            read.last = line.timestamp.or(read.last);
                        }
                        return Some(Ok(line));
                    }
                    Some(Said::Line(Err(error))) if error.is_retryable() => tracing::debug!(%error, "the log is cut"),
                    Some(Said::Line(Err(error))) => return Some(Err(error)),
                    Some(Said::End(instance)) => {
                        if let Some(read) = self.instances.get_mut(&instance) {
                            read.is_open = false;
                        }
                    }
                },
                event = self.events.next(), if !self.is_gone => match event {
                    Some(Ok(Event::Changed(deployment))) => {
                        let now = deployment.instances.iter().map(|instance| instance.id.clone());
                        let now = now.map(|id| (id.clone(), self.instances.get(&id).copied().unwrap_or_default()));
                        self.instances = now.collect();
                        self.open_runs().await;
                    }
                    Some(Ok(Event::Synced)) => {}
                    Some(Ok(Event::Gone(_))) | None => self.is_gone = true,
                    Some(Err(error)) if error.is_retryable() => tracing::debug!(%error, "the watch goes on"),
                    Some(Err(error)) => return Some(Err(error)),
                },
                () = look_again => self.open_runs().await,
            }
        }
    }

    /// Opens the log of each instance that is not being read.
    async fn open_runs(&mut self) {
        let is_first = self.instances.values().all(|read| read.last.is_none());
        for (instance, read) in self.instances.iter_mut().filter(|(_, read)| !read.is_open) {
            let options = match read.last {
                // A line after the last one, in the API's whole seconds and our exact ones.
                Some(last) => LogOptions {
                    since: last.checked_add(Duration::from_nanos(1)).ok(),
                    tail: None,
                    ..self.options
                },
                None if is_first => self.options,
                None => LogOptions { tail: None, ..self.options },
            };
            let Ok(lines) = open(self.pods.clone(), instance.clone(), options).await else { continue };
            read.is_open = true;
            let end = Said::End(instance.clone());
            self.runs.push(lines.map(Said::Line).chain(stream::once(std::future::ready(end))).boxed());
        }
    }
}
