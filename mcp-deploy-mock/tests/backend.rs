//! What only the mock can show: consumers that take their time, and verbs that meet.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use mcp_deploy_core::{
    DeleteOptions, DeployOptions, DeploymentBackend, DeploymentBackendExt, DeploymentName, DeploymentSpec,
    Event, LogOptions, Request, Selector, Status, Template, resolve,
};
use mcp_deploy_mock::{MockBackend, MockOptions, Phases};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(10);

fn spec(name: &str, replicas: u32) -> DeploymentSpec {
    let template = "{id: plain, name: Plain, description: Plain., version: '1'}";
    let template = Template::parse(template, "it", None).unwrap();
    resolve(&template, &Request::default().name(name).replicas(replicas), "ghcr.io/team").unwrap()
}

#[tokio::test]
async fn a_watcher_that_takes_its_time_misses_nothing() {
    let backend = MockBackend::default();
    backend.deploy(&spec("one", 1), DeployOptions::default()).await.unwrap();
    let mut events = backend.watch(Selector::default());
    while events.next().await.unwrap().unwrap() != Event::Synced {}
    sleep(Duration::from_millis(200)).await;
    let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(event, Event::Changed(deployment) if deployment.status == Status::Running));
}

#[tokio::test]
async fn a_follower_that_takes_its_time_misses_nothing() {
    let backend = MockBackend::default();
    let spec = spec("one", 1);
    backend.deploy(&spec, DeployOptions::default()).await.unwrap();
    let mut lines = backend.logs(&spec.name, LogOptions { follow: true, ..LogOptions::default() });
    assert!(timeout(Duration::from_millis(5), lines.next()).await.is_err());
    std::thread::sleep(Duration::from_millis(200));
    assert!(
        timeout(PATIENCE, lines.next()).await.unwrap().unwrap().unwrap().message.starts_with("listening")
    );
}

#[tokio::test]
async fn a_follower_of_two_instances_hears_each_line_once() {
    let backend = MockBackend::default();
    let spec = spec("two", 2);
    backend.deploy(&spec, DeployOptions::default()).await.unwrap();
    backend.wait_ready(&spec.name).await.unwrap();
    let mut lines = backend.logs(&spec.name, LogOptions { follow: true, ..LogOptions::default() });
    for _ in 0..2 {
        assert!(lines.next().await.unwrap().unwrap().message.starts_with("listening"));
    }
    backend.scale(&spec.name, 1).await.unwrap();
    let line = timeout(PATIENCE, lines.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(line.message, "received SIGTERM, stopping");
    backend.delete(&spec.name, DeleteOptions::default()).await.unwrap();
    assert!(timeout(PATIENCE, lines.next()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn addresses_stay_and_no_server_is_left_though_others_list() {
    let phases = Phases { pull: Duration::ZERO, start: Duration::ZERO };
    let backend = MockBackend::new(MockOptions { phases, ..MockOptions::default() });
    let done = Arc::new(AtomicBool::new(false));
    let list = |backend: MockBackend, done: Arc<AtomicBool>| async move {
        while !done.load(Ordering::Relaxed) {
            backend.list(&Selector::default()).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let listers: Vec<_> = (0..3).map(|_| tokio::spawn(list(backend.clone(), Arc::clone(&done)))).collect();
    for number in 0..200 {
        let name: DeploymentName = format!("d{number}").parse().unwrap();
        let deployed = backend.deploy(&spec(name.as_str(), 1), DeployOptions::default()).await.unwrap();
        assert_eq!(backend.get(&name).await.unwrap().endpoint, deployed.endpoint);
        backend.delete(&name, DeleteOptions::default()).await.unwrap();
        assert!(!backend.objects().unwrap().contains(&format!("server/{name}")));
    }
    done.store(true, Ordering::Relaxed);
    for lister in listers {
        lister.await.unwrap();
    }
    assert!(backend.objects().unwrap().is_empty());
}

#[tokio::test]
async fn dropping_the_last_handle_closes_every_server() {
    let backend = MockBackend::default();
    let spec = spec("one", 1);
    backend.deploy(&spec, DeployOptions::default()).await.unwrap();
    let endpoint = backend.wait_ready(&spec.name).await.unwrap().endpoint.unwrap();
    let address = endpoint.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().to_owned();
    assert!(tokio::net::TcpStream::connect(&address).await.is_ok());
    drop(backend);
    let closed = async {
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, closed).await.unwrap();
}
