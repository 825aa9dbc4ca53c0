//! The real cluster of `MCP_DEPLOY_E2E_KUBECONFIG`. Another variable than the usual one, so that nobody's own
//! cluster is tested on by accident.

use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use mcp_deploy_core::{BoxError, KubernetesSettings};
use serde_json::json;

use crate::fixture::Cluster;

const KUBECONFIG: &str = "MCP_DEPLOY_E2E_KUBECONFIG";

pub(crate) fn kubeconfig() -> Result<PathBuf, BoxError> {
    let path = std::env::var_os(KUBECONFIG);
    let path =
        path.ok_or_else(|| format!("{KUBECONFIG} is not set, `cargo xtask e2e kubernetes` sets it"))?;
    Ok(PathBuf::from(path))
}

/// A namespace of the cluster.
pub(crate) async fn cluster(namespace: &str) -> Result<Cluster, BoxError> {
    let path = kubeconfig()?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(&path)?, &options).await?;
    let client = Client::try_from(config)?;
    provide_volumes(&client).await?;
    let settings = KubernetesSettings {
        namespace: namespace.to_owned(),
        kubeconfig: vec![path],
        ingress_host: Some("example.test".to_owned()),
        ..KubernetesSettings::default()
    };
    Cluster::at(settings, client, true).await
}

/// The directory of those volumes on the node.
const VOLUME: &str = "/tmp/mcp-deploy-test-volume";

/// Volumes for the claims of the suite, where nothing in the cluster makes them: then its node is this machine.
async fn provide_volumes(client: &Client) -> Result<(), BoxError> {
    const VOLUMES: usize = 6;
    let classes: Api<StorageClass> = Api::all(client.clone());
    let is_default = |class: &StorageClass| {
        class.annotations().get("storageclass.kubernetes.io/is-default-class").is_some_and(|it| it == "true")
    };
    if classes.list(&ListParams::default()).await?.iter().any(is_default) {
        return Ok(());
    }
    // A cluster that provides volumes gives them to the pod's group; to a directory of the node nobody does.
    fs::create_dir_all(VOLUME)?;
    #[cfg(unix)]
    fs::set_permissions(VOLUME, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let ours = ListParams::default().labels("mcp-deploy.dev/test=conformance");
    for old in volumes.list(&ours).await? {
        volumes.delete(&old.name_any(), &DeleteParams::default()).await?;
    }
    for _ in 0..VOLUMES {
        let volume: PersistentVolume = serde_json::from_value(json!({
            "metadata": {"generateName": "mcp-deploy-test-", "labels": {"mcp-deploy.dev/test": "conformance"}},
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": VOLUME, "type": "Directory"},
            },
        }))?;
        volumes.create(&PostParams::default(), &volume).await?;
    }
    Ok(())
}
