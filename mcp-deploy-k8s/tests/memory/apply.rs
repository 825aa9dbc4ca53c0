//! Server-side apply: each manager has the fields that it applied, and takes back those that it leaves out.

use serde_json::Value;

use super::object::{self, Fields, Path};
use super::serve::Asked;
use super::status::Status;
use super::store::{Key, Managers, State, Store};
use super::update::{check_changes, defaulted};

/// The object, and whether it is new.
pub(super) fn apply(store: &Store, asked: &Asked, name: &str) -> Result<(bool, Value), Status> {
    let key = Key::of(&asked.route, name);
    let change = |state: &mut State| applied(state, &key, asked);
    if asked.is_dry_run() { store.try_out(change) } else { store.write(change) }
}

fn applied(state: &mut State, key: &Key, asked: &Asked) -> Result<(bool, Value), Status> {
    let manager = asked.query.get("fieldManager").ok_or_else(|| {
        Status::bad_request("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value")
    })?;
    let manager = (manager.to_owned(), "Apply");
    let config = Config::of(key, &asked.body);
    let Some(found) = state.get(key).cloned() else {
        state.check_namespace(key)?;
        let uid = object::uid(&asked.body);
        if !uid.is_empty() {
            let why = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(Status::conflict(key.kind(), &key.name, &why));
        }
        let managers = Managers::from([(manager, config.fields)]);
        let made = state.put(key, defaulted(key, config.value), managers);
        return Ok((true, Value::clone(&made)));
    };
    check_identity(key, &found.value, &asked.body)?;
    let mut managers = found.managers;
    let owned = managers.remove(&manager).unwrap_or_default();
    let conflicts = conflicts(&managers, &found.value, &config);
    if !conflicts.is_empty() && !asked.query.is("force") {
        let told = conflicts.iter().map(|(manager, path)| (manager.clone(), object::written(path)));
        return Err(Status::field_conflicts(&told.collect::<Vec<_>>()));
    }
    for (_, path) in &conflicts {
        for fields in managers.values_mut() {
            fields.remove(path);
        }
    }
    let mut value = Value::clone(&found.value);
    merge(key.kind().kind, &mut Path::new(), &mut value, &config.value);
    let left_out = owned.difference(&config.fields).filter(|path| is_nobodys(&managers, path));
    // In their order: an item of a list goes whole, while it still has the key that it is found by.
    let left_out: Vec<&Path> = left_out.collect();
    for path in left_out {
        object::remove(&mut value, path, &|parent| config.fields.contains(parent));
    }
    managers.insert(manager, config.fields);
    managers.retain(|_, fields| !fields.is_empty());
    let value = defaulted(key, value);
    check_changes(key, &found.value, &value)?;
    Ok((false, Value::clone(&state.put(key, value, managers))))
}

/// What is applied.
struct Config {
    value: Value,
    fields: Fields,
}

impl Config {
    fn of(key: &Key, body: &Value) -> Self {
        let mut value = body.clone();
        value["kind"] = key.kind().kind.into();
        object::strip(&mut value);
        if let Some(value) = value.as_object_mut() {
            value.remove("status");
        }
        Self { fields: object::fields(&value), value }
    }
}

/// Refuses what was meant for another object, or for another version of it.
pub(super) fn check_identity(key: &Key, found: &Value, body: &Value) -> Result<(), Status> {
    let (uid, version) = (object::uid(body), object::metadata(body, "resourceVersion"));
    if !uid.is_empty() && uid != object::uid(found) {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ");
        return Err(Status::conflict(key.kind(), &key.name, &(why + object::uid(found))));
    }
    if !version.is_empty() && version != object::metadata(found, "resourceVersion") {
        return Err(Status::modified(key.kind(), &key.name));
    }
    Ok(())
}

/// What others have with another value.
fn conflicts(others: &Managers, found: &Value, config: &Config) -> Vec<(String, Path)> {
    let mut conflicts = Vec::new();
    for path in config.fields.iter().filter(|path| path.last().is_some_and(|step| step.starts_with("f:"))) {
        if object::at(found, path) == object::at(&config.value, path) {
            continue;
        }
        let with = others.iter().filter(|(_, fields)| fields.contains(path));
        conflicts.extend(with.map(|((manager, _), _)| (manager.clone(), path.clone())));
    }
    conflicts
}

fn is_nobodys(managers: &Managers, path: &Path) -> bool {
    managers.values().flatten().all(|owned| !owned.starts_with(path))
}

fn merge(kind: &str, path: &mut Path, value: &mut Value, config: &Value) {
    let field = path.last().cloned().unwrap_or_default();
    match (&mut *value, config) {
        (Value::Object(fields), Value::Object(wanted)) if !object::is_atomic(kind, path) => {
            for (name, wanted) in wanted.iter().filter(|(_, wanted)| !wanted.is_null()) {
                path.push(format!("f:{name}"));
                merge(kind, path, fields.entry(name).or_insert(Value::Null), wanted);
                path.pop();
            }
        }
        (Value::Array(items), Value::Array(wanted)) => {
            let keys = (object::list_key(&field, items), object::list_key(&field, wanted));
            let (Some(key), Some(_)) = keys else {
                *value = config.clone();
                return;
            };
            for wanted in wanted {
                path.push(object::item_step(key, wanted));
                match items.iter_mut().find(|item| item[key] == wanted[key]) {
                    Some(item) => merge(kind, path, item, wanted),
                    None => items.push(wanted.clone()),
                }
                path.pop();
            }
        }
        _ => *value = config.clone(),
    }
}
