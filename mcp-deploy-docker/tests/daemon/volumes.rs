//! Volumes and host paths.

use std::collections::HashMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptionsBuilder;
use mcp_deploy_core::{DeleteOptions, DeploymentBackend, Error, FailureReason};
use mcp_deploy_docker::GarbageKind;
use serde_json::json;

use crate::fixture::{Daemon, image};
use crate::site::{new_name, spec, spec_of};

pub(crate) async fn a_volume_of_somebody_else_is_a_conflict(daemon: &Daemon) {
    let spec = spec("well", json!({"volumes": [{"name": "data", "path": "/data"}]}));
    let name = format!("{}-data", spec.name);
    let theirs = VolumeCreateRequest {
        name: Some(name.clone()),
        labels: Some(HashMap::from([("theirs".to_owned(), "yes".to_owned())])),
        ..VolumeCreateRequest::default()
    };
    daemon.docker.create_volume(theirs).await.unwrap();
    let outcome = daemon.deploy(&spec).await;
    assert!(matches!(&outcome, Err(Error::Conflict { name: found, .. }) if *found == name), "{outcome:?}");
    let options = RemoveVolumeOptionsBuilder::new().build();
    daemon.docker.remove_volume(&name, Some(options)).await.unwrap();
    daemon.has_nothing_of(&spec.name).await;
}

pub(crate) async fn a_volume_outlives_its_deployment_and_an_update(daemon: &Daemon) {
    let name = new_name();
    let volumes = json!([{"name": "deep", "path": "/var/lib/deep/data"}]);
    let first = spec_of(&name, "explore", json!({"volumes": volumes}));
    daemon.deploy(&first).await.unwrap();
    let path = "/var/lib/deep/data/kept";
    daemon.call(&name, "write", json!({"path": path, "text": "kept"})).await.unwrap();
    let changed = json!({"volumes": volumes, "version": "2"});
    daemon.deploy(&spec_of(&name, "explore", changed)).await.unwrap();
    daemon.backend.delete(&name, DeleteOptions::default()).await.unwrap();
    daemon.deploy(&first).await.unwrap();
    let read = daemon.call(&name, "read", json!({"path": path})).await.unwrap();
    assert_eq!(read["text"], "kept");
    daemon.remove_all(&name).await;
}

pub(crate) async fn a_volume_follows_the_user_of_the_server_and_back(daemon: &Daemon) {
    let name = new_name();
    let of_user = |user: u32| {
        let volumes = json!([{"name": "data", "path": "/data"}]);
        spec_of(&name, "explore", json!({"volumes": volumes, "security": {"run_as_user": user}}))
    };
    // The third is the first again, as the container that it was.
    for user in [1000, 2000, 1000] {
        daemon.deploy(&of_user(user)).await.unwrap();
        let path = format!("/data/{}", new_name());
        let written = daemon.call(&name, "write", json!({"path": path, "text": "x"})).await;
        assert!(written.is_ok(), "{user}: {written:?}");
    }
    daemon.remove_all(&name).await;
}

pub(crate) async fn what_an_image_declares_as_a_volume_is_collected_when_its_container_is_gone(
    daemon: &Daemon,
) {
    const DECLARES: &str = "mcp-deploy-test/declares:1";
    image::import(&daemon.docker, DECLARES, &["VOLUME /declared"]).await.unwrap();
    let [_, _, before] = daemon.counts().await;
    let spec = spec("well", json!({"docker_image": DECLARES}));
    daemon.deploy(&spec).await.unwrap();
    daemon.remove_all(&spec.name).await;
    assert_eq!(daemon.counts().await[2], before, "delete left the anonymous volume");

    daemon.deploy(&spec).await.unwrap();
    daemon.remove_behind_our_back(spec.name.as_str()).await;
    let collected = daemon.backend.gc(false).await.unwrap();
    assert_eq!(collected.iter().filter(|garbage| garbage.kind == GarbageKind::Volume).count(), 1);
    assert_eq!(daemon.counts().await[2], before);
}

pub(crate) async fn a_host_path_has_to_exist_and_read_only_is_respected(daemon: &Daemon) {
    let directory = tempfile::tempdir().unwrap();
    let host = directory.path().display().to_string();
    std::fs::write(directory.path().join("file"), "theirs").unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let name = new_name();
    let mounted = spec_of(&name, "explore", json!({"volume_mounts": [format!("{host}:/mnt/host:ro")]}));
    assert!(mounted.mounts[0].read_only, "{:?}", mounted.mounts);
    daemon.deploy(&mounted).await.unwrap();
    let read = daemon.call(&name, "read", json!({"path": "/mnt/host/file"})).await.unwrap();
    assert_eq!(read["text"], "theirs");
    let written = daemon.call(&name, "write", json!({"path": "/mnt/host/file", "text": "x"})).await;
    assert!(written.unwrap_err().contains("Read-only"));
    daemon.remove_all(&name).await;

    let nowhere = spec_of(&name, "well", json!({"volume_mounts": ["/nowhere/at/all:/mnt/host"]}));
    match daemon.deploy(&nowhere).await {
        Err(Error::Failed { failure, .. }) => {
            assert_eq!(failure.reason, FailureReason::Volume);
            assert!(failure.message.contains("/nowhere/at/all"), "{failure}");
        }
        outcome => panic!("{outcome:?}"),
    }
    daemon.has_nothing_of(&name).await;
}
