//! What a cluster has to have for a server that deploys: a namespace, an account, and a role with exactly the
//! verbs that this crate uses.

mod server;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;
use mcp_deploy_core::{Error, Result, Token};
use serde_json::Value;

use crate::apply::{How, apply};
use crate::error::sorted;
use crate::handle::KubernetesBackend;
use crate::names::BACKEND;
use crate::objects::Object;
use crate::{labels, manifest, time};

pub use self::server::InClusterServer;

/// The name of the account, of its role, and of what binds them.
const DEPLOYER: &str = "mcp-platform-deployer";

/// What a server needs to reach the cluster by an account's token.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The URL of the API server.
    pub endpoint: String,
    /// The account's token.
    pub token: Token,
    /// When it ends; the cluster may have given another time than was asked for.
    pub expires_at: Timestamp,
    /// The certificates, in PEM, that the API server's own one is checked against, where they are not the system's.
    pub authorities: Option<String>,
    /// The namespace of the deployments.
    pub namespace: String,
}

impl KubernetesBackend {
    /// The objects that [`setup`](Self::setup) makes. Nothing is reached.
    pub fn setup_manifests(&self) -> Vec<Value> {
        let Setup { namespace, account, role, binding } = Setup::of(self.namespace());
        vec![
            Object::of(&namespace).body,
            Object::of(&account).body,
            Object::of(&role).body,
            Object::of(&binding).body,
        ]
    }

    /// Makes the namespace, the ServiceAccount `mcp-platform-deployer`, its Role and the RoleBinding where they are
    /// not there or not like this, and a token of the account that lives for `lifetime`.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] where these credentials may not make them.
    pub async fn setup(&self, lifetime: Duration) -> Result<Credentials> {
        let Setup { namespace: _, account, role, binding } = Setup::of(self.namespace());
        let failed = |what: &'static str| move |error| sorted(&format!("make the {what}"), error);
        let namespaces: Api<Namespace> = Api::all(self.client().await?);
        if namespaces.get_metadata_opt(self.namespace()).await.map_err(failed("namespace"))?.is_none() {
            self.make_namespace().await?;
        }
        let accounts: Api<ServiceAccount> = self.objects().await?;
        apply(&accounts, DEPLOYER, &account, How::ByForce).await.map_err(failed("ServiceAccount"))?;
        apply(&self.objects::<Role>().await?, DEPLOYER, &role, How::ByForce).await.map_err(failed("Role"))?;
        apply(&self.objects::<RoleBinding>().await?, DEPLOYER, &binding, How::ByForce)
            .await
            .map_err(failed("RoleBinding"))?;

        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let wanted = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(seconds), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let made = accounts.create_token_request(DEPLOYER, &PostParams::default(), &wanted).await;
        let status = made.map_err(failed("token"))?.status;
        let status =
            status.ok_or_else(|| Error::backend(BACKEND, "make the token", "the cluster gave none"))?;
        let access = self.access().await?;
        Ok(Credentials {
            endpoint: access.url.clone(),
            token: status.token.into(),
            expires_at: time::read(&status.expiration_timestamp),
            authorities: access.authorities.clone(),
            namespace: self.namespace().to_owned(),
        })
    }
}

struct Setup {
    namespace: Namespace,
    account: ServiceAccount,
    role: Role,
    binding: RoleBinding,
}

impl Setup {
    fn of(namespace: &str) -> Self {
        let metadata = ObjectMeta {
            name: Some(DEPLOYER.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels::of_platform()),
            ..ObjectMeta::default()
        };
        Self {
            namespace: manifest::namespace(namespace),
            account: ServiceAccount {
                metadata: metadata.clone(),
                // Its token is asked for, and mounted into no pod.
                automount_service_account_token: Some(false),
                ..ServiceAccount::default()
            },
            role: Role { metadata: metadata.clone(), rules: Some(rules()) },
            binding: RoleBinding {
                metadata,
                role_ref: RoleRef {
                    api_group: "rbac.authorization.k8s.io".to_owned(),
                    kind: "Role".to_owned(),
                    name: DEPLOYER.to_owned(),
                },
                subjects: Some(vec![Subject {
                    kind: "ServiceAccount".to_owned(),
                    name: DEPLOYER.to_owned(),
                    namespace: Some(namespace.to_owned()),
                    ..Subject::default()
                }]),
            },
        }
    }
}

/// What the verbs of the backend need, and nothing else. To apply an object is to `patch` it, and to `create` it
/// where it is not there.
fn rules() -> Vec<PolicyRule> {
    const KEEP: &[&str] = &["get", "list", "create", "patch", "delete"];
    const KEEP_AND_WATCH: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];
    const FOLLOW: &[&str] = &["list", "watch"];
    [
        ("apps", "deployments", KEEP_AND_WATCH),
        ("apps", "controllerrevisions", KEEP),
        ("", "configmaps", KEEP),
        ("", "secrets", KEEP),
        ("", "services", KEEP),
        ("", "persistentvolumeclaims", KEEP_AND_WATCH),
        ("networking.k8s.io", "networkpolicies", KEEP),
        ("networking.k8s.io", "ingresses", KEEP),
        ("autoscaling", "horizontalpodautoscalers", KEEP),
        ("policy", "poddisruptionbudgets", KEEP),
        ("apps", "replicasets", FOLLOW),
        ("", "pods", FOLLOW),
        ("", "pods/log", &["get"]),
        // The first is asked for since 1.35, the second before.
        ("", "pods/portforward", &["create", "get"]),
        ("", "events", FOLLOW),
    ]
    .into_iter()
    .map(|(group, resource, verbs)| PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        ..PolicyRule::default()
    })
    .collect()
}
