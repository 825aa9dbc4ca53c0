//! All objects, the one version that counts their changes, and the changes themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::object::{self, Fields};
use super::route::{Kind, Route};
use super::status::Status;

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) resource: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(resource: &'static str, namespace: &str, name: &str) -> Self {
        Self { resource, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    pub(super) fn of(route: &Route, name: &str) -> Self {
        Self::new(route.kind.resource, route.namespace.as_deref().unwrap_or_default(), name)
    }

    pub(super) fn kind(&self) -> &'static Kind {
        Kind::of(self.resource)
    }
}

/// Who has which fields: by manager and operation.
pub(super) type Managers = BTreeMap<(String, &'static str), Fields>;

#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) value: Arc<Value>,
    pub(super) managers: Managers,
}

/// What has happened to an object at a version.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    pub(super) before: Option<Arc<Value>>,
    pub(super) after: Option<Arc<Value>>,
    /// The object as it is told of: as it is, or as it was at its end.
    pub(super) last: Arc<Value>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<Key, Stored>,
    history: Vec<Change>,
    pub(super) version: u64,
    /// What was before this version is forgotten.
    oldest: u64,
    made: u64,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

impl Store {
    /// The state as it is now. Nobody holds it over an `await`.
    pub(super) fn read(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes the state, and wakes whoever watches.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (outcome, version) = {
            let mut state = self.read();
            (change(&mut state), state.version)
        };
        self.version.send_if_modified(|told| std::mem::replace(told, version) != version);
        outcome
    }

    /// What a change would come to.
    pub(super) fn try_out<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut scratch = {
            let state = self.read();
            State {
                objects: state.objects.clone(),
                version: state.version,
                made: state.made,
                ..State::default()
            }
        };
        change(&mut scratch)
    }

    pub(super) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(super) fn compact(&self) {
        let mut state = self.read();
        // No version that was told of is a place to go on from; watches that are open go on.
        state.version += 1;
        state.oldest = state.version;
    }

    pub(super) fn make_namespace(&self, name: &str) {
        let namespace = json!({"metadata": {"labels": {"kubernetes.io/metadata.name": name}}});
        self.write(|state| state.put(&Key::new("namespaces", "", name), namespace, Managers::new()));
    }
}

impl State {
    pub(super) fn get(&self, key: &Key) -> Option<&Stored> {
        self.objects.get(key)
    }

    /// The object that has to be there.
    pub(super) fn found(&self, key: &Key) -> Result<Stored, Status> {
        self.get(key).cloned().ok_or_else(|| Status::not_found(key.kind(), &key.name))
    }

    /// The objects of a kind, of one namespace or of all.
    pub(super) fn list<'a>(
        &'a self,
        resource: &'static str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let first = Key::new(resource, namespace.unwrap_or_default(), "");
        let of_kind = self.objects.range(first..).take_while(move |(key, _)| key.resource == resource);
        let of_namespace = move |key: &Key| namespace.is_none_or(|namespace| key.namespace == namespace);
        of_kind.filter(move |(key, _)| of_namespace(key)).map(|(key, stored)| (key, &stored.value))
    }

    /// Refuses to make something in a namespace that is not there.
    pub(super) fn check_namespace(&self, key: &Key) -> Result<(), Status> {
        let namespace = Key::new("namespaces", "", &key.namespace);
        if key.kind().is_namespaced && self.get(&namespace).is_none() {
            return Err(Status::not_found(namespace.kind(), &key.namespace));
        }
        Ok(())
    }

    /// Makes or changes an object. What the server itself keeps is kept; where nothing changes, nothing happens.
    pub(super) fn put(&mut self, key: &Key, mut value: Value, managers: Managers) -> Arc<Value> {
        let before = self.objects.get(key).map(|stored| Arc::clone(&stored.value));
        value["apiVersion"] = key.kind().api_version().into();
        value["kind"] = key.kind().kind.into();
        self.keep(key, before.as_deref(), &mut value);
        value["metadata"]["managedFields"] = told(&managers, key.kind());
        if before.as_deref() == Some(&value) {
            return before.expect("it is there");
        }
        self.version += 1;
        value["metadata"]["resourceVersion"] = self.version.to_string().into();
        let value = Arc::new(value);
        // A pod goes when the kubelet says so.
        let has_finalizers = value["metadata"].get("finalizers").is_some();
        let is_over = object::is_ending(&value) && !has_finalizers && key.resource != "pods";
        let stored = Stored { value: Arc::clone(&value), managers };
        let after = if is_over {
            self.objects.remove(key);
            None
        } else {
            self.objects.insert(key.clone(), stored);
            Some(Arc::clone(&value))
        };
        self.remember(key, before, after, Arc::clone(&value));
        value
    }

    /// Changes what the server and its controllers say of an object, whoever has its fields.
    pub(super) fn edit(&mut self, key: &Key, edit: impl FnOnce(&mut Value)) -> Option<Arc<Value>> {
        let Stored { value, managers } = self.get(key)?.clone();
        let mut value = Value::clone(&value);
        edit(&mut value);
        Some(self.put(key, value, managers))
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let Stored { value, .. } = self.objects.remove(key)?;
        self.version += 1;
        let mut last = Value::clone(&value);
        last["metadata"]["resourceVersion"] = self.version.to_string().into();
        let last = Arc::new(last);
        self.remember(key, Some(value), None, Arc::clone(&last));
        Some(last)
    }

    /// Refuses to go on from a version that is forgotten.
    pub(super) fn check_version(&self, version: u64) -> Result<(), Status> {
        if version < self.oldest { Err(Status::expired(version, self.oldest)) } else { Ok(()) }
    }

    /// What has happened after a version.
    pub(super) fn since(&self, version: u64) -> &[Change] {
        &self.history[self.history.partition_point(|change| change.version <= version)..]
    }

    fn keep(&mut self, key: &Key, before: Option<&Value>, value: &mut Value) {
        let metadata = &mut value["metadata"];
        metadata["name"] = key.name.clone().into();
        if key.kind().is_namespaced {
            metadata["namespace"] = key.namespace.clone().into();
        }
        let is_empty = metadata["finalizers"].as_array().is_none_or(Vec::is_empty);
        if let (true, Some(metadata)) = (is_empty, metadata.as_object_mut()) {
            metadata.remove("finalizers");
        }
        if let Some(before) = before {
            for field in ["uid", "creationTimestamp", "resourceVersion", "generation"] {
                metadata[field] = before["metadata"][field].clone();
            }
            if before["spec"] != value["spec"] {
                let generation = before["metadata"]["generation"].as_u64().unwrap_or(1) + 1;
                value["metadata"]["generation"] = generation.into();
            }
            return;
        }
        self.made += 1;
        metadata["uid"] = format!("00000000-0000-4000-8000-{:012}", self.made).into();
        metadata["creationTimestamp"] = object::now().into();
        metadata["generation"] = 1.into();
    }

    fn remember(
        &mut self,
        key: &Key,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
        last: Arc<Value>,
    ) {
        self.history.push(Change { version: self.version, key: key.clone(), before, after, last });
    }
}

fn told(managers: &Managers, kind: &Kind) -> Value {
    let told = |((manager, operation), fields): (&(String, &'static str), &Fields)| {
        json!({
            "manager": manager, "operation": operation, "apiVersion": kind.api_version(),
            "fieldsType": "FieldsV1", "fieldsV1": object::fields_v1(fields),
        })
    };
    Value::Array(managers.iter().map(told).collect())
}
