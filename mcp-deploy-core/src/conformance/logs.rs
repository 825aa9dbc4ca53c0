//! Logs: the lines that were asked for, and no stream that outlives its reader.

use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::time::timeout;

use super::site::Site;
use super::{Behaviour, CaseResult, Fixture, ensure};
use crate::{BoxError, DeploymentName, Error, LogLine, LogOptions, Request, Status};

async fn lines(
    site: &Site<'_>,
    name: &DeploymentName,
    options: LogOptions,
) -> Result<Vec<LogLine>, BoxError> {
    let lines = site.backend.logs(name, options).collect::<Vec<_>>();
    let lines = timeout(site.fixture.patience(), lines).await?;
    Ok(lines.into_iter().collect::<Result<_, _>>()?)
}

/// Tail gives the last lines of an instance, since gives those from a moment on. Only the instance that answered
/// is looked at: a platform may run another one for a while, in its place or beside it.
pub async fn tail_and_since_choose_lines(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, deployed) = site.deployed(Behaviour::Well).await?;
    let instance = deployed.instances.iter().find(|instance| instance.ready);
    let instance = instance.ok_or_else(|| format!("none is ready of {:?}", deployed.instances))?;
    let of_instance = async |options| {
        let mut lines = lines(&site, &spec.name, options).await?;
        lines.retain(|line| line.instance == instance.id);
        Ok::<_, BoxError>(lines)
    };
    let all = of_instance(LogOptions::default()).await?;
    ensure!(all.iter().any(|line| line.message.contains("listening on")), "the log is {all:?}");
    let last = of_instance(LogOptions { tail: Some(1), ..LogOptions::default() }).await?;
    ensure!(last.len() == 1 && last.last() == all.last(), "the last line is {last:?}, the log was {all:?}");
    let none = of_instance(LogOptions { tail: Some(0), ..LogOptions::default() }).await?;
    ensure!(none.is_empty(), "no line is {none:?}");
    let tomorrow = Timestamp::now().checked_add(Duration::from_hours(24))?;
    let later = of_instance(LogOptions { since: Some(tomorrow), ..LogOptions::default() }).await?;
    ensure!(later.is_empty(), "tomorrow's lines are {later:?}");
    let yesterday = Timestamp::now().checked_sub(Duration::from_hours(24))?;
    let since = of_instance(LogOptions { since: Some(yesterday), ..LogOptions::default() }).await?;
    ensure!(since == all, "the lines since yesterday are {since:?}, the log was {all:?}");
    site.remove(&spec.name).await
}

/// Following waits for more, and ends when nobody reads.
pub async fn follow_goes_on_until_it_is_dropped(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, _) = site.deployed(Behaviour::Well).await?;
    let mut lines = site.backend.logs(&spec.name, LogOptions { follow: true, ..LogOptions::default() });
    let first = timeout(fixture.patience(), lines.next()).await?;
    ensure!(first.is_some_and(|line| line.is_ok()), "there is no first line");
    let more = timeout(Duration::from_millis(300), async { while lines.next().await.is_some() {} }).await;
    ensure!(more.is_err(), "following ended by itself");
    drop(lines);
    site.remove(&spec.name).await
}

/// The log of a server that crashed says why.
pub async fn a_crashed_deployment_has_logs(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let spec = site.spec(Behaviour::Crashes(5), Request::default())?;
    ensure!(site.deploy(&spec).await.is_err(), "a crashing server was deployed");
    let lines = lines(&site, &spec.name, LogOptions::default()).await?;
    ensure!(lines.iter().any(|line| line.message.contains("told to crash")), "the log is {lines:?}");
    site.remove(&spec.name).await
}

/// The lines of the run before come alone, or are refused.
pub async fn the_run_before_is_told_apart_or_refused(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let spec = site.spec(Behaviour::Crashes(6), Request::default())?;
    ensure!(site.deploy(&spec).await.is_err(), "a crashing server was deployed");
    let options = LogOptions { previous: true, ..LogOptions::default() };
    let lines = site.backend.logs(&spec.name, options).collect::<Vec<_>>();
    let lines = timeout(fixture.patience(), lines).await?;
    if site.backend.capabilities().previous_logs {
        let lines = lines.into_iter().collect::<Result<Vec<_>, _>>()?;
        let told = lines.iter().filter(|line| line.message.contains("told to crash")).count();
        ensure!(told == 1, "the run before wrote {lines:?}");
    } else {
        ensure!(matches!(lines.as_slice(), [Err(Error::Unsupported { .. })]), "it says {lines:?}");
    }
    site.remove(&spec.name).await
}

/// The log outlives its instances, where the backend keeps it.
pub async fn a_stopped_deployment_has_logs(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, _) = site.deployed(Behaviour::Well).await?;
    site.backend.scale(&spec.name, 0).await?;
    let stopped = site.manager.wait(None, &spec.name, fixture.patience()).await?;
    ensure!(stopped.status == Status::Stopped, "it is {}", stopped.status);
    let lines = lines(&site, &spec.name, LogOptions::default()).await?;
    ensure!(lines.iter().any(|line| line.message.contains("listening on")), "the log is {lines:?}");
    site.remove(&spec.name).await
}
