//! The controllers: from Deployments to ReplicaSets to pods, and the garbage collector.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use serde_json::{Value, json};

use super::store::{Key, Managers, State};
use super::{Server, delete, object};

/// What the names of ReplicaSets and pods end with: no vowels, no words.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const HASH: &str = "pod-template-hash";

/// Brings everything a step further, whenever something has changed.
pub(super) async fn run(server: Arc<Server>) {
    let mut versions = server.store.versions();
    loop {
        versions.borrow_and_update();
        server.store.write(|state| {
            delete::collect(state);
            for (key, deployment) in all(state, "deployments") {
                roll_out(state, &key, &deployment);
            }
            for (key, set) in all(state, "replicasets") {
                replicate(state, &key, &set);
            }
        });
        if versions.changed().await.is_err() {
            return;
        }
    }
}

fn all(state: &State, resource: &'static str) -> Vec<(Key, Arc<Value>)> {
    state.list(resource, None).map(|(key, value)| (key.clone(), Arc::clone(value))).collect()
}

fn owned(state: &State, resource: &'static str, owner: &Value) -> Vec<(Key, Arc<Value>)> {
    let namespace = object::metadata(owner, "namespace");
    let all = state.list(resource, Some(namespace));
    let of_owner = all.filter(|(_, value)| object::is_owned_by(value, object::uid(owner)));
    of_owner.map(|(key, value)| (key.clone(), Arc::clone(value))).collect()
}

/// A ReplicaSet and its pods.
struct Set {
    key: Key,
    hash: String,
    made: String,
    wanted: u64,
    active: u64,
    ready: u64,
    /// Those too that are on their way out.
    pods: u64,
}

impl Set {
    fn of(state: &State, key: Key, set: &Value) -> Self {
        let pods = owned(state, "pods", set);
        let count = |is_counted: &dyn Fn(&Value) -> bool| {
            pods.iter().filter(|(_, pod)| is_counted(pod)).count() as u64
        };
        Self {
            hash: set["metadata"]["labels"][HASH].as_str().unwrap_or_default().to_owned(),
            made: object::uid(set).to_owned(),
            wanted: set["spec"]["replicas"].as_u64().unwrap_or(1),
            active: count(&is_active),
            ready: count(&is_ready),
            pods: count(&|_| true),
            key,
        }
    }
}

fn is_active(pod: &Value) -> bool {
    !object::is_ending(pod)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let is_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    is_active(pod) && conditions.is_some_and(|conditions| conditions.iter().any(is_ready))
}

fn roll_out(state: &mut State, key: &Key, deployment: &Value) {
    let hash = hash_of(&deployment["spec"]["template"]);
    let sets = owned(state, "replicasets", deployment);
    let sets = sets.into_iter().map(|(key, set)| Set::of(state, key, &set));
    let (mut current, mut earlier): (Vec<Set>, Vec<Set>) = sets.partition(|set| set.hash == hash);
    earlier.sort_by(|one, other| one.made.cmp(&other.made));
    let mut current = current.pop();
    let is_held = deployment["spec"]["paused"] == true || object::is_ending(deployment);
    if !is_held {
        let desired = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
        let mut plan = Plan { desired, current: current.as_ref(), earlier: &mut earlier };
        let wanted =
            if deployment["spec"]["strategy"]["type"] == "Recreate" { plan.recreate() } else { plan.roll() };
        match &mut current {
            Some(set) => set.wanted = wanted,
            None => {
                make_set(state, deployment, &hash, wanted);
            }
        }
        for set in earlier.iter().chain(&current) {
            state.edit(&set.key, |value| value["spec"]["replicas"] = set.wanted.into());
        }
        forget(state, deployment, &earlier);
    }
    let counted = Counted::of(current.as_ref(), &earlier);
    state.edit(key, |value| value["status"] = counted.status(value));
}

/// How many pods of which template there should be next. One more than desired may be there at a time, and as many
/// as desired have to be ready.
struct Plan<'a> {
    desired: u64,
    current: Option<&'a Set>,
    earlier: &'a mut [Set],
}

impl Plan<'_> {
    /// None of the new ones before all of the old ones are gone.
    fn recreate(&mut self) -> u64 {
        let is_free = self.earlier.iter().all(|set| set.pods == 0);
        for set in &mut *self.earlier {
            set.wanted = 0;
        }
        let before = self.current.map_or(0, |set| set.wanted);
        if is_free { self.desired } else { before.min(self.desired) }
    }

    fn roll(&mut self) -> u64 {
        let (before, ready) = self.current.map_or((0, 0), |set| (set.wanted, set.ready));
        let earlier: u64 = self.earlier.iter().map(|set| set.wanted).sum();
        let room = (self.desired + 1).saturating_sub(before + earlier);
        let wanted = if earlier == 0 { self.desired } else { self.desired.min(before + room) };
        let unready = wanted.saturating_sub(ready);
        let mut most = (wanted + earlier).saturating_sub(self.desired + unready);
        for set in &mut *self.earlier {
            let fewer = set.wanted.saturating_sub(set.ready).min(most);
            set.wanted -= fewer;
            most -= fewer;
        }
        let all_ready =
            ready.min(wanted) + self.earlier.iter().map(|set| set.ready.min(set.wanted)).sum::<u64>();
        let mut spare = all_ready.saturating_sub(self.desired);
        for set in &mut *self.earlier {
            let fewer = set.wanted.min(spare);
            set.wanted -= fewer;
            spare -= fewer;
        }
        wanted
    }
}

fn make_set(state: &mut State, deployment: &Value, hash: &str, replicas: u64) {
    let name = format!("{}-{hash}", object::name(deployment));
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"][HASH] = hash.into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = hash.into();
    let set = json!({
        "metadata": {
            "labels": template["metadata"]["labels"],
            "ownerReferences": object::controlled_by(deployment),
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    });
    let key = Key::new("replicasets", object::metadata(deployment, "namespace"), &name);
    state.put(&key, set, Managers::new());
}

/// Lets go of the oldest ReplicaSets that are empty.
fn forget(state: &mut State, deployment: &Value, earlier: &[Set]) {
    let most = deployment["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
    let empty: Vec<&Set> = earlier.iter().filter(|set| set.wanted == 0 && set.pods == 0).collect();
    let too_many = empty.len().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
    for set in empty.into_iter().take(too_many) {
        delete::begin(state, &set.key, false);
    }
}

/// The pods of a Deployment.
struct Counted {
    all: u64,
    updated: u64,
    ready: u64,
}

impl Counted {
    fn of(current: Option<&Set>, earlier: &[Set]) -> Self {
        let sets = || current.into_iter().chain(earlier);
        Self {
            all: sets().map(|set| set.active).sum(),
            updated: current.map_or(0, |set| set.active),
            ready: sets().map(|set| set.ready).sum(),
        }
    }

    fn status(&self, deployment: &Value) -> Value {
        let desired = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
        let is_available = if self.ready >= desired { "True" } else { "False" };
        let mut status = json!({
            "observedGeneration": deployment["metadata"]["generation"],
            "conditions": [
                {"type": "Available", "status": is_available},
                {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
            ],
        });
        // The API leaves out what is none.
        for (field, count) in [
            ("replicas", self.all),
            ("updatedReplicas", self.updated),
            ("readyReplicas", self.ready),
            ("availableReplicas", self.ready),
            ("unavailableReplicas", desired.saturating_sub(self.ready)),
        ] {
            if count > 0 {
                status[field] = count.into();
            }
        }
        status
    }
}

fn replicate(state: &mut State, key: &Key, set: &Value) {
    let mut pods = owned(state, "pods", set);
    pods.retain(|(_, pod)| is_active(pod));
    if !object::is_ending(set) {
        let wanted = usize::try_from(set["spec"]["replicas"].as_u64().unwrap_or(1)).unwrap_or_default();
        for _ in pods.len()..wanted {
            make_pod(state, set);
        }
        // Those go first that are not ready.
        pods.sort_by_key(|(_, pod)| !is_ready(pod));
        let too_many = pods.len().saturating_sub(wanted);
        for (pod, _) in pods.drain(..too_many) {
            delete::begin(state, &pod, false);
        }
    }
    let ready = pods.iter().filter(|(_, pod)| is_ready(pod)).count();
    let mut status = json!({"replicas": pods.len(), "observedGeneration": set["metadata"]["generation"]});
    if ready > 0 {
        (status["readyReplicas"], status["availableReplicas"]) = (ready.into(), ready.into());
    }
    state.edit(key, |value| value["status"] = status);
}

fn make_pod(state: &mut State, set: &Value) {
    let prefix = format!("{}-", object::name(set));
    let name = format!("{prefix}{}", letters(RandomState::new().hash_one(&prefix), 5));
    let template = &set["spec"]["template"];
    let mut metadata = template["metadata"].clone();
    metadata["generateName"] = prefix.into();
    metadata["ownerReferences"] = object::controlled_by(set);
    let pod = json!({"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}});
    state.put(&Key::new("pods", object::metadata(set, "namespace"), &name), pod, Managers::new());
}

/// The same for the same template, whatever the order of its fields is.
fn hash_of(template: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    feed(template, &mut hasher);
    letters(hasher.finish(), 10)
}

fn feed(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().collect::<BTreeMap<_, _>>() {
                name.hash(hasher);
                feed(value, hasher);
            }
        }
        Value::Array(items) => {
            items.len().hash(hasher);
            for item in items {
                feed(item, hasher);
            }
        }
        value => value.to_string().hash(hasher),
    }
}

fn letters(mut number: u64, count: usize) -> String {
    let base = ALPHABET.len() as u64;
    let letter = |_| {
        let letter = ALPHABET[usize::try_from(number % base).unwrap_or_default()];
        number /= base;
        char::from(letter)
    };
    (0..count).map(letter).collect()
}
