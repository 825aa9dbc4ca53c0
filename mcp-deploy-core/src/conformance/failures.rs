//! Failures: each with its reason, its evidence and what became of what worked before.

use std::time::Duration;

use super::site::Site;
use super::{Behaviour, CaseResult, Fixture, ensure};
use crate::{BoxError, Deploy, Error, Failure, FailureReason, Recovery, Request, Status};

/// The failure that a first deploy of a behaviour ends with.
async fn failure_of(site: &Site<'_>, behaviour: Behaviour) -> Result<Failure, BoxError> {
    let spec = site.spec(behaviour, Request::default())?;
    let outcome = site.deploy(&spec).await;
    let Err(Error::Failed { failure, recovery, .. }) = outcome else {
        return Err(format!("deploy ended with {outcome:?}").into());
    };
    ensure!(recovery.is_none(), "a first deploy has nothing to go back to");
    ensure!(!failure.message.is_empty() && failure.hint.is_some(), "the failure says nothing: {failure:?}");
    // A backend that pulls before it creates has nothing to remove.
    if site.backend.get(&spec.name).await.is_ok() {
        site.remove(&spec.name).await?;
    }
    let objects = site.fixture.objects(&spec.name).await?;
    ensure!(objects.is_empty(), "the failed deploy left {}", objects.join(", "));
    Ok(*failure)
}

/// A crash comes with its exit code and the last lines.
pub async fn a_crash_is_failed_with_exit_code_and_last_lines(fixture: &dyn Fixture) -> CaseResult {
    let failure = failure_of(&Site::new(fixture), Behaviour::Crashes(42)).await?;
    ensure!(failure.reason == FailureReason::CrashLoop, "the reason is {}", failure.reason);
    ensure!(failure.exit_code == Some(42), "the exit code is {:?}", failure.exit_code);
    ensure!(
        failure.log_tail.iter().any(|line| line.contains("told to crash")),
        "the last lines are {:?}",
        failure.log_tail
    );
    Ok(())
}

/// An image that cannot be had is told apart from a server that does not work.
pub async fn a_bad_image_is_failed_with_its_reason(fixture: &dyn Fixture) -> CaseResult {
    let failure = failure_of(&Site::new(fixture), Behaviour::BadImage).await?;
    ensure!(
        matches!(
            failure.reason,
            FailureReason::ImagePull | FailureReason::ImageDenied | FailureReason::ImageInvalid
        ),
        "the reason is {}",
        failure.reason
    );
    Ok(())
}

/// What answers and is no MCP server is not taken for one.
pub async fn a_server_that_is_no_mcp_server_is_not_mcp(fixture: &dyn Fixture) -> CaseResult {
    let failure = failure_of(&Site::new(fixture), Behaviour::NotMcp).await?;
    ensure!(failure.reason == FailureReason::NotMcp, "the reason is {}", failure.reason);
    Ok(())
}

/// An image that only speaks stdio ends at once, and is called what it is.
pub async fn a_stdio_image_is_called_what_it_is(fixture: &dyn Fixture) -> CaseResult {
    let failure = failure_of(&Site::new(fixture), Behaviour::Stdio).await?;
    ensure!(failure.reason == FailureReason::StdioImage, "the reason is {}", failure.reason);
    ensure!(failure.exit_code == Some(0), "the exit code is {:?}", failure.exit_code);
    Ok(())
}

/// A server that takes its time is waited for.
pub async fn a_slow_server_is_waited_for(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, deployment) = site.deployed(Behaviour::Slow(Duration::from_secs(1))).await?;
    ensure!(deployment.mcp.is_some(), "nobody asked the server");
    site.remove(&spec.name).await
}

/// A server that never listens is a timeout that says so, in time.
pub async fn a_server_that_never_listens_is_a_timeout(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let spec = site.spec(Behaviour::NeverListens, Request::default())?;
    let wait = Some(Duration::from_secs(3));
    let outcome = site.manager.deploy(&spec, &Deploy { wait, ..site.options() }).await;
    let waited_in_vain = match &outcome {
        Err(Error::Timeout { last_seen, .. }) => last_seen.is_some(),
        Err(Error::Failed { failure, .. }) => failure.reason == FailureReason::Unhealthy,
        _ => false,
    };
    ensure!(waited_in_vain, "it ended with {outcome:?}");
    site.remove(&spec.name).await
}

/// An update that does not work is undone, and the error says both.
pub async fn a_failed_update_goes_back_and_says_why(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let request = Request::default().env("GENERATION", "1").env("API_TOKEN", "first");
    let good = site.spec(Behaviour::EchoesEnvironment, request)?;
    let before = site.deploy(&good).await?.deployment;
    let bad = site.spec(Behaviour::Crashes(7), Request::default().name(good.name.as_str()))?;
    let outcome = site.deploy(&bad).await;
    let Err(Error::Failed { failure, recovery, .. }) = &outcome else {
        return Err(format!("the update ended with {outcome:?}").into());
    };
    ensure!(failure.exit_code == Some(7), "the failure is not that of the update: {failure:?}");
    ensure!(*recovery == Some(Recovery::Restored), "it went back: {recovery:?}");
    let after = site.backend.get(&good.name).await?;
    ensure!(after.status == Status::Running && after.endpoint == before.endpoint, "it is {}", after.status);
    let environment = site.environment(&good.name).await?;
    ensure!(
        environment.get("API_TOKEN").is_some_and(|value| value == "first"),
        "the spec before is not whole"
    );
    site.remove(&good.name).await
}

/// A failed update of a stopped deployment leaves it stopped.
pub async fn a_failed_update_of_a_stopped_deployment_leaves_it_stopped(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (good, _) = site.deployed(Behaviour::Well).await?;
    site.backend.scale(&good.name, 0).await?;
    site.manager.wait(None, &good.name, fixture.patience()).await?;
    let bad = site.spec(Behaviour::Crashes(7), Request::default().name(good.name.as_str()))?;
    let outcome = site.deploy(&bad).await;
    ensure!(
        matches!(outcome, Err(Error::Failed { recovery: Some(Recovery::Restored), .. })),
        "it ended with {outcome:?}"
    );
    let after = site.backend.get(&good.name).await?;
    ensure!(after.status == Status::Stopped, "it is {}", after.status);
    site.remove(&good.name).await
}
