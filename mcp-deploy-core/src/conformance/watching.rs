//! Watching: what is there, then `Synced`, then what happens.

use futures_util::StreamExt;
use tokio::time::timeout;

use super::site::Site;
use super::{Behaviour, CaseResult, Fixture, ensure};
use crate::{
    BoxError, DeleteOptions, DeployOptions, Deployment, DeploymentBackendExt, Error, Event, EventStream,
    Request, Selector, Status,
};

async fn next(events: &mut EventStream, fixture: &dyn Fixture) -> Result<Event, BoxError> {
    Ok(timeout(fixture.patience(), events.next()).await?.ok_or("the stream of events ended")??)
}

/// The order of events, from the first to `Gone`.
pub async fn watch_tells_what_is_there_then_synced_then_changes(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, _) = site.deployed(Behaviour::Well).await?;
    let mut events = site.backend.watch(Selector::named(&spec.name));
    let first = next(&mut events, fixture).await?;
    ensure!(
        matches!(&first, Event::Changed(deployment) if deployment.name == spec.name),
        "first comes {first:?}"
    );
    let second = next(&mut events, fixture).await?;
    ensure!(second == Event::Synced, "then comes {second:?}");

    site.backend.scale(&spec.name, 0).await?;
    loop {
        match next(&mut events, fixture).await? {
            Event::Changed(deployment) if deployment.status == Status::Stopped => break,
            Event::Changed(_) | Event::Synced => {}
            Event::Gone(_) => return Err("a stopped deployment is gone".into()),
        }
    }
    site.backend.delete(&spec.name, DeleteOptions { volumes: true }).await?;
    loop {
        match next(&mut events, fixture).await? {
            Event::Gone(name) => {
                ensure!(name == spec.name, "`{name}` is gone");
                return Ok(());
            }
            Event::Changed(_) | Event::Synced => {}
        }
    }
}

/// A watch of many tells of a new one, and of no stranger.
pub async fn watch_tells_of_a_new_deployment(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let spec = site.spec(Behaviour::Well, Request::default())?;
    let mut events = site.backend.watch(Selector::of_template(&spec.template.id));
    while next(&mut events, fixture).await? != Event::Synced {}
    site.backend.deploy(&spec, DeployOptions::default()).await?;
    loop {
        if let Event::Changed(deployment) = next(&mut events, fixture).await? {
            ensure!(deployment.template_id == spec.template.id, "a stranger is told of");
            if deployment.name == spec.name {
                break;
            }
        }
    }
    site.remove(&spec.name).await
}

/// Waiting ends when the deployment is ready, and when it never will be.
pub async fn wait_ready_ends_on_ready_and_on_failure(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let good = site.spec(Behaviour::Well, Request::default())?;
    site.backend.deploy(&good, DeployOptions::default()).await?;
    let ready: Deployment = timeout(fixture.patience(), site.backend.wait_ready(&good.name)).await??;
    ensure!(ready.ready, "wait_ready ended with {}", ready.status);
    site.remove(&good.name).await?;

    let bad = site.spec(Behaviour::Crashes(2), Request::default())?;
    site.backend.deploy(&bad, DeployOptions::default()).await?;
    let outcome = timeout(fixture.patience(), async {
        // A platform may call the first crash a start.
        site.backend.wait_for(&bad.name, |deployment| deployment.status == Status::Failed).await?;
        site.backend.wait_ready(&bad.name).await
    });
    let outcome = outcome.await?;
    ensure!(matches!(outcome, Err(Error::Failed { .. })), "it ended with {outcome:?}");
    site.remove(&bad.name).await?;

    let absent = timeout(fixture.patience(), site.backend.wait_ready(&Site::new_name()?)).await?;
    ensure!(matches!(absent, Err(Error::NotFound { .. })), "an absent name ended with {absent:?}");
    Ok(())
}
