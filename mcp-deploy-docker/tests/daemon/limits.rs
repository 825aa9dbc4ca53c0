//! What a server cannot do, however it tries.

use std::time::Duration;

use mcp_deploy_core::{DeploymentBackendExt, Error, FailureReason, Status};
use serde_json::json;
use tokio::time::timeout;

use crate::fixture::Daemon;
use crate::site::spec;

pub(crate) async fn a_fork_bomb_meets_the_limit_of_processes(daemon: &Daemon) {
    let spec = spec("explore", json!({"resources": {"limits": {"pids": 20}}}));
    daemon.deploy(&spec).await.unwrap();
    let answer = daemon.call(&spec.name, "spawn", json!({"count": 100})).await.unwrap();
    let started = answer["started"].as_u64().unwrap();
    assert!((1..20).contains(&started) && answer["refused"].is_string(), "{answer}");
    // It still serves.
    daemon.call(&spec.name, "spawn", json!({"count": 1})).await.unwrap();
    daemon.remove_all(&spec.name).await;
}

pub(crate) async fn a_server_that_uses_too_much_memory_is_out_of_memory(daemon: &Daemon) {
    let spec = spec("explore", json!({"resources": {"limits": {"memory": "64Mi"}}, "restart": "never"}));
    daemon.deploy(&spec).await.unwrap();
    let answer = daemon.call(&spec.name, "allocate", json!({"megabytes": 200})).await;
    assert!(answer.is_err(), "{answer:?}");
    let failed = daemon.backend.wait_for(&spec.name, |deployment| deployment.status == Status::Failed);
    let failed = timeout(Duration::from_secs(20), failed).await.unwrap().unwrap();
    let failure = failed.failure.unwrap();
    assert_eq!((failure.reason, failure.exit_code), (FailureReason::OutOfMemory, Some(137)));
    daemon.remove_all(&spec.name).await;
}

pub(crate) async fn more_processors_than_there_are_is_an_error_of_the_configuration(daemon: &Daemon) {
    let spec = spec("well", json!({"resources": {"limits": {"cpu": "1000"}}}));
    match daemon.deploy(&spec).await {
        Err(Error::Failed { failure, .. }) => {
            assert_eq!(failure.reason, FailureReason::ConfigError, "{failure:?}");
            assert!(failure.message.contains("CPUs") && failure.hint.is_some(), "{failure:?}");
        }
        outcome => panic!("{outcome:?}"),
    }
    daemon.has_nothing_of(&spec.name).await;
}

pub(crate) async fn two_servers_do_not_reach_each_other(daemon: &Daemon) {
    let [one, other] = [(); 2].map(|()| spec("explore", json!({})));
    daemon.deploy(&one).await.unwrap();
    daemon.deploy(&other).await.unwrap();
    let networks = daemon.inspect(other.name.as_str()).await.network_settings.unwrap().networks.unwrap();
    let address = networks.values().find_map(|network| network.ip_address.clone()).unwrap();
    // It reaches itself, so the tool works.
    let itself = daemon.call(&one.name, "reach", json!({"address": "127.0.0.1:8080"})).await;
    assert!(itself.is_ok(), "{itself:?}");
    let reached = daemon.call(&one.name, "reach", json!({"address": format!("{address}:8080")})).await;
    assert!(reached.is_err(), "{reached:?}");
    daemon.remove_all(&one.name).await;
    daemon.remove_all(&other.name).await;
}
