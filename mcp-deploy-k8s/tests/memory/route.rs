//! From the path of a request to what it is about.

use std::collections::BTreeMap;

/// A kind of object that the server knows.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "it is the word of the API")]
pub(super) struct Kind {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) resource: &'static str,
    pub(super) kind: &'static str,
    pub(super) is_namespaced: bool,
}

const fn namespaced(
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    kind: &'static str,
) -> Kind {
    Kind { group, version, resource, kind, is_namespaced: true }
}

pub(super) static KINDS: &[Kind] = &[
    Kind { group: "", version: "v1", resource: "namespaces", kind: "Namespace", is_namespaced: false },
    namespaced("", "v1", "configmaps", "ConfigMap"),
    namespaced("", "v1", "events", "Event"),
    namespaced("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    namespaced("", "v1", "pods", "Pod"),
    namespaced("", "v1", "secrets", "Secret"),
    namespaced("", "v1", "services", "Service"),
    namespaced("apps", "v1", "controllerrevisions", "ControllerRevision"),
    namespaced("apps", "v1", "deployments", "Deployment"),
    namespaced("apps", "v1", "replicasets", "ReplicaSet"),
    namespaced("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    namespaced("networking.k8s.io", "v1", "ingresses", "Ingress"),
    namespaced("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    namespaced("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
];

impl Kind {
    pub(super) fn of(resource: &str) -> &'static Self {
        KINDS.iter().find(|kind| kind.resource == resource).expect("the server knows its own kinds")
    }

    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// As errors name it: `deployments.apps`.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }
}

/// What a request is about.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) kind: &'static Kind,
    /// `None` where it is about all namespaces, or about what is in none.
    pub(super) namespace: Option<String>,
    /// `None` where it is about all objects of the kind.
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

impl Route {
    /// `None` where the server knows nothing of the kind.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.trim_matches('/').split('/').map(decoded).collect::<Vec<_>>().into_iter();
        let group = match parts.next()?.as_str() {
            "api" => String::new(),
            "apis" => parts.next()?,
            _ => return None,
        };
        let version = parts.next()?;
        let mut rest: Vec<String> = parts.collect();
        let mut namespace = None;
        if rest.len() > 2 && rest[0] == "namespaces" {
            namespace = Some(rest.remove(1));
            rest.remove(0);
        }
        let mut rest = rest.into_iter();
        let resource = rest.next()?;
        let kind = KINDS
            .iter()
            .find(|kind| kind.group == group && kind.version == version && kind.resource == resource)?;
        Some(Self { kind, namespace, name: rest.next(), subresource: rest.next() })
    }
}

/// The parameters of a query string.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key), decoded(value))
        };
        Self(query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect())
    }

    /// A parameter that is given and not empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn is(&self, key: &str) -> bool {
        self.get(key) == Some("true")
    }

    pub(super) fn number(&self, key: &str) -> Option<usize> {
        self.get(key)?.parse().ok()
    }
}

/// Without percent-encoding and the `+` of forms.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| char::from(digit.unwrap_or(b'0')));
                u8::from_str_radix(&String::from_iter(digits), 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
