//! From the first instance to the last trace.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;

use super::site::{Site, instance_ids, is_not_found};
use super::{Behaviour, CaseResult, Fixture, ensure};
use crate::{
    AccessMode, DeleteOptions, DeployOptions, DeploymentBackendExt, LogOptions, Request, Status, Volume,
};

/// Delete removes what deploy made, and keeps named volumes until it is told otherwise.
pub async fn delete_removes_everything_but_named_volumes(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let mut spec = site.spec(Behaviour::Well, Request::default())?;
    if site.backend.capabilities().volumes {
        spec.volumes.push(Volume {
            name: "data".to_owned(),
            path: "/data".to_owned(),
            size: None,
            access_mode: AccessMode::default(),
            storage_class: None,
        });
    }
    site.deploy(&spec).await?;
    site.backend.delete(&spec.name, DeleteOptions::default()).await?;
    ensure!(is_not_found(&site.backend.get(&spec.name).await), "it is still there");
    let (volumes, others): (Vec<_>, Vec<_>) =
        fixture.objects(&spec.name).await?.into_iter().partition(|object| object.starts_with("volume/"));
    ensure!(others.is_empty(), "delete left {}", others.join(", "));
    ensure!(volumes.len() == spec.volumes.len(), "the volumes are {volumes:?}");
    fixture.remove_volumes(&spec.name).await?;

    site.deploy(&spec).await?;
    site.remove(&spec.name).await
}

/// What never worked can be removed like everything else.
pub async fn a_failing_deployment_can_be_deleted(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let spec = site.spec(Behaviour::Crashes(1), Request::default())?;
    let outcome = site.deploy(&spec).await;
    ensure!(outcome.is_err(), "a crashing server was deployed");
    // It stays for a look; between two crashes a platform may call it a start.
    let failed = site.backend.wait_for(&spec.name, |deployment| deployment.failure.is_some());
    timeout(fixture.patience(), failed).await??;
    site.remove(&spec.name).await
}

/// 0 instances keep everything but the instances.
pub async fn scale_to_zero_keeps_it_and_back_restores_it(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, before) = site.deployed(Behaviour::Well).await?;
    site.backend.scale(&spec.name, 0).await?;
    let stopped = site.manager.wait(None, &spec.name, fixture.patience()).await?;
    ensure!(stopped.status == Status::Stopped && !stopped.ready, "it is {}", stopped.status);
    ensure!(stopped.revision == before.revision, "stopping made a revision");
    site.backend.scale(&spec.name, 1).await?;
    let back = site.manager.wait(None, &spec.name, fixture.patience()).await?;
    ensure!(back.ready && back.mcp.is_some(), "it is {}", back.status);
    ensure!(back.endpoint == before.endpoint, "the endpoint moved to {:?}", back.endpoint);
    ensure!(back.revision == before.revision, "starting made a revision");
    site.remove(&spec.name).await
}

/// Deploying a stopped one again starts it.
pub async fn deploy_starts_a_stopped_deployment(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, _) = site.deployed(Behaviour::Well).await?;
    site.backend.scale(&spec.name, 0).await?;
    let started = site.deploy(&spec).await?.deployment;
    ensure!(started.ready, "it is {}", started.status);
    site.remove(&spec.name).await
}

/// Many instances, where the platform has them.
pub async fn scale_to_three_and_back_to_one(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, _) = site.deployed(Behaviour::Well).await?;
    for replicas in [3, 1] {
        site.backend.scale(&spec.name, replicas).await?;
        let scaled = site.manager.wait(None, &spec.name, fixture.patience()).await?;
        ensure!(scaled.replicas.ready == replicas, "{} of {replicas} are ready", scaled.replicas.ready);
    }
    site.remove(&spec.name).await
}

/// All instances are new, the address is not.
pub async fn restart_gives_new_instances_and_the_same_address(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, before) = site.deployed(Behaviour::Well).await?;
    site.backend.restart(&spec.name).await?;
    let after = site.manager.wait(None, &spec.name, fixture.patience()).await?;
    let old = instance_ids(&before);
    ensure!(!instance_ids(&after).iter().any(|id| old.contains(id)), "an instance is still there");
    ensure!(after.endpoint == before.endpoint, "the endpoint moved to {:?}", after.endpoint);
    site.remove(&spec.name).await
}

/// A server hears that it is to stop, in time to say so.
pub async fn sigterm_reaches_the_server_before_it_is_killed(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, _) = site.deployed(Behaviour::Well).await?;
    let mut lines = site.backend.logs(&spec.name, LogOptions { follow: true, ..LogOptions::default() });
    // The follow stands before the server is told to stop.
    let first = timeout(fixture.patience(), lines.next()).await?;
    ensure!(first.is_some_and(|line| line.is_ok()), "there is no log to follow");
    site.backend.scale(&spec.name, 0).await?;
    let heard = async {
        while let Some(line) = lines.next().await {
            if line.is_ok_and(|line| line.message.contains("received SIGTERM, stopping")) {
                return true;
            }
        }
        false
    };
    ensure!(timeout(fixture.patience(), heard).await?, "the server never heard of it");
    site.remove(&spec.name).await
}

/// A server that ignores SIGTERM is ended all the same.
pub async fn a_server_that_ignores_sigterm_is_ended_all_the_same(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, _) = site.deployed(Behaviour::IgnoresSigterm).await?;
    timeout(fixture.patience() + Duration::from_secs(30), site.remove(&spec.name)).await?
}

/// The address of connect answers MCP, from where we stand.
pub async fn connect_gives_an_address_that_answers_mcp(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, deployment) = site.deployed(Behaviour::Well).await?;
    let connection = site.backend.connect(&spec.name).await?;
    let report = crate::probe::probe(connection.url(), Duration::from_secs(30)).await?;
    ensure!(Some(&report) == deployment.mcp.as_ref(), "deploy and connect reach other servers");
    let promised: Vec<&str> = spec.tools.iter().map(|tool| tool.name.as_str()).collect();
    ensure!(
        promised.iter().all(|tool| report.tools.iter().any(|found| found == tool)),
        "the tools are {:?}",
        report.tools
    );
    site.remove(&spec.name).await
}

/// The earlier specs can be deployed again, secrets included.
pub async fn revisions_list_the_earlier_specs_whole(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let request = Request::default().env("GENERATION", "1").env("API_TOKEN", "first");
    let first = site.spec(Behaviour::EchoesEnvironment, request)?;
    site.deploy(&first).await?;
    ensure!(site.backend.revisions(&first.name).await?.is_empty(), "the first spec has revisions before it");
    let request =
        Request::default().name(first.name.as_str()).env("GENERATION", "2").env("API_TOKEN", "second");
    let second = site.spec(Behaviour::EchoesEnvironment, request)?;
    site.deploy(&second).await?;
    let revisions = site.backend.revisions(&first.name).await?;
    ensure!(revisions.len() == 1 && revisions[0].number == 1, "the revisions are {revisions:?}");
    ensure!(revisions[0].spec == first, "the earlier spec is not whole");
    site.backend.deploy(&revisions[0].spec, DeployOptions::default()).await?;
    site.manager.wait(None, &first.name, fixture.patience()).await?;
    let environment = site.environment(&first.name).await?;
    ensure!(
        environment.get("API_TOKEN").is_some_and(|value| value == "first"),
        "the secret of the earlier spec is not back"
    );
    site.remove(&first.name).await
}
