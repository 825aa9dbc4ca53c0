//! The kubelet: each pod is a task, whose server listens on the loopback interface.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::logs::Run;
use super::store::Key;
use super::{Server, object};

mod container;

use container::{Container, End};

const CONTAINER: &str = "mcp-server";
/// How long a container takes to be made.
const CREATING: Duration = Duration::from_millis(10);
const PULL_PAUSE: Duration = Duration::from_millis(100);
/// The pauses before a container is started again: from 10 seconds to 5 minutes on a real cluster.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A second of a container's life that nobody watches.
const SECOND: Duration = Duration::from_millis(20);

/// Where the servers of the pods listen.
#[derive(Debug, Default)]
pub(super) struct Kubelet(Mutex<BTreeMap<String, SocketAddr>>);

impl Kubelet {
    pub(super) fn address(&self, pod: &str) -> Option<SocketAddr> {
        self.0.lock().unwrap().get(pod).copied()
    }

    fn listens(&self, pod: &str, address: Option<SocketAddr>) {
        let mut addresses = self.0.lock().unwrap();
        match address {
            Some(address) => addresses.insert(pod.to_owned(), address),
            None => addresses.remove(pod),
        };
    }
}

/// Runs all pods: they end with this future.
pub(super) async fn run(server: Arc<Server>) {
    let mut versions = server.store.versions();
    let mut known: BTreeMap<String, watch::Sender<bool>> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    loop {
        versions.borrow_and_update();
        let pods: Vec<(Key, Arc<Value>)> = {
            let state = server.store.read();
            state.list("pods", None).map(|(key, pod)| (key.clone(), Arc::clone(pod))).collect()
        };
        known.retain(|uid, _| pods.iter().any(|(_, pod)| object::uid(pod) == uid));
        for (key, pod) in pods {
            let uid = object::uid(&pod).to_owned();
            let stop = known.entry(uid).or_insert_with(|| {
                let (stop, told) = watch::channel(false);
                tasks.spawn(Pod::new(Arc::clone(&server), key, &pod).live(told));
                stop
            });
            stop.send_if_modified(|told| !std::mem::replace(told, object::is_ending(&pod)) && *told);
        }
        tokio::select! {
            changed = versions.changed() => if changed.is_err() { return },
            Some(_) = tasks.join_next() => {}
        }
    }
}

struct Pod {
    server: Arc<Server>,
    key: Key,
    uid: String,
    spec: Value,
    restarts: u64,
    /// The end of the run before.
    last: Value,
    container: Option<Container>,
}

impl Pod {
    fn new(server: Arc<Server>, key: Key, pod: &Value) -> Self {
        let spec = pod["spec"].clone();
        let uid = object::uid(pod).to_owned();
        Self { server, key, uid, spec, restarts: 0, last: json!({}), container: None }
    }

    async fn live(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.work() => {}
            _ = stop.wait_for(|told| *told) => {}
        }
        let grace = &self.spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"];
        if let Some(container) = self.container.take() {
            sleep(SECOND * u32::try_from(grace.as_u64().unwrap_or_default()).unwrap_or_default()).await;
            container.stop().await;
        }
        self.server.kubelet.listens(&self.uid, None);
        self.server.store.write(|state| {
            let is_this = state.get(&self.key).is_some_and(|pod| object::uid(&pod.value) == self.uid);
            is_this.then(|| state.remove(&self.key))
        });
    }

    /// Runs its container again and again.
    async fn work(&mut self) {
        self.tell(&waiting("ContainerCreating", ""), false);
        sleep(CREATING).await;
        if let Some(image) = self.image_that_cannot_be_had() {
            self.pull_in_vain(&image).await;
        }
        let mut pause = SHORTEST_PAUSE;
        loop {
            let (exit_code, started_at) = self.run_once().await;
            let ended = json!({
                "exitCode": exit_code, "reason": if exit_code == 0 { "Completed" } else { "Error" },
                "startedAt": started_at, "finishedAt": object::now(), "containerID": self.container_id(),
            });
            self.last = json!({"terminated": ended});
            if self.restarts == 0 {
                let before = std::mem::replace(&mut self.last, json!({}));
                self.tell(&before, false);
                self.last = before;
            } else {
                let message = "back-off 10s restarting failed container";
                self.tell(&waiting("CrashLoopBackOff", message), false);
                sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
            self.restarts += 1;
        }
    }

    fn image_that_cannot_be_had(&self) -> Option<String> {
        let image = self.spec["containers"][0]["image"].as_str().unwrap_or_default();
        image.starts_with("127.0.0.1:1/").then(|| image.to_owned())
    }

    async fn pull_in_vain(&mut self, image: &str) -> ! {
        let (repository, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        let repository = repository.split_once('/').map_or(repository, |(_, repository)| repository);
        let pull = format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": failed to do \
             request: Head \"https://127.0.0.1:1/v2/{repository}/manifests/{tag}\": dial tcp 127.0.0.1:1: connect: \
             connection refused"
        );
        loop {
            self.tell(&waiting("ErrImagePull", &pull), false);
            sleep(PULL_PAUSE).await;
            let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {pull}");
            self.tell(&waiting("ImagePullBackOff", &message), false);
            std::future::pending::<()>().await;
        }
    }

    /// The exit code of a run, and when it began.
    async fn run_once(&mut self) -> (u8, String) {
        let environment = self.environment().await;
        let started_at = object::now();
        let run: Arc<Run> = self.server.logs.begin(&self.container_id());
        let running = json!({"running": {"startedAt": started_at}});
        self.tell(&running, false);
        let container = self.container.insert(Container::new(&self.spec, environment, run));
        let end = container.start().await;
        let exit_code = match end {
            End::Exits(exit_code) => exit_code,
            End::Serves(address) => {
                self.server.kubelet.listens(&self.uid, Some(address));
                self.tell(&running, true);
                std::future::pending().await
            }
        };
        if let Some(container) = self.container.take() {
            container.end();
        }
        (exit_code, started_at)
    }

    /// The environment of the container, as soon as all of it is there.
    async fn environment(&self) -> BTreeMap<String, String> {
        let mut versions = self.server.store.versions();
        loop {
            versions.borrow_and_update();
            let environment =
                container::environment(&self.server.store.read(), &self.key.namespace, &self.spec);
            match environment {
                Ok(environment) => return environment,
                Err(message) => self.tell(&waiting("CreateContainerConfigError", &message), false),
            }
            let _ = versions.changed().await;
        }
    }

    fn container_id(&self) -> String {
        format!("memory://{}/{}", self.uid, self.restarts)
    }

    /// Writes its status.
    fn tell(&self, state: &Value, is_ready: bool) {
        let is_started = state["waiting"].is_null();
        let condition =
            |kind: &str, holds: bool| json!({"type": kind, "status": if holds { "True" } else { "False" }});
        let mut container = json!({
            "name": CONTAINER, "image": self.spec["containers"][0]["image"], "imageID": "", "state": state,
            "lastState": self.last, "restartCount": self.restarts, "ready": is_ready, "started": is_ready,
        });
        if is_started {
            container["containerID"] = self.container_id().into();
        }
        let has_run = is_started || self.restarts > 0;
        let status = json!({
            "phase": if has_run { "Running" } else { "Pending" },
            "conditions": [
                condition("PodScheduled", true), condition("Initialized", true),
                condition("ContainersReady", is_ready), condition("Ready", is_ready),
            ],
            "containerStatuses": [container], "hostIP": "127.0.0.1", "podIP": "127.0.0.1",
        });
        self.server.store.write(|state| {
            if state.get(&self.key).is_some_and(|pod| object::uid(&pod.value) == self.uid) {
                state.edit(&self.key, |pod| pod["status"] = status);
            }
        });
    }
}

fn waiting(reason: &str, message: &str) -> Value {
    let mut waiting = json!({"reason": reason});
    if !message.is_empty() {
        waiting["message"] = message.into();
    }
    json!({"waiting": waiting})
}
