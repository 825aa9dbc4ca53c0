//! The backend: it runs each server inside this program, keeps no revisions and no logs, and says so in its
//! [`Capabilities`].

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use mcp_deploy_core::{
    BackendHealth, Capabilities, Connection, DeleteOptions, DeployOptions, Deployment, DeploymentBackend,
    DeploymentName, DeploymentSpec, Error, Event, EventStream, Instance, LogOptions, LogStream, Result,
    Revision, Selector, Status,
};
use mcp_deploy_mock::{HttpMode, HttpServer, ServerProfile};
use tokio::sync::watch;

/// A cheap handle: all clones share the deployments.
#[derive(Debug, Clone, Default)]
pub(crate) struct InProcess {
    running: Arc<Mutex<BTreeMap<DeploymentName, Running>>>,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
pub(crate) struct Running {
    spec: DeploymentSpec,
    report: Deployment,
    server: HttpServer,
}

impl Running {
    fn start(spec: &DeploymentSpec) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let server = HttpServer::start(listener, profile(spec), HttpMode::Mcp, &*spec.transport.path);
        let report = Deployment::pending(spec, "in-process", Timestamp::now());
        Ok(Self { spec: spec.clone(), report, server })
    }

    /// Brings the report and the server to what is wanted; a new instance where asked.
    fn settle(&mut self, replicas: u32, new_instance: bool) -> Deployment {
        let up = replicas > 0;
        let mode = if self.spec.env.contains_key("NOT_MCP") { HttpMode::NotMcp } else { HttpMode::Mcp };
        self.server.set_mode(if up { mode } else { HttpMode::Away });
        let report = &mut self.report;
        if !up {
            report.instances.clear();
        } else if new_instance || report.instances.is_empty() {
            let (id, now) = (fastrand::u64(..).to_string(), Timestamp::now());
            report.instances = vec![Instance { id, started_at: Some(now), ready: true, restarts: Some(0) }];
        }
        report.status = if up { Status::Running } else { Status::Stopped };
        (report.ready, report.replicas.desired, report.replicas.ready) = (up, replicas, replicas);
        report.endpoint = up.then(|| format!("http://{}{}", self.server.address(), self.spec.transport.path));
        report.clone()
    }
}

fn profile(spec: &DeploymentSpec) -> ServerProfile {
    let secrets = spec.secrets.expose().map(|(name, value)| (name.to_owned(), value.to_owned()));
    ServerProfile {
        name: spec.template.id.to_string(),
        version: spec.template.version.clone(),
        tools: spec.tools.clone(),
        environment: spec.env.clone().into_iter().chain(secrets).collect(),
        echo_environment: true,
        explores: false,
    }
}

impl InProcess {
    pub(crate) fn running(&self) -> MutexGuard<'_, BTreeMap<DeploymentName, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on<T>(&self, name: &DeploymentName, act: impl FnOnce(&mut Running) -> T) -> Result<T> {
        let outcome = self.running().get_mut(name).map(act);
        outcome.ok_or_else(|| Error::NotFound { name: name.clone(), backend: self.name(), nearest: None })
    }

    fn changed<T>(&self, outcome: Result<T>) -> Result<T> {
        self.changes.send_replace(());
        outcome
    }
}

#[async_trait]
impl DeploymentBackend for InProcess {
    fn name(&self) -> &'static str {
        "in-process"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::LEAST
    }

    async fn check(&self) -> Result<BackendHealth> {
        Ok(BackendHealth { version: env!("CARGO_PKG_VERSION").to_owned(), scope: "this process".to_owned() })
    }

    async fn deploy(&self, spec: &DeploymentSpec, options: DeployOptions) -> Result<Deployment> {
        self.capabilities().check(self.name(), spec)?;
        if options.dry_run {
            return Ok(Deployment::pending(spec, self.name(), Timestamp::now()));
        }
        let mut all = self.running();
        if !all.contains_key(&spec.name) {
            let running =
                Running::start(spec).map_err(|error| Error::backend(self.name(), "start a server", error))?;
            all.insert(spec.name.clone(), running);
        }
        drop(all);
        let deployed = self.on(&spec.name, |running| {
            let differs = !running.spec.is_resized(spec);
            if differs {
                running.server.set_profile(profile(spec), &*spec.transport.path);
                running.report.configuration = spec.configuration.clone();
                (running.report.revision, running.report.updated_at) =
                    (running.report.revision + 1, Timestamp::now());
            }
            running.spec = spec.clone();
            running.settle(spec.replicas, differs)
        });
        self.changed(deployed)
    }

    async fn get(&self, name: &DeploymentName) -> Result<Deployment> {
        self.on(name, |running| running.report.clone())
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Arc<Deployment>>> {
        let all = self.running();
        let selected =
            all.values().filter(|running| selector.matches(&running.spec.name, &running.spec.template.id));
        Ok(selected.map(|running| Arc::new(running.report.clone())).collect())
    }

    async fn scale(&self, name: &DeploymentName, replicas: u32) -> Result<Deployment> {
        self.capabilities().check_replicas(self.name(), replicas)?;
        self.changed(self.on(name, |running| running.settle(replicas, false)))
    }

    async fn restart(&self, name: &DeploymentName) -> Result<Deployment> {
        self.changed(self.on(name, |running| running.settle(running.report.replicas.desired, true)))
    }

    async fn delete(&self, name: &DeploymentName, _options: DeleteOptions) -> Result<()> {
        self.on(name, |_| ())?;
        self.running().remove(name);
        self.changed(Ok(()))
    }

    async fn revisions(&self, name: &DeploymentName) -> Result<Vec<Revision>> {
        self.on(name, |_| Vec::new())
    }

    async fn connect(&self, name: &DeploymentName) -> Result<Connection> {
        let deployment = self.on(name, |running| running.report.clone())?;
        let stopped = || Error::not_listening(self.name(), &deployment);
        deployment.endpoint.as_deref().map(Connection::new).ok_or_else(stopped)
    }

    fn logs(&self, name: &DeploymentName, _options: LogOptions) -> LogStream {
        let none = Error::Unsupported { backend: self.name(), feature: "logs".to_owned() };
        stream::iter([self.on(name, |_| ()).and(Err(none))]).boxed()
    }

    fn watch(&self, selector: Selector) -> EventStream {
        let start =
            (self.clone(), self.changes.subscribe(), None::<BTreeMap<DeploymentName, Arc<Deployment>>>);
        let look =
            move |(backend, mut changes, seen): (Self, watch::Receiver<()>, Option<BTreeMap<_, _>>)| {
                let selector = selector.clone();
                async move {
                    if seen.is_some() {
                        // It cannot end: `backend` holds the other end.
                        let _ = changes.changed().await;
                    }
                    let listed = backend.list(&selector).await.unwrap_or_default();
                    let now: BTreeMap<_, _> =
                        listed.into_iter().map(|report| (report.name.clone(), report)).collect();
                    let is_first = seen.is_none();
                    let mut events = Event::between(&seen.unwrap_or_default(), &now);
                    events.extend(is_first.then_some(Event::Synced));
                    let events = events.into_iter().map(Ok);
                    Some((stream::iter(events), (backend, changes, Some(now))))
                }
            };
        stream::unfold(start, look).flatten().boxed()
    }
}
