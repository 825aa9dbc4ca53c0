//! Where somebody else has changed what was deployed.

use k8s_openapi::api::apps::v1::Deployment as Live;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::labels::Ours;
use crate::manifest::{self, Placed};

/// What the API server adds to what it is told.
const DEFAULTED: &[&str] = &[
    "creationTimestamp",
    "dnsPolicy",
    "fieldPath",
    "initialDelaySeconds",
    "protocol",
    "restartPolicy",
    "scheme",
    "schedulerName",
    "successThreshold",
    "terminationMessagePath",
    "terminationMessagePolicy",
];

/// A place that is not as it was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// A JSON pointer (RFC 6901) into the Deployment.
    pub(crate) pointer: String,
    /// Whether something was added, rather than changed or taken away.
    pub(crate) is_added: bool,
}

/// The places in a Deployment that are not as its own annotations say. Its size is not among them: it may be scaled.
pub(crate) fn of(ours: &Ours, live: &Live, ingress_host: Option<&str>) -> Vec<Change> {
    let Some(spec) = &live.spec else { return Vec::new() };
    let beside = Placed {
        namespace: live.metadata.namespace.clone().unwrap_or_default(),
        revision: ours.revision,
        replicas: ours.spec.replicas,
        deployed_at: ours.deployed_at,
        updated_at: ours.updated_at,
        restarted_at: ours.restarted_at.clone(),
        secret: ours.secret.clone(),
        owner: None,
        ingress_host: ingress_host.map(str::to_owned),
    };
    let Ok(manifests) = manifest::render(&ours.spec, &beside) else { return Vec::new() };
    let Some(mut wanted) = manifests.deployment.spec else { return Vec::new() };
    let mut found = spec.clone();
    (wanted.replicas, found.replicas) = (None, None);
    (wanted.paused, found.paused) = (None, None);
    let mut changes = Vec::new();
    if let (Ok(wanted), Ok(found)) = (serde_json::to_value(wanted), serde_json::to_value(found)) {
        compare("/spec", &wanted, &found, &mut changes);
    }
    changes
}

fn compare(pointer: &str, wanted: &Value, found: &Value, changes: &mut Vec<Change>) {
    let mut push = |pointer: String, is_added| changes.push(Change { pointer, is_added });
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let is_added = |key: &String, value: &Value| {
                !wanted.contains_key(key) && !is_empty(value) && !DEFAULTED.contains(&key.as_str())
            };
            for key in found.iter().filter(|(key, value)| is_added(key, value)).map(|(key, _)| key) {
                push(format!("{pointer}/{}", escaped(key)), true);
            }
            for (key, value) in wanted {
                let pointer = format!("{pointer}/{}", escaped(key));
                match found.get(key) {
                    Some(found) => compare(&pointer, value, found, changes),
                    None if is_empty(value) => {}
                    None => changes.push(Change { pointer, is_added: false }),
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            for (index, found) in found.iter().enumerate() {
                let pointer = format!("{pointer}/{index}");
                match wanted.iter().find(|wanted| key(wanted).is_some_and(|name| Some(name) == key(found))) {
                    Some(wanted) => compare(&pointer, wanted, found, changes),
                    None if key(found).is_some() => changes.push(Change { pointer, is_added: true }),
                    None => {}
                }
            }
            let names: Vec<_> = found.iter().map(key).collect();
            if wanted.iter().any(|wanted| !names.contains(&key(wanted)))
                || (names.contains(&None) && wanted != found)
            {
                changes.push(Change { pointer: pointer.to_owned(), is_added: false });
            }
        }
        _ if wanted != found => push(pointer.to_owned(), false),
        _ => {}
    }
}

/// By what an item of a list is known, in the lists of a pod; `None` where the list is taken as a whole.
fn key(item: &Value) -> Option<String> {
    let fields = ["mountPath", "name", "configMapRef", "secretRef"];
    let of = fields.iter().find_map(|field| item.get(field));
    of.map(|key| key.as_str().map_or_else(|| key.to_string(), str::to_owned))
}

/// What the API server leaves out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
