//! Deploying: making it so, once, at once, or not at all.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::site::{Site, instance_ids, is_not_found};
use super::{Behaviour, CaseResult, Fixture, ensure};
use crate::{
    BoxError, Change, DeleteOptions, Deploy, DeployOptions, Deployed, Error, Request, Selector, Status,
};

/// How many deploys at once.
const CROWD: usize = 20;
/// Between two tries to remove what a dropped deploy may still bring.
const PAUSE: Duration = Duration::from_millis(100);

/// What deploy returns is what get reports: running, ready, answering.
pub async fn deploy_then_get_agree(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let spec = site.spec(Behaviour::Well, Request::default())?;
    let Deployed { deployment, change } = site.deploy(&spec).await?;
    ensure!(change == Change::Created, "the first deploy says {change:?}");
    ensure!(deployment.status == Status::Running && deployment.ready, "it is {}", deployment.status);
    ensure!(deployment.mcp.is_some(), "nobody asked the server");
    let got = site.backend.get(&spec.name).await?;
    ensure!(got.name == spec.name && got.template_id == spec.template.id, "get reports another deployment");
    ensure!(got.image == spec.image, "the image is `{}`", got.image);
    ensure!(got.backend == site.backend.name(), "the backend is `{}`", got.backend);
    ensure!(
        got.endpoint == deployment.endpoint,
        "the endpoint is {:?}, then {:?}",
        deployment.endpoint,
        got.endpoint
    );
    ensure!(instance_ids(&got) == instance_ids(&deployment), "the instances differ");
    ensure!(got.revision == 1, "the first revision is {}", got.revision);
    site.remove(&spec.name).await
}

/// The same spec again: same instances, no restart, same revision.
pub async fn deploying_the_same_spec_twice_changes_nothing(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, before) = site.deployed(Behaviour::Well).await?;
    let Deployed { deployment: after, change } = site.deploy(&spec).await?;
    ensure!(change == Change::Unchanged, "the second deploy says {change:?}");
    ensure!(instance_ids(&before) == instance_ids(&after), "the instances were replaced");
    ensure!(before.revision == after.revision, "there is a new revision");
    ensure!(
        after.instances.iter().all(|instance| instance.restarts.unwrap_or(0) == 0),
        "an instance was restarted"
    );
    site.remove(&spec.name).await
}

/// Another spec of the same name: updated in place.
pub async fn a_changed_spec_updates_in_place_and_keeps_name_and_address(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, before) = site.deployed(Behaviour::EchoesEnvironment).await?;
    let request = Request::default().name(spec.name.as_str()).env("ADDED", "yes");
    let changed = site.spec(Behaviour::EchoesEnvironment, request)?;
    let Deployed { deployment: after, change } = site.deploy(&changed).await?;
    ensure!(change == Change::Updated, "the update says {change:?}");
    ensure!(after.revision == before.revision + 1, "the revision is {}", after.revision);
    ensure!(after.endpoint == before.endpoint, "the endpoint moved to {:?}", after.endpoint);
    ensure!(after.created_at == before.created_at, "it was made anew");
    ensure!(
        site.environment(&spec.name).await?.get("ADDED").is_some_and(|value| value == "yes"),
        "ADDED did not arrive"
    );
    site.remove(&spec.name).await
}

/// A dry run touches nothing, and says what it would have done.
pub async fn a_dry_run_leaves_no_trace(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let spec = site.spec(Behaviour::Well, Request::default())?;
    let dry_run = Deploy { dry_run: true, ..site.options() };
    let Deployed { deployment, change } = site.manager.deploy(&spec, &dry_run).await?;
    ensure!(deployment.name == spec.name && change == Change::Created, "the dry run says {change:?}");
    ensure!(is_not_found(&site.backend.get(&spec.name).await), "there is a deployment");
    let objects = fixture.objects(&spec.name).await?;
    ensure!(objects.is_empty(), "the dry run made {}", objects.join(", "));
    Ok(())
}

/// What is not ours is in the way, and stays as it is.
pub async fn a_foreign_object_is_a_conflict_and_stays_untouched(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let spec = site.spec(Behaviour::Well, Request::default())?;
    let others = fixture.others().ok_or("nobody else has objects there")?;
    others.plant(&spec.name).await?;
    let outcome = site.backend.deploy(&spec, DeployOptions::default()).await;
    let listed = site.backend.list(&Selector::named(&spec.name)).await?;
    let got = site.backend.get(&spec.name).await;
    let deleted = site.backend.delete(&spec.name, DeleteOptions { volumes: true }).await;
    // An error where it is not as it was.
    others.remove(&spec.name).await?;
    ensure!(matches!(outcome, Err(Error::Conflict { .. })), "deploy over a foreign object says {outcome:?}");
    ensure!(listed.is_empty(), "a foreign object is listed");
    ensure!(is_not_found(&got) && is_not_found(&deleted), "a foreign object is ours: {got:?}, {deleted:?}");
    let objects = fixture.objects(&spec.name).await?;
    ensure!(objects.is_empty(), "the refused deploy left {}", objects.join(", "));
    Ok(())
}

/// Many names at once.
pub async fn twenty_deploys_of_different_names_all_succeed(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let specs: Vec<_> =
        (0..CROWD).map(|_| site.spec(Behaviour::Well, Request::default())).collect::<Result<_, _>>()?;
    for outcome in join_all(specs.iter().map(|spec| site.deploy(spec))).await {
        outcome?;
    }
    for spec in &specs {
        site.remove(&spec.name).await?;
    }
    Ok(())
}

/// One name many times at once, all with the same spec: all succeed, and one runs.
pub async fn twenty_deploys_of_one_spec_all_succeed(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let spec = site.spec(Behaviour::Well, Request::default())?;
    for outcome in join_all((0..CROWD).map(|_| site.deploy(&spec))).await {
        outcome?;
    }
    let deployment = site.backend.get(&spec.name).await?;
    ensure!(deployment.instances.len() == 1, "there are {} instances", deployment.instances.len());
    ensure!(deployment.revision == 1, "there are {} revisions", deployment.revision);
    site.remove(&spec.name).await
}

/// One name many times at once, each with another spec: one of them wins whole.
pub async fn twenty_deploys_of_one_name_leave_one_whole_spec(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let name = Site::new_name()?;
    let specs: Vec<_> = (0..CROWD)
        .map(|number| {
            let number = number.to_string();
            let request =
                Request::default().name(name.as_str()).env("FIRST", &*number).env("SECOND_TOKEN", &*number);
            site.spec(Behaviour::EchoesEnvironment, request)
        })
        .collect::<Result<_, _>>()?;
    let outcomes =
        join_all(specs.iter().map(|spec| site.backend.deploy(spec, DeployOptions::default()))).await;
    ensure!(outcomes.iter().any(Result::is_ok), "all failed: {:?}", outcomes.first());
    site.manager.wait(None, &name, fixture.patience()).await?;
    let environment = site.environment(&name).await?;
    let (first, second) = (environment.get("FIRST"), environment.get("SECOND_TOKEN"));
    ensure!(first.is_some() && first == second, "two specs were mixed");
    site.remove(&name).await
}

/// A deploy that nobody waits for any more can be removed.
pub async fn a_deploy_whose_future_is_dropped_can_be_removed(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    for millis in [0, 1, 5, 25, 100] {
        let spec = site.spec(Behaviour::Well, Request::default())?;
        let _ = timeout(Duration::from_millis(millis), site.deploy(&spec)).await;
        let removed = async {
            loop {
                match site.backend.delete(&spec.name, DeleteOptions { volumes: true }).await {
                    // Dropped before the platform was told.
                    Ok(()) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(BoxError::from(error)),
                }
                // A platform may do what it was asked for after nobody waits for its answer any more.
                if fixture.objects(&spec.name).await?.is_empty() {
                    return Ok(());
                }
                sleep(PAUSE).await;
            }
        };
        let Ok(removed) = timeout(fixture.patience(), removed).await else {
            let left = fixture.objects(&spec.name).await?.join(", ");
            return Err(format!("dropped after {millis} ms it cannot be removed: {left}").into());
        };
        removed?;
    }
    Ok(())
}
