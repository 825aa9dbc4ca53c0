//! What every object has, and the fields of an object as server-side apply counts them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// A field: steps as `fieldsV1` writes them, `f:name` into an object and `k:{"name":"x"}` into a list.
pub(super) type Path = Vec<String>;
pub(super) type Fields = BTreeSet<Path>;

/// The finalizer of what waits for its dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

pub(super) fn metadata<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

pub(super) fn name(object: &Value) -> &str {
    metadata(object, "name")
}

pub(super) fn uid(object: &Value) -> &str {
    metadata(object, "uid")
}

pub(super) fn is_ending(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

pub(super) fn owners(object: &Value) -> &[Value] {
    object["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn is_owned_by(object: &Value, owner: &str) -> bool {
    owners(object).iter().any(|reference| reference["uid"] == owner)
}

pub(super) fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|it| it == finalizer))
}

/// The reference of an object to the controller that made it.
pub(super) fn controlled_by(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    }])
}

/// As the API writes times: in whole seconds.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The metadata alone, as `meta.k8s.io` has it.
pub(super) fn only_metadata(object: &Value) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"],
    })
}

/// By which of their fields the items of a list are known; `None` where the list is one value as a whole.
pub(super) fn list_key(field: &str, items: &[Value]) -> Option<&'static str> {
    let key = match field {
        "f:containers" | "f:initContainers" | "f:volumes" | "f:env" | "f:ports" | "f:imagePullSecrets" => {
            "name"
        }
        "f:volumeMounts" => "mountPath",
        "f:ownerReferences" => "uid",
        _ => return None,
    };
    items.iter().all(|item| item[key].is_string()).then_some(key)
}

/// Whether an object is one value as a whole.
pub(super) fn is_atomic(kind: &str, path: &[String]) -> bool {
    let is_selector = |field: &String| field.to_lowercase().ends_with("selector");
    path.last().is_some_and(is_selector) || (kind == "ControllerRevision" && path == ["f:data"])
}

pub(super) fn item_step(key: &str, item: &Value) -> String {
    format!("k:{}", json!({key: item[key]}))
}

/// The fields that an object says something of. What says which object it is, and what the server itself keeps,
/// are none.
pub(super) fn fields(object: &Value) -> Fields {
    let mut fields = Fields::new();
    let mut object = object.clone();
    strip(&mut object);
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    if let Some(object) = object.as_object_mut() {
        object.remove("kind");
        object.remove("apiVersion");
        object.remove("status");
        for (field, value) in object {
            collect(&kind, &mut vec![format!("f:{field}")], value, &mut fields);
        }
    }
    fields
}

/// Takes away what only the server says of an object.
pub(super) fn strip(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in [
            "name",
            "namespace",
            "generateName",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "selfLink",
        ] {
            metadata.remove(field);
        }
    }
}

fn collect(kind: &str, path: &mut Path, value: &Value, fields: &mut Fields) {
    let field = path.last().cloned().unwrap_or_default();
    match value {
        Value::Null => {}
        Value::Object(object) if !object.is_empty() && !is_atomic(kind, path) => {
            for (name, value) in object {
                path.push(format!("f:{name}"));
                collect(kind, path, value, fields);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() && list_key(&field, items).is_some() => {
            let key = list_key(&field, items).unwrap_or_default();
            for item in items {
                path.push(item_step(key, item));
                fields.insert(path.clone());
                collect(kind, path, item, fields);
                path.pop();
            }
        }
        // What says only that the metadata is there.
        Value::Object(_) if *path == ["f:metadata"] => {}
        _ => {
            fields.insert(path.clone());
        }
    }
}

/// The value of a field.
pub(super) fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step.split_at(2) {
        ("f:", field) => value.get(field),
        (_, key) => value.as_array()?.iter().find(|item| is_keyed(item, key)),
    })
}

fn is_keyed(item: &Value, key: &str) -> bool {
    let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
    !key.is_empty() && key.iter().all(|(field, value)| item.get(field) == Some(value))
}

/// Removes a field, and what is empty then unless `is_kept` says otherwise.
pub(super) fn remove(object: &mut Value, path: &[String], is_kept: &dyn Fn(&[String]) -> bool) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = parents.iter().try_fold(&mut *object, |value, step| match step.split_at(2) {
        ("f:", field) => value.get_mut(field),
        (_, key) => value.as_array_mut()?.iter_mut().find(|item| is_keyed(item, key)),
    });
    let is_empty = match (parent, last.split_at(2)) {
        (Some(Value::Object(fields)), ("f:", field)) => {
            fields.remove(field);
            fields.is_empty()
        }
        (Some(Value::Array(items)), (_, key)) => {
            items.retain(|item| !is_keyed(item, key));
            items.is_empty()
        }
        _ => false,
    };
    if is_empty && parents.len() > 1 && !is_kept(parents) {
        remove(object, parents, is_kept);
    }
}

/// Fields as `fieldsV1` nests them.
pub(super) fn fields_v1(fields: &Fields) -> Value {
    let mut root = json!({});
    for path in fields {
        let mut node = &mut root;
        for step in path {
            if node[step].is_null() {
                node[step] = json!({});
            }
            node = &mut node[step];
        }
        if path.last().is_some_and(|step| step.starts_with("k:")) {
            node["."] = json!({});
        }
    }
    root
}

/// A field as messages write it: `.spec.replicas`.
pub(super) fn written(path: &[String]) -> String {
    let step = |step: &String| match step.split_at(2) {
        ("f:", field) => format!(".{field}"),
        (_, key) => {
            let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
            key.iter().map(|(field, value)| ["[", field, "=", &value.to_string(), "]"].concat()).collect()
        }
    };
    path.iter().map(step).collect()
}
