//! What others do to our containers, and what an image says of itself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_deploy_core::{
    Deployment, DeploymentBackend, DeploymentBackendExt, Error, Event, FailureReason, Selector, Status,
};
use serde_json::json;
use tokio::time::timeout;

use crate::fixture::{Daemon, image};
use crate::site::spec;

const PATIENCE: Duration = Duration::from_secs(20);

async fn until(daemon: &Daemon, name: &mcp_deploy_core::DeploymentName, status: Status) -> Deployment {
    let waited = daemon.backend.wait_for(name, |deployment| deployment.status == status);
    timeout(PATIENCE, waited).await.unwrap().unwrap()
}

pub(crate) async fn a_container_that_is_killed_shows_at_once(daemon: &Daemon) {
    let spec = spec("well", json!({}));
    daemon.deploy(&spec).await.unwrap();
    let seen = until(daemon, &spec.name, Status::Failed);
    let killed = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        daemon.docker.kill_container(spec.name.as_str(), None).await.unwrap();
    };
    let (deployment, ()) = tokio::join!(seen, killed);
    let failure = deployment.failure.unwrap();
    assert_eq!((failure.reason, failure.exit_code), (FailureReason::Unknown, Some(137)));
    assert!(failure.message.contains("somebody else"), "{failure}");
    // The next look says the same, and a start mends it.
    let listed = daemon.backend.list(&Selector::named(&spec.name)).await.unwrap();
    assert_eq!(listed[0].status, Status::Failed);
    daemon.manager().start(None, &spec.name).await.unwrap();
    assert!(daemon.backend.get(&spec.name).await.unwrap().ready);
    daemon.remove_all(&spec.name).await;
}

pub(crate) async fn a_container_that_is_removed_is_gone(daemon: &Daemon) {
    let spec = spec("well", json!({}));
    daemon.deploy(&spec).await.unwrap();
    let mut events = daemon.backend.watch(Selector::named(&spec.name));
    while timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap() != Event::Synced {}
    daemon.remove_behind_our_back(spec.name.as_str()).await;
    let gone = async { while !matches!(events.next().await.unwrap().unwrap(), Event::Gone(_)) {} };
    timeout(PATIENCE, gone).await.unwrap();
    let got = daemon.backend.get(&spec.name).await;
    assert!(matches!(got, Err(Error::NotFound { .. })), "{got:?}");
    daemon.has_nothing_of(&spec.name).await;
}

pub(crate) async fn a_paused_container_says_how_to_go_on(daemon: &Daemon) {
    let spec = spec("well", json!({}));
    daemon.deploy(&spec).await.unwrap();
    daemon.docker.pause_container(spec.name.as_str()).await.unwrap();
    for deployment in [
        Arc::new(daemon.backend.get(&spec.name).await.unwrap()),
        daemon.backend.list(&Selector::named(&spec.name)).await.unwrap().remove(0),
    ] {
        assert_eq!((deployment.status, deployment.ready), (Status::Degraded, false));
        let hint = deployment.failure.as_ref().unwrap().hint.as_ref().unwrap();
        assert!(hint.contains("docker unpause"), "{hint}");
    }
    daemon.docker.unpause_container(spec.name.as_str()).await.unwrap();
    daemon.remove_all(&spec.name).await;
}

pub(crate) async fn an_image_that_calls_itself_unhealthy_is_degraded(daemon: &Daemon) {
    const SICK: &str = "mcp-deploy-test/sick:1";
    let check = r#"HEALTHCHECK --interval=1s --retries=1 CMD ["/mcp-mock-server", "--no-such-flag"]"#;
    image::import(&daemon.docker, SICK, &[check]).await.unwrap();
    let spec = spec("well", json!({"docker_image": SICK}));
    let deployed = daemon.deploy(&spec).await.unwrap();
    assert_eq!(deployed.status, Status::Running);
    let deployment = until(daemon, &spec.name, Status::Degraded).await;
    let failure = deployment.failure.unwrap();
    assert_eq!((failure.reason, deployment.ready), (FailureReason::Unhealthy, true));
    assert!(failure.events.concat().contains("unknown argument"), "{:?}", failure.events);
    daemon.remove_all(&spec.name).await;
}
