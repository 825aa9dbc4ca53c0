//! Deleting objects, and with them what they own.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::list::Selection;
use super::object::{self, FOREGROUND};
use super::serve::Asked;
use super::status::Status;
use super::store::{Key, State, Store};

/// What a namespace waits for: that nothing is left in it.
const NAMESPACE: &str = "kubernetes";

/// The object where it is still there, else a `Status` that says that it is gone.
pub(super) fn one(store: &Store, asked: &Asked, name: &str) -> Result<Value, Status> {
    let key = Key::of(&asked.route, name);
    let delete = |state: &mut State| {
        let found = state.found(&key)?;
        let wanted = &asked.body["preconditions"];
        check(&key, &found.value, wanted)?;
        begin(state, &key, is_foreground(asked));
        let gone = || {
            let details = json!({
                "name": name, "group": key.kind().group, "kind": key.resource, "uid": object::uid(&found.value),
            });
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
        };
        Ok(state.get(&key).map_or_else(gone, |left| Value::clone(&left.value)))
    };
    let is_dry_run = asked.is_dry_run() || asked.body["dryRun"].as_array().is_some_and(|it| !it.is_empty());
    if is_dry_run { store.try_out(delete) } else { store.write(delete) }
}

fn check(key: &Key, found: &Value, wanted: &Value) -> Result<(), Status> {
    for (field, written) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let (wanted, found) = (wanted[field].as_str(), object::metadata(found, field));
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            let why = format!(
                "Precondition failed: {written} in precondition: {wanted}, {written} in object meta: {found}"
            );
            return Err(Status::conflict(key.kind(), &key.name, &why));
        }
    }
    Ok(())
}

fn is_foreground(asked: &Asked) -> bool {
    let policy = asked.body["propagationPolicy"].as_str();
    policy.or_else(|| asked.query.get("propagationPolicy")) == Some("Foreground")
}

pub(super) fn collection(store: &Store, asked: &Asked) -> Value {
    let selection = Selection::of(&asked.query);
    let route = &asked.route;
    let items = store.write(|state| {
        let chosen = state.list(route.kind.resource, route.namespace.as_deref());
        let chosen = chosen.filter(|(_, value)| selection.chooses(value));
        let chosen: Vec<(Key, Arc<Value>)> =
            chosen.map(|(key, value)| (key.clone(), Arc::clone(value))).collect();
        for (key, _) in &chosen {
            begin(state, key, is_foreground(asked));
        }
        chosen.into_iter().map(|(_, value)| Value::clone(&value)).collect::<Vec<_>>()
    });
    let kind = format!("{}List", route.kind.kind);
    json!({"apiVersion": route.kind.api_version(), "kind": kind, "metadata": {}, "items": items})
}

/// Begins to delete an object. It is gone at once where nothing has to come before.
pub(super) fn begin(state: &mut State, key: &Key, is_foreground: bool) {
    let Some(found) = state.get(key) else { return };
    let awaits = match key.resource {
        "namespaces" => Some(NAMESPACE),
        _ if is_foreground => Some(FOREGROUND),
        _ => None,
    };
    let has_finalizers = found.value["metadata"].get("finalizers").is_some();
    if awaits.is_none() && !has_finalizers && key.resource != "pods" {
        state.remove(key);
        return;
    }
    state.edit(key, |value| {
        if object::is_ending(value) {
            return;
        }
        if key.resource == "pods" {
            let grace = value["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
            value["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        } else if let Some(finalizer) = awaits {
            let mut finalizers = value["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
            finalizers.push(finalizer.into());
            value["metadata"]["finalizers"] = finalizers.into();
        }
        value["metadata"]["deletionTimestamp"] = object::now().into();
    });
}

/// Collects what nobody owns any more, and goes on with what waits for its dependents.
pub(super) fn collect(state: &mut State) {
    let all: Vec<(Key, Arc<Value>)> =
        state.objects.iter().map(|(key, stored)| (key.clone(), Arc::clone(&stored.value))).collect();
    let there: BTreeSet<&str> = all.iter().map(|(_, value)| object::uid(value)).collect();
    let is_orphan = |value: &Value| {
        let owners = object::owners(value);
        let is_gone = |owner: &Value| !there.contains(owner["uid"].as_str().unwrap_or_default());
        !owners.is_empty() && owners.iter().all(is_gone)
    };
    for (key, _) in all.iter().filter(|(_, value)| is_orphan(value) && !object::is_ending(value)) {
        begin(state, key, false);
    }
    for (key, value) in all.iter().filter(|(_, value)| object::is_ending(value)) {
        if object::has_finalizer(value, FOREGROUND) {
            let owned = all.iter().filter(|(_, other)| object::is_owned_by(other, object::uid(value)));
            go_on(state, key, FOREGROUND, owned.filter(|(_, other)| is_blocking(other, object::uid(value))));
        }
        if object::has_finalizer(value, NAMESPACE) {
            go_on(state, key, NAMESPACE, all.iter().filter(|(other, _)| other.namespace == key.name));
        }
    }
}

fn is_blocking(dependent: &Value, owner: &str) -> bool {
    let of_owner = object::owners(dependent).iter().find(|reference| reference["uid"] == owner);
    of_owner.is_some_and(|reference| reference["blockOwnerDeletion"] == true)
}

/// Deletes what an object waits for; where nothing is left of it, the object waits no more.
fn go_on<'a>(
    state: &mut State,
    key: &Key,
    finalizer: &str,
    awaited: impl Iterator<Item = &'a (Key, Arc<Value>)>,
) {
    let mut is_over = true;
    for (awaited, value) in awaited {
        if !object::is_ending(value) {
            begin(state, awaited, awaited.resource == "replicasets" || awaited.resource == "deployments");
        }
        is_over &= state.get(awaited).is_none();
    }
    if is_over {
        state.edit(key, |value| {
            if let Some(finalizers) = value["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|it| it != finalizer);
            }
        });
    }
}
