//! Writing objects whole or by patch: POST, PUT, and the three kinds of PATCH that are not server-side apply.

use serde_json::{Value, json};

use super::apply::check_identity;
use super::object::{self, Fields};
use super::serve::Asked;
use super::status::Status;
use super::store::{Key, Managers, State, Store, Stored};

/// Who writes without saying who.
const MANAGER: &str = "kubectl";

pub(super) fn create(store: &Store, asked: &Asked) -> Result<Value, Status> {
    let create = |state: &mut State| {
        let prefix = object::metadata(&asked.body, "generateName");
        let name = match object::name(&asked.body) {
            "" if prefix.is_empty() => {
                return Err(Status::invalid(
                    asked.route.kind,
                    "",
                    "metadata.name",
                    "name or generateName is required",
                ));
            }
            "" => format!("{prefix}{:05x}", state.version + 1),
            name => name.to_owned(),
        };
        let key = Key::of(&asked.route, &name);
        state.check_namespace(&key)?;
        if state.get(&key).is_some() {
            return Err(Status::already_exists(asked.route.kind, &name));
        }
        let mut value = defaulted(&key, asked.body.clone());
        value["kind"] = key.kind().kind.into();
        let managers = changed(Managers::new(), asked, &Value::Null, &value);
        Ok(Value::clone(&state.put(&key, value, managers)))
    };
    if asked.is_dry_run() { store.try_out(create) } else { store.write(create) }
}

pub(super) fn replace(store: &Store, asked: &Asked, name: &str) -> Result<Value, Status> {
    change(store, asked, name, |key, found| {
        check_identity(key, found, &asked.body)?;
        let mut value = asked.body.clone();
        // What only the server says of it stays.
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            if !found["metadata"][field].is_null() {
                value["metadata"][field] = found["metadata"][field].clone();
            }
        }
        Ok(value)
    })
}

pub(super) fn patch(store: &Store, asked: &Asked, name: &str) -> Result<Value, Status> {
    let Asked { content_type, body, .. } = asked;
    change(store, asked, name, |key, found| {
        let mut value = found.clone();
        if content_type.contains("json-patch") {
            for step in body.as_array().into_iter().flatten() {
                json_patch(&mut value, step).ok_or_else(|| {
                    let message = "the server rejected our request due to an error in our request";
                    Status::new(422, "Invalid", message)
                })?;
            }
        } else if content_type.contains("strategic-merge-patch") || content_type.contains("merge-patch") {
            check_identity(key, found, body)?;
            merge(&mut value, body, content_type.contains("strategic"));
        } else {
            let message = format!("the body of the request was in an unknown format: {content_type}");
            return Err(Status::new(415, "UnsupportedMediaType", message));
        }
        Ok(value)
    })
}

fn change(
    store: &Store,
    asked: &Asked,
    name: &str,
    change: impl FnOnce(&Key, &Value) -> Result<Value, Status>,
) -> Result<Value, Status> {
    let change = |state: &mut State| {
        let key = Key::of(&asked.route, name);
        let Stored { value: before, managers } = state.found(&key)?;
        let mut value = change(&key, &before)?;
        if before["status"].is_null() {
            value.as_object_mut().map(|value| value.remove("status"));
        } else {
            value["status"] = before["status"].clone();
        }
        value["kind"] = key.kind().kind.into();
        let value = defaulted(&key, value);
        check_changes(&key, &before, &value)?;
        let managers = changed(managers, asked, &before, &value);
        Ok(Value::clone(&state.put(&key, value, managers)))
    };
    if asked.is_dry_run() { store.try_out(change) } else { store.write(change) }
}

/// What is not said, as the server says it.
pub(super) fn defaulted(key: &Key, mut value: Value) -> Value {
    match key.resource {
        "deployments" if value["spec"]["replicas"].is_null() => value["spec"]["replicas"] = 1.into(),
        // No volume is waited for.
        "persistentvolumeclaims" => value["status"] = json!({"phase": "Bound"}),
        _ => {}
    }
    value
}

/// Refuses changes to what cannot change.
pub(super) fn check_changes(key: &Key, before: &Value, after: &Value) -> Result<(), Status> {
    let immutable = match key.resource {
        "deployments" => ["spec", "selector"].as_slice(),
        "controllerrevisions" => &["data"],
        "configmaps" | "secrets" if before["immutable"] == true => &["data"],
        _ => return Ok(()),
    };
    let of = |object: &Value| immutable.iter().fold(object, |value, field| &value[field]).clone();
    if of(before) == of(after) {
        return Ok(());
    }
    let why = match key.resource {
        "configmaps" | "secrets" => "field is immutable when `immutable` is set",
        _ => "field is immutable",
    };
    Err(Status::invalid(key.kind(), &key.name, &immutable.join("."), why))
}

/// The managers after a change, which has what it has changed.
fn changed(mut managers: Managers, asked: &Asked, before: &Value, after: &Value) -> Managers {
    let (was, is) = (object::fields(before), object::fields(after));
    let is_item = |path: &object::Path| path.last().is_some_and(|step| step.starts_with("k:"));
    let is_touched = |path: &object::Path| {
        !was.contains(path) || (!is_item(path) && object::at(before, path) != object::at(after, path))
    };
    let touched: Fields = is.iter().filter(|path| is_touched(path)).cloned().collect();
    for fields in managers.values_mut() {
        fields.retain(|path| is.contains(path) && !touched.contains(path));
    }
    let manager = asked.query.get("fieldManager").unwrap_or(MANAGER);
    managers.entry((manager.to_owned(), "Update")).or_default().extend(touched);
    managers.retain(|_, fields| !fields.is_empty());
    managers
}

/// Merges a patch (RFC 7396); where it is strategic, also the items of lists that have a name.
fn merge(value: &mut Value, patch: &Value, is_strategic: bool) {
    match (&mut *value, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            for (name, patch) in patch {
                if patch.is_null() {
                    fields.remove(name);
                } else {
                    merge(fields.entry(name).or_insert(Value::Null), patch, is_strategic);
                }
            }
        }
        (Value::Array(items), Value::Array(patch))
            if is_strategic && items.iter().chain(patch).all(|item| item["name"].is_string()) =>
        {
            for patch in patch {
                match items.iter_mut().find(|item| item["name"] == patch["name"]) {
                    Some(item) => merge(item, patch, is_strategic),
                    None => items.push(patch.clone()),
                }
            }
        }
        (Value::Null, Value::Object(_)) => {
            *value = json!({});
            merge(value, patch, is_strategic);
        }
        _ => *value = patch.clone(),
    }
}

/// One step of a JSON patch (RFC 6902); `None` where it cannot be taken.
fn json_patch(value: &mut Value, step: &Value) -> Option<()> {
    let pointer = step["path"].as_str()?;
    if step["op"] == "test" {
        return (value.pointer(pointer)? == &step["value"]).then_some(());
    }
    let (parent, last) = pointer.rsplit_once('/')?;
    let last = last.replace("~1", "/").replace("~0", "~");
    match (value.pointer_mut(parent)?, step["op"].as_str()?) {
        (Value::Object(fields), "remove") => fields.remove(&last).map(drop),
        (Value::Object(fields), "add") => {
            fields.insert(last, step["value"].clone());
            Some(())
        }
        (Value::Object(fields), "replace") => {
            *fields.get_mut(&last)? = step["value"].clone();
            Some(())
        }
        (Value::Array(items), "add") => {
            let index = if last == "-" { items.len() } else { last.parse().ok()? };
            (index <= items.len()).then(|| items.insert(index, step["value"].clone()))
        }
        (Value::Array(items), op) => {
            let index: usize = last.parse().ok().filter(|index| *index < items.len())?;
            match op {
                "remove" => drop(items.remove(index)),
                "replace" => items[index] = step["value"].clone(),
                _ => return None,
            }
            Some(())
        }
        _ => None,
    }
}
