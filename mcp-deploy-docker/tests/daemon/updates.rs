//! Updates in place: swapped back, interrupted, and raced for.

use std::time::Duration;

use futures_util::future::join_all;
use mcp_deploy_core::conformance::{Fixture, Others};
use mcp_deploy_core::{
    DeleteOptions, DeployOptions, Deployment, DeploymentBackend, DeploymentBackendExt, DeploymentName, Error,
    Request, Selector, Status,
};
use mcp_deploy_docker::DockerBackend;
use serde_json::json;
use tokio::time::timeout;

use crate::fixture::Daemon;
use crate::site::{generation, new_name, resolved, spec};

pub(crate) async fn the_revision_before_comes_back_as_the_container_that_it_was(daemon: &Daemon) {
    let name = new_name();
    let [first, second] = [generation(&name, 1), generation(&name, 2)];
    let one = daemon.deploy(&first).await.unwrap();
    let one_id = daemon.id(name.as_str()).await;
    let two = daemon.deploy(&second).await.unwrap();
    let two_id = daemon.id(name.as_str()).await;
    let back = daemon.deploy(&first).await.unwrap();
    assert_eq!(daemon.id(name.as_str()).await, one_id);
    assert_eq!(daemon.id(&format!("{name}.previous")).await, two_id);
    assert_eq!((one.revision, two.revision, back.revision), (1, 2, 1));
    assert_eq!(back.endpoint, one.endpoint);
    let revisions = daemon.backend.revisions(&name).await.unwrap();
    assert_eq!((revisions.len(), revisions[0].number, &revisions[0].spec), (1, 2, &second));
    // A new spec counts on from the highest.
    assert_eq!(daemon.deploy(&generation(&name, 3)).await.unwrap().revision, 3);
    daemon.remove_all(&name).await;
}

pub(crate) async fn a_strangers_container_named_previous_is_a_conflict_and_stays(daemon: &Daemon) {
    let name = new_name();
    let stranger: DeploymentName = new_name();
    daemon.deploy(&generation(&name, 1)).await.unwrap();
    daemon.plant(&stranger).await.unwrap();
    let theirs = daemon.id(stranger.as_str()).await;
    daemon.rename(stranger.as_str(), &format!("{name}.previous")).await;
    let outcome = daemon.deploy(&generation(&name, 2)).await;
    assert!(
        matches!(&outcome, Err(Error::Conflict { name: found, .. }) if found.ends_with(".previous")),
        "{outcome:?}"
    );
    assert_eq!(daemon.backend.get(&name).await.unwrap().revision, 1);
    assert_eq!(daemon.id(&format!("{name}.previous")).await, theirs);
    daemon.rename(&theirs, stranger.as_str()).await;
    Others::remove(daemon, &stranger).await.unwrap();
    daemon.remove_all(&name).await;
}

/// A step after which an update can be interrupted, by somebody who is not there any more.
#[derive(Debug, Clone, Copy)]
enum Interrupted {
    /// The next container is made.
    Made,
    /// The current one is stopped, the next one does not run yet.
    Stopped,
    /// The current one is stopped, the next one runs.
    Started,
    /// The current one is the previous one, and its name is free.
    Retired,
}

const INTERRUPTIONS: [Interrupted; 4] =
    [Interrupted::Made, Interrupted::Stopped, Interrupted::Started, Interrupted::Retired];

/// A name with two revisions, whose update from the first to the second was interrupted.
async fn interrupted(daemon: &Daemon, step: Interrupted) -> DeploymentName {
    let name = new_name();
    daemon.deploy(&generation(&name, 1)).await.unwrap();
    daemon.deploy(&generation(&name, 2)).await.unwrap();
    let (current, previous, next) = (name.to_string(), format!("{name}.previous"), format!("{name}.next"));
    daemon.rename(&current, &next).await;
    match step {
        Interrupted::Made | Interrupted::Stopped => {
            daemon.docker.stop_container(&next, None).await.unwrap();
            daemon.rename(&previous, &current).await;
            daemon.keep_up(&current).await;
            daemon.docker.start_container(&current, None).await.unwrap();
            if matches!(step, Interrupted::Stopped) {
                daemon.docker.stop_container(&current, None).await.unwrap();
            }
        }
        Interrupted::Started => {
            daemon.rename(&previous, &current).await;
            daemon.keep_up(&current).await;
        }
        Interrupted::Retired => {}
    }
    name
}

async fn all_interrupted(daemon: &Daemon) -> Vec<DeploymentName> {
    join_all(INTERRUPTIONS.map(|step| interrupted(daemon, step))).await
}

pub(crate) async fn what_an_interrupted_update_left_is_found_by_every_verb(daemon: &Daemon) {
    for step in INTERRUPTIONS {
        let name = interrupted(daemon, step).await;
        // As long as it may go on, it is no failure, and what runs already is what is told.
        let (status, revision) = match step {
            Interrupted::Made => (Status::Running, 1),
            Interrupted::Stopped => (Status::Starting, 1),
            Interrupted::Started | Interrupted::Retired => (Status::Running, 2),
        };
        let is_so = |found: &Deployment| (found.status, found.revision) == (status, revision);
        let found = daemon.backend.get(&name).await.unwrap();
        assert!(is_so(&found), "{step:?}: {found:?}");
        for selector in [Selector::named(&name), Selector::default()] {
            let listed = daemon.backend.list(&selector).await.unwrap();
            let listed: Vec<_> = listed.iter().filter(|listed| listed.name == name).collect();
            assert!(listed.len() == 1 && is_so(listed[0]), "{step:?}: {listed:?}");
        }
        daemon.remove_all(&name).await;
    }
}

pub(crate) async fn an_update_that_somebody_else_is_about_is_no_failure_to_who_waits(daemon: &Daemon) {
    let name = new_name();
    let slow = |number: u32| {
        let request = Request::default().name(name.as_str()).env("GENERATION", number.to_string());
        resolved("slow:30000", json!({}), &request)
    };
    daemon.deploy(&generation(&name, 1)).await.unwrap();
    let second = slow(2);
    let overtaken = daemon.deploy(&second);
    let other = async {
        daemon.backend.wait_for(&name, |found| found.revision == 2).await.unwrap();
        DockerBackend::new(daemon.settings().await).deploy(&slow(3), DeployOptions::default()).await
    };
    let (overtaken, other) = tokio::join!(overtaken, other);
    other.unwrap();
    assert!(matches!(overtaken, Err(Error::Superseded { .. })), "{overtaken:?}");
    assert_eq!(daemon.backend.get(&name).await.unwrap().revision, 3);
    daemon.remove_all(&name).await;
}

pub(crate) async fn a_first_deploy_that_is_dropped_is_ended_by_the_next_one(daemon: &Daemon) {
    for millis in [1, 15, 30, 45, 60, 75, 90, 120] {
        let spec = spec("explore", json!({"volumes": [{"name": "data", "path": "/data"}]}));
        let first = daemon.backend.deploy(&spec, DeployOptions::default());
        let _ = timeout(Duration::from_millis(millis), first).await;
        daemon.deploy(&spec).await.unwrap();
        let written = daemon.call(&spec.name, "write", json!({"path": "/data/file", "text": "x"})).await;
        assert!(written.is_ok(), "dropped after {millis} ms: {written:?}");
        daemon.remove_all(&spec.name).await;
    }
}

pub(crate) async fn what_an_interrupted_update_left_is_mended_by_deploy(daemon: &Daemon) {
    let mended = all_interrupted(daemon).await.into_iter().map(|name| async move {
        for number in [2, 3] {
            let deployment = daemon.deploy(&generation(&name, number)).await.unwrap();
            assert_eq!(deployment.status, Status::Running);
            let environment = daemon.call(&name, "environment", json!({})).await.unwrap();
            assert_eq!(environment["GENERATION"], number.to_string());
        }
        daemon.remove_all(&name).await;
    });
    join_all(mended).await;
}

pub(crate) async fn what_an_interrupted_update_left_is_removed_by_delete(daemon: &Daemon) {
    for name in all_interrupted(daemon).await {
        daemon.remove_all(&name).await;
    }
}

pub(crate) async fn what_an_interrupted_update_left_is_collected(daemon: &Daemon) {
    let names = all_interrupted(daemon).await;
    let orphan = new_name();
    daemon.deploy(&generation(&orphan, 1)).await.unwrap();
    daemon.deploy(&generation(&orphan, 2)).await.unwrap();
    daemon.remove_behind_our_back(orphan.as_str()).await;
    let found = daemon.backend.gc(true).await.unwrap();
    let collected = daemon.backend.gc(false).await.unwrap();
    assert_eq!(found, collected);
    let mut told: Vec<&str> = collected.iter().map(|garbage| garbage.name.as_str()).collect();
    told.retain(|told| names.iter().chain([&orphan]).any(|name| told.starts_with(name.as_str())));
    told.sort_unstable();
    let next = names.iter().map(|name| format!("{name}.next"));
    let mut expected: Vec<String> = next.chain([format!("{orphan}.previous")]).collect();
    expected.sort_unstable();
    assert_eq!(told, expected);
    for name in &names {
        let deployment = daemon.manager().wait(None, name, Duration::from_secs(40)).await.unwrap();
        assert_eq!(deployment.status, Status::Running);
        daemon.remove_all(name).await;
    }
    daemon.has_nothing_of(&orphan).await;
}

pub(crate) async fn an_update_that_is_dropped_is_ended_by_the_next_one(daemon: &Daemon) {
    let name = new_name();
    daemon.deploy(&generation(&name, 1)).await.unwrap();
    for (number, millis) in (2..).zip([1, 20, 60, 120, 250, 400]) {
        let spec = generation(&name, number);
        let update = daemon.backend.deploy(&spec, DeployOptions::default());
        let _ = timeout(Duration::from_millis(millis), update).await;
        let ended = daemon.deploy(&generation(&name, number + 100)).await.unwrap();
        assert_eq!(ended.status, Status::Running);
    }
    daemon.remove_all(&name).await;
}

/// Backends that know nothing of each other, as in so many processes.
async fn processes(daemon: &Daemon, count: usize) -> Vec<DockerBackend> {
    let settings = daemon.settings().await;
    (0..count).map(|_| DockerBackend::new(settings.clone())).collect()
}

pub(crate) async fn twenty_processes_that_deploy_one_spec_agree(daemon: &Daemon) {
    let spec = spec("well", json!({}));
    let backends = processes(daemon, 20).await;
    let deploys = backends.iter().map(|backend| backend.deploy(&spec, DeployOptions::default()));
    for outcome in join_all(deploys).await {
        outcome.unwrap();
    }
    let deployment = daemon.deploy(&spec).await.unwrap();
    assert_eq!((deployment.revision, deployment.instances.len()), (1, 1));
    daemon.remove_all(&spec.name).await;
}

pub(crate) async fn processes_that_deploy_different_specs_leave_one_whole(daemon: &Daemon) {
    let name = new_name();
    let backends = processes(daemon, 5).await;
    let specs: Vec<_> = (0..5)
        .map(|number| {
            let request = Request::default().name(name.as_str()).env("ONE", number.to_string());
            resolved("echo-environment", json!({}), &request.env("ONE_TOKEN", number.to_string()))
        })
        .collect();
    let deploys =
        backends.iter().zip(&specs).map(|(backend, spec)| backend.deploy(spec, DeployOptions::default()));
    for outcome in join_all(deploys).await {
        outcome.unwrap();
    }
    daemon.manager().wait(None, &name, Duration::from_secs(40)).await.unwrap();
    let environment = daemon.call(&name, "environment", json!({})).await.unwrap();
    assert_eq!(environment["ONE"], environment["ONE_TOKEN"]);
    daemon.remove_all(&name).await;
}

pub(crate) async fn fifty_races_of_deploy_and_delete_leave_nothing(daemon: &Daemon) {
    let spec = spec("well", json!({"volumes": [{"name": "data", "path": "/data"}]}));
    let before = daemon.counts().await;
    let mut count = 0;
    for round in 0..50 {
        let other = DockerBackend::new(daemon.settings().await);
        let deploy = daemon.backend.deploy(&spec, DeployOptions::default());
        let delete = other.delete(&spec.name, DeleteOptions { volumes: true });
        let (deployed, deleted) = tokio::join!(deploy, delete);
        // Whoever comes too late is told; nobody else is.
        let is_fine = match &deployed {
            Ok(_) | Err(Error::NotFound { .. }) => true,
            Err(Error::Conflict { name, .. }) => name == spec.name.as_str(),
            Err(_) => false,
        };
        assert!(is_fine, "round {round}: {deployed:?}");
        count += usize::from(deployed.is_ok());
        let is_fine = match &deleted {
            Ok(()) | Err(Error::NotFound { .. }) => true,
            Err(Error::Conflict { name, .. }) => *name == format!("{}-data", spec.name),
            Err(_) => false,
        };
        assert!(is_fine, "round {round}: {deleted:?}");
    }
    assert!(count > 0, "no deploy of 50 was faster than the delete");
    match daemon.backend.delete(&spec.name, DeleteOptions { volumes: true }).await {
        Ok(()) | Err(Error::NotFound { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    // A volume that was made while it was deleted is named, and outlives its deployment.
    daemon.remove_volumes(&spec.name).await.unwrap();
    daemon.has_nothing_of(&spec.name).await;
    assert_eq!(daemon.counts().await, before);
}
