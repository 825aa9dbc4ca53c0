//! An API server that refuses, hangs, forgets and cuts.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;
mod in_memory;
mod memory;

use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::{ControllerRevision, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use mcp_deploy_core::conformance::Fixture;
use mcp_deploy_core::{
    DeleteOptions, DeployOptions, Deployment, DeploymentBackend, DeploymentBackendExt, DeploymentName,
    DeploymentSpec, Error, Event, Request, Selector, resolve,
};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::fixture::{Cluster, template};
use crate::memory::{Answer, Api, Fault};

fn spec() -> DeploymentSpec {
    spec_of("well")
}

fn spec_of(behaviour: &str) -> DeploymentSpec {
    let name = DeploymentName::derived_from(&"t-fault".parse().unwrap());
    let request = Request::default().name(name.as_str()).env("API_TOKEN", "c4n4ry");
    resolve(&template(behaviour, json!({})), &request, "unused.example").unwrap()
}

/// The same deployment with other variables, plain and secret.
fn changed(spec: &DeploymentSpec) -> DeploymentSpec {
    let request =
        Request::default().name(spec.name.as_str()).env("API_TOKEN", "another").env("MOCK_GENERATION", "2");
    resolve(&template("well", json!({})), &request, "unused.example").unwrap()
}

fn refusal(code: u16, message: &str) -> Answer {
    Answer::Status { code, message: message.to_owned(), retry_after: None }
}

/// The next requests of a method to a path go wrong.
fn script(api: &Api, method: &'static str, path: &str, times: usize, answer: Answer) {
    api.script(Fault { method, path: path.to_owned(), times, answer });
}

async fn deploy(cluster: &Cluster, spec: &DeploymentSpec) -> mcp_deploy_core::Result<Deployment> {
    cluster.backend.deploy(spec, DeployOptions::default()).await
}

/// What a verb says when its request is refused so.
async fn refused(answer: Answer) -> Error {
    let (api, cluster) = in_memory::cluster().await.unwrap();
    script(&api, "GET", "/deployments", 1, answer);
    cluster.backend.list(&Selector::default()).await.unwrap_err()
}

#[tokio::test]
async fn every_refusal_is_told_as_what_it_is() {
    let error = refused(refusal(401, "Unauthorized")).await;
    assert!(matches!(&error, Error::Denied { action, .. } if action.contains("credentials")), "{error:?}");
    let words = "deployments.apps is forbidden: User \"me\" cannot list resource \"deployments\" in API group \
                 \"apps\" in the namespace \"t\"";
    let error = refused(refusal(403, words)).await;
    assert!(
        matches!(&error, Error::Denied { action, .. } if action.contains("list deployments")),
        "{error:?}"
    );
    for code in [500, 502] {
        let error = refused(refusal(code, "out of order")).await;
        assert!(matches!(&error, Error::Unavailable { .. }), "{error:?}");
    }
    let error = refused(Answer::Close).await;
    assert!(matches!(&error, Error::Unavailable { .. }) && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn what_was_added_is_taken_back_though_the_deployment_changes_meanwhile() {
    let (api, cluster) = in_memory::cluster().await.unwrap();
    let spec = spec();
    deploy(&cluster, &spec).await.unwrap();
    cluster.backend.wait_ready(&spec.name).await.unwrap();
    let edit = json!({"spec": {"template": {"spec": {"hostname": "theirs"}}}});
    let edit = Patch::Merge(edit);
    cluster.deployments().patch(spec.name.as_str(), &PatchParams::default(), &edit).await.unwrap();
    assert_eq!(cluster.backend.get(&spec.name).await.unwrap().drift, ["/spec/template/spec/hostname"]);
    script(&api, "PATCH", "/deployments/", 1, refusal(422, "the server rejected our request"));
    deploy(&cluster, &spec).await.unwrap();
    assert_eq!(cluster.backend.get(&spec.name).await.unwrap().drift, Vec::<String>::new());
}

#[tokio::test]
async fn what_passes_is_tried_again_when_the_server_says() {
    let (api, cluster) = in_memory::cluster().await.unwrap();
    let slow = Answer::Status { code: 429, message: "slow down".to_owned(), retry_after: Some(1) };
    script(&api, "GET", "/deployments", 1, slow);
    let started = Instant::now();
    cluster.backend.list(&Selector::default()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1), "it did not wait: {:?}", started.elapsed());
    script(&api, "GET", "/deployments", 2, refusal(503, "starting"));
    cluster.backend.list(&Selector::default()).await.unwrap();
}

#[tokio::test]
async fn a_removal_waits_for_pods_that_the_collector_did_not_know_of() {
    let (_api, cluster) = in_memory::cluster().await.unwrap();
    let spec = spec_of("ignore-sigterm");
    deploy(&cluster, &spec).await.unwrap();
    cluster.backend.wait_ready(&spec.name).await.unwrap();
    let sets = cluster.kind(&ApiResource::erase::<ReplicaSet>(&()));
    let of_name = ListParams::default().labels(&format!("mcp-deploy.dev/deployment={}", spec.name));
    let mut set = sets.list(&of_name).await.unwrap().items.remove(0);
    set.metadata.owner_references.as_mut().unwrap()[0].block_owner_deletion = Some(false);
    sets.replace(&set.name_any(), &PostParams::default(), &set).await.unwrap();
    cluster.backend.delete(&spec.name, DeleteOptions::default()).await.unwrap();
    assert_eq!(cluster.objects(&spec.name).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_deploy_that_another_came_before_begins_again() {
    let (api, cluster) = in_memory::cluster().await.unwrap();
    let spec = spec();
    deploy(&cluster, &spec).await.unwrap();
    cluster.backend.wait_ready(&spec.name).await.unwrap();
    script(&api, "PATCH", "/deployments/", 2, refusal(409, "the object has been modified"));
    let again = deploy(&cluster, &spec).await.unwrap();
    assert_eq!((again.revision, again.replicas.desired), (1, 1));
}

#[tokio::test]
async fn a_deploy_that_ends_anywhere_is_ended_by_the_next_one() {
    let writes = [
        ("PATCH", "deployments"),
        ("POST", "configmaps"),
        ("POST", "secrets"),
        ("PATCH", "services"),
        ("PATCH", "networkpolicies"),
    ];
    for (method, kind) in writes {
        let (api, cluster) = in_memory::cluster().await.unwrap();
        let spec = spec();
        script(&api, method, &format!("/{kind}"), 1, refusal(500, "out of order"));
        let error = deploy(&cluster, &spec).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{kind}: {error:?}");
        deploy(&cluster, &spec).await.unwrap();
        let ready = cluster.backend.wait_ready(&spec.name).await.unwrap();
        assert_eq!((ready.revision, ready.drift), (1, Vec::new()), "{kind}");
        cluster.backend.delete(&spec.name, DeleteOptions::default()).await.unwrap();
        let left = mcp_deploy_core::conformance::Fixture::objects(&cluster, &spec.name).await.unwrap();
        assert_eq!(left, Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test]
async fn an_update_that_ends_anywhere_is_ended_by_the_next_one() {
    let writes = [
        ("POST", "configmaps"),
        ("POST", "secrets"),
        ("POST", "controllerrevisions"),
        ("PATCH", "services"),
        ("PATCH", "networkpolicies"),
        ("PATCH", "deployments"),
    ];
    for (method, kind) in writes {
        let (api, cluster) = in_memory::cluster().await.unwrap();
        let first = spec();
        deploy(&cluster, &first).await.unwrap();
        let second = changed(&first);
        script(&api, method, &format!("/{kind}"), 1, refusal(500, "out of order"));
        let error = deploy(&cluster, &second).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{kind}: {error:?}");
        assert_eq!(cluster.backend.get(&first.name).await.unwrap().revision, 1, "{kind}");
        assert_eq!(cluster.backend.revisions(&first.name).await.unwrap(), Vec::new(), "{kind}");
        assert_eq!(deploy(&cluster, &second).await.unwrap().revision, 2, "{kind}");
        let revisions = cluster.backend.revisions(&first.name).await.unwrap();
        assert_eq!(revisions.iter().map(|kept| &kept.spec).collect::<Vec<_>>(), [&first], "{kind}");
    }
}

#[tokio::test]
async fn what_an_earlier_deployment_of_the_name_has_left_gives_way() {
    let (_api, cluster) = in_memory::cluster().await.unwrap();
    let first = spec();
    deploy(&cluster, &first).await.unwrap();
    deploy(&cluster, &changed(&first)).await.unwrap();
    // As a removal that orphans what it owns would leave them.
    let kinds = [
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<ControllerRevision>(&()),
    ];
    let of_name = ListParams::default().labels(&format!("mcp-deploy.dev/deployment={}", first.name));
    for kind in kinds.map(|kind| cluster.kind(&kind)) {
        for object in kind.list_metadata(&of_name).await.unwrap() {
            let disown = Patch::Merge(json!({"metadata": {"ownerReferences": null}}));
            kind.patch(&object.name_any(), &PatchParams::default(), &disown).await.unwrap();
        }
    }
    cluster.deployments().delete(first.name.as_str(), &DeleteParams::background()).await.unwrap();

    assert_eq!(deploy(&cluster, &first).await.unwrap().revision, 1);
    assert_eq!(deploy(&cluster, &changed(&first)).await.unwrap().revision, 2);
    cluster.backend.wait_ready(&first.name).await.unwrap();
    cluster.backend.delete(&first.name, DeleteOptions::default()).await.unwrap();
    let left = cluster.objects(&first.name).await.unwrap();
    assert_eq!(left.iter().filter(|object| !object.starts_with("secret/")).count(), 0, "{left:?}");
}

#[tokio::test]
async fn variables_that_somebody_put_in_the_place_of_ours_give_way() {
    let (_api, cluster) = in_memory::cluster().await.unwrap();
    let spec = spec();
    deploy(&cluster, &spec).await.unwrap();
    let maps = cluster.kind(&ApiResource::erase::<ConfigMap>(&()));
    let of_name = ListParams::default().labels(&format!("mcp-deploy.dev/deployment={}", spec.name));
    let ours = maps.list(&of_name).await.unwrap().items.remove(0);
    maps.delete(&ours.name_any(), &DeleteParams::default()).await.unwrap();
    let mut theirs = ours.clone();
    (theirs.metadata.uid, theirs.metadata.resource_version) = (None, None);
    theirs.data["data"]["MOCK_BEHAVIOUR"] = "theirs".into();
    maps.create(&PostParams::default(), &theirs).await.unwrap();
    deploy(&cluster, &spec).await.unwrap();
    assert_eq!(maps.get(&ours.name_any()).await.unwrap().data["data"], ours.data["data"]);
}

#[tokio::test]
async fn a_revision_keeps_when_it_was_deployed_and_its_last_size() {
    let (_api, cluster) = in_memory::cluster().await.unwrap();
    let first = spec();
    let second = changed(&first);
    let deployed = deploy(&cluster, &first).await.unwrap();
    deploy(&cluster, &second).await.unwrap();
    let kept = cluster.backend.revisions(&first.name).await.unwrap();
    assert_eq!(kept[0].created_at, deployed.updated_at);

    deploy(&cluster, &first).await.unwrap();
    cluster.backend.scale(&first.name, 0).await.unwrap();
    deploy(&cluster, &second).await.unwrap();
    let kept = cluster.backend.revisions(&first.name).await.unwrap();
    assert_eq!((kept[0].created_at, kept[0].spec.replicas), (deployed.updated_at, 0));
}

#[tokio::test]
async fn a_hang_lasts_as_long_as_its_caller_waits() {
    let (api, cluster) = in_memory::cluster().await.unwrap();
    script(&api, "GET", "/deployments", 1, Answer::Hang);
    let selector = Selector::default();
    let hanging = timeout(Duration::from_millis(200), cluster.backend.list(&selector));
    assert!(hanging.await.is_err());
    cluster.backend.list(&selector).await.unwrap();
}

/// The next event that is no error.
async fn next(events: &mut mcp_deploy_core::EventStream) -> Event {
    loop {
        match timeout(Duration::from_secs(20), events.next()).await.unwrap().unwrap() {
            Ok(event) => return event,
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_watch_that_is_cut_goes_on_and_one_whose_history_is_gone_begins_again() {
    let (api, cluster) = in_memory::cluster().await.unwrap();
    let spec = spec();
    deploy(&cluster, &spec).await.unwrap();
    cluster.backend.wait_ready(&spec.name).await.unwrap();
    let mut events = cluster.backend.watch(Selector::named(&spec.name));
    assert!(matches!(next(&mut events).await, Event::Changed(_)));
    assert_eq!(next(&mut events).await, Event::Synced);

    api.cut_watches();
    cluster.backend.scale(&spec.name, 0).await.unwrap();
    while !matches!(next(&mut events).await, Event::Changed(told) if told.replicas.desired == 0) {}

    api.compact();
    api.cut_watches();
    while next(&mut events).await != Event::Synced {}
    cluster.backend.delete(&spec.name, DeleteOptions::default()).await.unwrap();
    while !matches!(next(&mut events).await, Event::Gone(_)) {}
}

#[tokio::test]
async fn answers_from_memory_say_how_old_they_are() {
    let (api, cluster) = in_memory::cluster().await.unwrap();
    let spec = spec();
    let cached = cluster.backend.cached();
    assert_eq!(cached.list(&Selector::default()).await.unwrap(), Vec::new());
    assert_eq!(cached.age(), Some(Duration::ZERO));
    cached.deploy(&spec, DeployOptions::default()).await.unwrap();
    let before = api.requests().len();
    assert_eq!(cached.get(&spec.name).await.unwrap().name, spec.name);
    assert_eq!(api.requests().len(), before, "it was asked for");

    script(&api, "GET", "/deployments", 1000, Answer::Close);
    api.compact();
    api.cut_watches();
    let aged = async {
        while cached.age() == Some(Duration::ZERO) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), aged).await.expect("it does not notice the cut");
    assert_eq!(cached.list(&Selector::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_asks_no_more_for_more_deployments() {
    let (api, cluster) = in_memory::cluster().await.unwrap();
    let mut counts = Vec::new();
    for _ in 0..3 {
        for _ in 0..5 {
            let spec = spec();
            deploy(&cluster, &spec).await.unwrap();
            cluster.backend.wait_ready(&spec.name).await.unwrap();
        }
        let before = api.requests().len();
        cluster.backend.list(&Selector::default()).await.unwrap();
        counts.push(api.requests().len() - before);
    }
    assert_eq!(counts, [2, 2, 2], "{:?}", api.requests().iter().rev().take(4).collect::<Vec<_>>());
}
