//! Updates: rolled without a gap, gone back from, raced for, interrupted.

use std::time::Duration;

use futures_util::future::join_all;
use mcp_deploy_core::conformance::Fixture;
use mcp_deploy_core::{DeployOptions, DeploymentBackend, Error, Recovery, Request};
use mcp_deploy_k8s::KubernetesBackend;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::fixture::Cluster;
use crate::site::{PATIENCE, generation, new_name, resolved};

pub(crate) async fn going_back_gives_the_very_pods_that_were_there(cluster: &Cluster) {
    let first = generation(&new_name(), 1);
    let before = cluster.deploy(&first).await.unwrap();
    let second = resolved("crash:3", json!({}), &Request::default().name(first.name.as_str()));
    let error = cluster.deploy(&second).await.unwrap_err();
    assert!(matches!(error, Error::Failed { recovery: Some(Recovery::Restored), .. }), "{error:?}");
    let after = cluster.backend.get(&first.name).await.unwrap();
    assert_eq!((&after.instances, after.revision), (&before.instances, before.revision));
    // And on again: a new number for a new spec, the old one for an old spec.
    assert_eq!(cluster.deploy(&generation(&first.name, 3)).await.unwrap().revision, 3);
    assert_eq!(cluster.deploy(&first).await.unwrap().revision, 1);
    cluster.remove_all(&first.name).await;
}

pub(crate) async fn ten_revisions_are_kept_and_nothing_of_older_ones(cluster: &Cluster) {
    let name = new_name();
    for number in 1..=13 {
        cluster.backend.deploy(&generation(&name, number), DeployOptions::default()).await.unwrap();
    }
    let revisions = cluster.backend.revisions(&name).await.unwrap();
    let numbers: Vec<u64> = revisions.iter().map(|revision| revision.number).collect();
    assert_eq!(numbers, (3..=12).rev().collect::<Vec<_>>());
    assert_eq!(revisions[0].spec, generation(&name, 12));
    let objects = cluster.objects(&name).await.unwrap();
    // What it has now is in the Deployment itself.
    for (kind, expected) in [("controllerrevision/", 10), ("configmap/", 11), ("secret/", 11)] {
        let count = objects.iter().filter(|object| object.starts_with(kind)).count();
        assert_eq!(count, expected, "{kind}: {objects:?}");
    }
    cluster.remove_all(&name).await;
}

pub(crate) async fn an_update_leaves_no_gap(cluster: &Cluster) {
    let name = new_name();
    cluster.deploy(&generation(&name, 1)).await.unwrap();
    let asking = async {
        let mut answers = 0;
        loop {
            // The instance that was just reached may be the one that ends: who asks again at once is answered.
            if cluster.call(&name, "environment", json!({})).await.is_err() {
                cluster.call(&name, "environment", json!({})).await.unwrap();
            }
            answers += 1;
            if answers % 5 == 0 {
                sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let update = generation(&name, 2);
    tokio::select! {
        () = asking => unreachable!("it asks for ever"),
        updated = cluster.deploy(&update) => assert_eq!(updated.unwrap().revision, 2),
    }
    cluster.remove_all(&name).await;
}

/// A backend of the same cluster that knows nothing of the other one, as in another process.
fn stranger(cluster: &Cluster) -> KubernetesBackend {
    KubernetesBackend::new(cluster.settings.clone())
}

pub(crate) async fn backends_that_know_nothing_of_each_other_agree_on_one_spec(cluster: &Cluster) {
    let name = new_name();
    let deploys = (0..8).map(|number| {
        let spec = generation(&name, number);
        async move { stranger(cluster).deploy(&spec, DeployOptions::default()).await }
    });
    let outcomes = join_all(deploys).await;
    assert!(outcomes.iter().any(Result::is_ok), "{:?}", outcomes.first());
    cluster.manager().wait(None, &name, PATIENCE).await.unwrap();
    let environment = cluster.call(&name, "environment", json!({})).await.unwrap();
    assert_eq!(environment["GENERATION"], environment["GENERATION_TOKEN"]);
    cluster.remove_all(&name).await;
}

pub(crate) async fn a_deploy_that_was_dropped_at_any_moment_is_ended_by_the_next_one(cluster: &Cluster) {
    let name = new_name();
    for (number, millis) in [3, 10, 20, 30, 40, 60, 90].into_iter().enumerate() {
        let number = u32::try_from(number).unwrap();
        let dropped = generation(&name, 100 + number);
        let deploy = cluster.backend.deploy(&dropped, DeployOptions::default());
        let _ = timeout(Duration::from_millis(millis), deploy).await;
        if number % 3 == 2 {
            cluster.deploy(&generation(&name, number)).await.unwrap();
            let environment = cluster.call(&name, "environment", json!({})).await.unwrap();
            assert_eq!(environment["GENERATION"], number.to_string());
            cluster.remove_all(&name).await;
        }
    }
    if cluster.backend.get(&name).await.is_ok() {
        cluster.remove_all(&name).await;
    }
}
