//! What runs `mcp-deploy-server` in the cluster that it deploys to.

use serde_json::{Map, Value, json};

use super::DEPLOYER;
use crate::handle::KubernetesBackend;
use crate::labels;

/// The name of the server's Deployment, its Service and its Ingress.
const SERVER: &str = "mcp-platform-backend";
/// The port of the server, in its pods and at its Service.
const PORT: u16 = 8000;
/// Where its pods find the tokens file.
const TOKENS: &str = "/etc/mcp-platform";

/// A server in the cluster that it deploys to: two replicas, behind a Service.
#[derive(Debug, Clone, Default)]
pub struct InClusterServer {
    /// The image of `mcp-deploy-server`.
    pub image: String,
    /// The tokens file, which holds digests and no token.
    pub tokens: String,
    /// The host at which an Ingress exposes it, by TLS; none where nothing outside of the cluster shall reach it.
    pub ingress_host: Option<String>,
}

impl KubernetesBackend {
    /// The objects that run a server in this cluster: those of [`setup`](Self::setup_manifests), then a Secret of its
    /// tokens, a Deployment whose pods satisfy the Pod Security Standard `restricted`, a Service, and an Ingress where
    /// a host is given. Nothing is reached.
    pub fn server_manifests(&self, server: &InClusterServer) -> Vec<Value> {
        let InClusterServer { image, tokens, ingress_host } = server;
        let metadata = self.metadata();
        let mut objects = self.setup_manifests();
        objects.push(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": metadata, "stringData": {"tokens": tokens},
        }));
        objects.push(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": selector()},
                "strategy": {"rollingUpdate": {"maxUnavailable": 0}},
                "template": {"metadata": {"labels": its_labels()}, "spec": self.pod(image)},
            },
        }));
        objects.push(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {
                "selector": selector(),
                "ports": [{"name": "http", "port": PORT, "targetPort": "http"}],
            },
        }));
        objects.extend(ingress_host.as_deref().map(|host| ingress(host, &metadata)));
        objects
    }

    fn metadata(&self) -> Value {
        json!({"name": SERVER, "namespace": self.namespace(), "labels": its_labels()})
    }

    fn pod(&self, image: &str) -> Value {
        json!({
            // Its token is how the server reaches the API server.
            "serviceAccountName": DEPLOYER,
            "automountServiceAccountToken": true,
            "enableServiceLinks": false,
            // A deploy that is under way is finished.
            "terminationGracePeriodSeconds": 60,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "topologySpreadConstraints": [{
                "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector()},
            }],
            "containers": [{
                "name": "server",
                "image": image,
                "env": [
                    {"name": "MCP_DEPLOYMENT_BACKEND", "value": "kubernetes"},
                    {"name": "MCP_NAMESPACE", "value": self.namespace()},
                    {"name": "MCP_BIND", "value": format!("0.0.0.0:{PORT}")},
                    {"name": "MCP_API_TOKENS_FILE", "value": format!("{TOKENS}/tokens")},
                    {"name": "MCP_LOG_FORMAT", "value": "json"},
                ],
                "ports": [{"name": "http", "containerPort": PORT}],
                "livenessProbe": {"httpGet": {"path": "/health", "port": "http"}},
                "readinessProbe": {
                    "httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 6,
                },
                // It serves until nobody is sent to it any more.
                "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                "resources": {
                    "requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "tokens", "mountPath": TOKENS, "readOnly": true}],
            }],
            "volumes": [{"name": "tokens", "secret": {"secretName": SERVER}}],
        })
    }
}

fn its_labels() -> Map<String, Value> {
    let of_platform = labels::of_platform().into_iter().map(|(name, value)| (name, value.into()));
    selector().into_iter().chain(of_platform).collect()
}

fn selector() -> Map<String, Value> {
    Map::from_iter([("app.kubernetes.io/name".to_owned(), SERVER.into())])
}

fn ingress(host: &str, metadata: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata,
        "spec": {
            "tls": [{"hosts": [host], "secretName": format!("{SERVER}-tls")}],
            "rules": [{"host": host, "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": SERVER, "port": {"name": "http"}}},
            }]}}],
        },
    })
}
