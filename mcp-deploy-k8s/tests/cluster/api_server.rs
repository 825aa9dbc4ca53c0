//! An API server that goes away and comes back.

use std::process::Command;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_deploy_core::{DeploymentBackend, Event, LogOptions, Selector};
use tokio::time::{sleep, timeout};

use crate::fixture::Cluster;
use crate::site::{CLUSTER, PATIENCE, generation, new_name};

async fn api_server(verb: &str) {
    let cluster = std::env::var_os(CLUSTER).unwrap();
    let mut program = tokio::process::Command::from(Command::new(cluster));
    assert!(program.args([verb, "apiserver"]).status().await.unwrap().success());
}

/// A watch and a log go on; a deploy that was under way can be ended.
pub(crate) async fn a_restart_of_the_api_server_is_outlived(cluster: &Cluster) {
    let name = new_name();
    cluster.deploy(&generation(&name, 1)).await.unwrap();
    let mut events = cluster.backend.watch(Selector::named(&name));
    while !matches!(events.next().await, Some(Ok(Event::Synced))) {}
    let mut lines = cluster.backend.logs(&name, LogOptions { follow: true, ..LogOptions::default() });
    assert!(lines.next().await.unwrap().is_ok());

    let update = generation(&name, 2);
    let (_, ()) = tokio::join!(
        // Whatever becomes of it.
        timeout(Duration::from_secs(5), cluster.deploy(&update)),
        async {
            sleep(Duration::from_millis(30)).await;
            api_server("stop").await;
        },
    );
    sleep(Duration::from_secs(1)).await;
    api_server("start").await;

    let ready = async {
        while cluster.backend.check().await.is_err() {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(PATIENCE, ready).await.expect("the API server comes back");
    let third = cluster.deploy(&generation(&name, 3)).await.unwrap();
    assert!(third.ready);
    let told = async {
        loop {
            match events.next().await.expect("a watch has no end") {
                Ok(Event::Changed(told)) if told.revision == third.revision && told.ready => break,
                _ => {}
            }
        }
    };
    timeout(PATIENCE, told).await.expect("the watch goes on");
    let written = async {
        loop {
            let line = lines.next().await.expect("following goes on");
            if line.is_ok_and(|line| line.instance == third.instances[0].id) {
                break;
            }
        }
    };
    timeout(PATIENCE, written).await.expect("the log goes on");
    cluster.remove_all(&name).await;
}
