//! What an account may do: enough for every verb, and nothing more.

use std::time::Duration;

use k8s_openapi::api::rbac::v1::Role;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::config::Kubeconfig;
use mcp_deploy_core::{
    DeleteOptions, DeployOptions, DeploymentBackend, Error, KubernetesSettings, LogOptions, Request, Result,
};
use mcp_deploy_k8s::KubernetesBackend;
use secrecy::ExposeSecret;
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::Cluster;
use crate::real;
use crate::site::{PATIENCE, new_name, resolved};

const ROLE: &str = "mcp-platform-deployer";

/// A backend that reaches the cluster with a token.
fn with_token(token: &str, namespace: &str) -> (KubernetesBackend, TempDir) {
    let mut kubeconfig = Kubeconfig::read_from(real::kubeconfig().unwrap()).unwrap();
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = serde_json::from_value(json!({"token": token})).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kubeconfig");
    std::fs::write(&file, serde_json::to_string(&kubeconfig).unwrap()).unwrap();
    let settings = KubernetesSettings {
        namespace: namespace.to_owned(),
        kubeconfig: vec![file],
        ingress_host: Some("example.test".to_owned()),
        ..KubernetesSettings::default()
    };
    (KubernetesBackend::new(settings), directory)
}

/// Deploys, updates, goes back, reads, connects and deletes.
async fn everything(backend: &KubernetesBackend) -> Result<()> {
    let name = new_name();
    let more = json!({
        "volumes": [{"name": "data", "path": "/data"}], "autoscaling": {"min_replicas": 2, "max_replicas": 2},
        "exposure": {"class": "none", "tls_secret": "none"},
    });
    let first = resolved("well", json!({}), &Request::default().name(name.as_str()).env("API_TOKEN", "one"));
    let full = resolved("well", more, &Request::default().name(name.as_str()).env("API_TOKEN", "two"));
    let worked = async {
        backend.check().await?;
        backend.deploy(&first, DeployOptions { dry_run: true, ..DeployOptions::default() }).await?;
        backend.deploy(&first, DeployOptions::default()).await?;
        mcp_deploy_core::DeploymentBackendExt::wait_ready(backend, &name).await?;
        let connection = backend.connect(&name).await?;
        mcp_deploy_core::probe::probe(&connection, Duration::from_secs(20))
            .await
            .map_err(|error| Error::backend("kubernetes", "probe", error))?;
        let lines =
            futures_util::StreamExt::collect::<Vec<_>>(backend.logs(&name, LogOptions::default())).await;
        lines.into_iter().collect::<Result<Vec<_>>>()?;
        backend.deploy(&full, DeployOptions::default()).await?;
        let revision = backend.revisions(&name).await?.remove(0);
        backend.deploy(&revision.spec, DeployOptions::default()).await?;
        backend.restart(&name).await?;
        backend.scale(&name, 0).await?;
        Ok(())
    };
    let worked = tokio::time::timeout(PATIENCE, worked).await.expect("it ends in time");
    let deleted = backend.delete(&name, DeleteOptions { volumes: true }).await;
    worked.and(deleted)
}

pub(crate) async fn the_role_is_enough_and_each_of_its_rules_is_needed(cluster: &Cluster) {
    let own = cluster.namespace("mcp-deploy-e2e-role", json!({})).await;
    let credentials = own.backend.setup(Duration::from_hours(1)).await.unwrap();
    assert!(credentials.expires_at > jiff::Timestamp::now());
    let (backend, _directory) = with_token(credentials.token.0.expose_secret(), &own.namespace);
    everything(&backend).await.unwrap();

    let roles: Api<Role> = Api::namespaced(own.client.clone(), &own.namespace);
    let all = roles.get(ROLE).await.unwrap().rules.unwrap();
    for left_out in 0..all.len() {
        let mut others = all.clone();
        let rule = others.remove(left_out);
        let less = Patch::Merge(json!({"rules": others}));
        roles.patch(ROLE, &PatchParams::default(), &less).await.unwrap();
        // The API server's authorizer hears of it in its own time.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let outcome = everything(&backend).await;
        let resource = rule.resources.unwrap_or_default().concat();
        let is_denied = matches!(&outcome, Err(Error::Denied { action, .. }) if action.contains(&resource.replace('/', "")) || action.contains(&resource));
        assert!(is_denied, "without {resource}: {outcome:?}");
    }
    // Set up again, it is as it was.
    own.backend.setup(Duration::from_hours(1)).await.unwrap();
    assert_eq!(roles.get(ROLE).await.unwrap().rules.unwrap(), all);
    own.remove_namespace().await;
}

pub(crate) async fn credentials_that_do_not_do_say_so(cluster: &Cluster) {
    let (backend, _directory) = with_token("not-a-token", &cluster.namespace);
    let error = backend.check().await.unwrap_err();
    assert!(matches!(&error, Error::Denied { action, .. } if action.contains("credentials")), "{error:?}");
}
