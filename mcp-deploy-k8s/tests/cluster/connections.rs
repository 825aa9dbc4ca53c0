//! Connections and streams that outlive what they go to.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use mcp_deploy_core::{DeploymentBackend, LogOptions, probe};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::fixture::Cluster;
use crate::site::{PATIENCE, generation, new_name};

pub(crate) async fn ten_clients_share_a_connection_that_ends_with_its_value(cluster: &Cluster) {
    let name = new_name();
    cluster.deploy(&generation(&name, 1)).await.unwrap();
    let connection = cluster.backend.connect(&name).await.unwrap();
    let url = connection.url().to_owned();
    let clients = (0..10).map(|_| probe::probe(&url, Duration::from_secs(20)));
    for answer in join_all(clients).await {
        assert!(answer.unwrap().tools.contains(&"environment".to_owned()));
    }
    let address = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    assert!(TcpStream::connect(&address).await.is_ok());
    drop(connection);
    let closed = async {
        while TcpStream::connect(&address).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), closed).await.expect("the port stays open");
    cluster.remove_all(&name).await;
}

pub(crate) async fn a_log_is_followed_across_a_rollout(cluster: &Cluster) {
    let name = new_name();
    let first = cluster.deploy(&generation(&name, 1)).await.unwrap();
    let mut lines = cluster.backend.logs(&name, LogOptions { follow: true, ..LogOptions::default() });
    let line = timeout(PATIENCE, lines.next()).await.unwrap().unwrap().unwrap();
    assert!(line.message.contains("listening on"), "{line:?}");
    assert_eq!(line.instance, first.instances[0].id);
    let update = generation(&name, 2);
    let (updated, ()) = tokio::join!(cluster.deploy(&update), async {
        // The new pod's first line, and the old one's last, in whatever order.
        let (mut is_new, mut is_old) = (false, false);
        while !(is_new && is_old) {
            let line = timeout(PATIENCE, lines.next()).await.unwrap().unwrap().unwrap();
            is_new |= line.message.contains("listening on") && line.instance != first.instances[0].id;
            is_old |= line.message.contains("received SIGTERM") && line.instance == first.instances[0].id;
        }
    });
    updated.unwrap();
    let (removed, rest) =
        tokio::join!(cluster.remove_all(&name), timeout(PATIENCE, lines.collect::<Vec<_>>()));
    let () = removed;
    assert!(rest.unwrap().iter().all(Result::is_ok), "following ends with the deployment");
}
