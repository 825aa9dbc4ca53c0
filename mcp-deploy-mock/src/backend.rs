//! The backend: verbs on the state, one call each, and reports on what became of them.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use mcp_deploy_core::{
    BackendHealth, Capabilities, Connection, DeleteOptions, DeployOptions, Deployment, DeploymentBackend,
    DeploymentName, DeploymentSpec, Error, EventStream, LogOptions, LogStream, Result, Revision, Selector,
    Settings,
};
use tokio::sync::watch;

use crate::connect::{self, Servers};
use crate::faults::{Faults, Phases};
use crate::record::{BACKEND, Record};
use crate::state::{self, State};
use crate::store::Store;
use crate::{logs, status};

/// A backend that simulates; a cheap handle.
///
/// In memory (the default) its servers run for as long as a handle lives, and deployments have an `endpoint`.
/// With a state file, processes share what they deploy; a server then lives only while somebody is connected,
/// and `endpoint` is `None`.
#[derive(Clone)]
pub struct MockBackend {
    inner: Arc<Inner>,
}

/// How to simulate.
#[derive(Debug, Clone, Default)]
pub struct MockOptions {
    /// The file that holds the state; in memory where none is given. It holds the values of secrets, readable
    /// by its owner alone.
    pub state: Option<PathBuf>,
    /// How long each phase of a start takes.
    pub phases: Phases,
    /// What goes wrong with deployments whose template has no `mock` section.
    pub faults: Faults,
}

struct Inner {
    store: Store,
    phases: Phases,
    faults: Mutex<Faults>,
    servers: Servers,
    /// Counts the verbs that changed something.
    verbs: watch::Sender<u64>,
    reports: Mutex<Option<Reports>>,
}

/// What is reported on all deployments after so many verbs, until some moment.
struct Reports {
    verbs: u64,
    until: Timestamp,
    all: Arc<Vec<Arc<Deployment>>>,
}

impl Default for MockBackend {
    fn default() -> Self {
        Self::new(MockOptions::default())
    }
}

impl fmt::Debug for MockBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockBackend").field("scope", &self.scope()).finish_non_exhaustive()
    }
}

impl MockBackend {
    /// A backend with these options. Touches nothing yet.
    pub fn new(options: MockOptions) -> Self {
        let MockOptions { state, phases, faults } = options;
        let store = state.map_or_else(|| Store::Memory(Mutex::default()), Store::File);
        let inner = Inner {
            store,
            phases,
            faults: Mutex::new(faults),
            servers: Servers::default(),
            verbs: watch::Sender::new(0),
            reports: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The backend that a program's settings describe.
    pub fn from_settings(settings: &Settings) -> Self {
        Self::new(MockOptions { state: settings.mock.state.clone(), ..MockOptions::default() })
    }

    /// What goes wrong with the deployments to come.
    pub fn set_faults(&self, faults: Faults) {
        *self.inner.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Makes the platform be away for the next calls.
    ///
    /// # Errors
    ///
    /// Those of the state file.
    pub fn be_away(&self, calls: u32) -> Result<()> {
        self.change(|state| {
            state.unavailable_calls = calls;
            Ok(())
        })
    }

    /// Puts an object there that is not ours, as somebody else would.
    ///
    /// # Errors
    ///
    /// Those of the state file.
    pub fn plant_foreign(&self, name: &DeploymentName) -> Result<()> {
        self.change(|state| {
            state.foreign.insert(name.to_string());
            Ok(())
        })
    }

    /// Takes away what [`plant_foreign`](Self::plant_foreign) put there.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where it is not there any more; those of the state file.
    pub fn remove_foreign(&self, name: &DeploymentName) -> Result<()> {
        self.change(
            |state| {
                if state.foreign.remove(name.as_str()) { Ok(()) } else { Err(state::not_found(name)) }
            },
        )
    }

    /// Removes the named volumes of a deployment, which outlive it.
    ///
    /// # Errors
    ///
    /// Those of the state file.
    pub fn remove_volumes(&self, name: &DeploymentName) -> Result<()> {
        self.change(|state| {
            state.remove_volumes(name);
            Ok(())
        })
    }

    /// Everything that is there: deployments, their servers, volumes, and what is not ours.
    ///
    /// # Errors
    ///
    /// Those of the state file.
    pub fn objects(&self) -> Result<Vec<String>> {
        self.inner.store.look(|state| {
            let State { deployments, volumes, foreign, unavailable_calls: _ } = state;
            let deployments = deployments.keys().map(|name| format!("deployment/{name}"));
            let servers = self.inner.servers.names().into_iter().map(|name| format!("server/{name}"));
            let volumes = volumes.iter().map(|volume| format!("volume/{volume}"));
            let foreign = foreign.iter().map(|name| format!("foreign/{name}"));
            Ok(deployments.chain(servers).chain(volumes).chain(foreign).collect())
        })
    }

    pub(crate) fn phases(&self) -> Phases {
        self.inner.phases
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.inner.store.is_shared()
    }

    pub(crate) fn verbs(&self) -> watch::Receiver<u64> {
        self.inner.verbs.subscribe()
    }

    /// How long after `since` a report may become another one, though nobody calls a verb.
    pub(crate) fn next_change(&self, since: Timestamp) -> Option<Duration> {
        let next_change = |state: &State| {
            let records = state.deployments.values();
            Ok(records.filter_map(|record| status::next_change(record, since, self.inner.phases)).min())
        };
        self.inner.store.look(next_change).ok().flatten()
    }

    pub(crate) fn record(&self, name: &DeploymentName) -> Result<Record> {
        self.ask(|state| state.record(name).cloned())
    }

    /// The selected deployments as they are now, by name.
    pub(crate) fn observe(&self, selector: &Selector) -> Result<Vec<Arc<Deployment>>> {
        self.call()?;
        let all = self.reports()?;
        let selected =
            all.iter().filter(|deployment| selector.matches(&deployment.name, &deployment.template_id));
        Ok(selected.cloned().collect())
    }

    /// The reports on all deployments: those of before, until a verb or the time changes one.
    fn reports(&self) -> Result<Arc<Vec<Arc<Deployment>>>> {
        let (now, verbs) = (Timestamp::now(), *self.inner.verbs.borrow());
        let mut kept = self.inner.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reports) = kept.as_ref().filter(|kept| kept.verbs == verbs && now < kept.until) {
            return Ok(Arc::clone(&reports.all));
        }
        let (all, next_change) = self.inner.store.look(|state| {
            let records = state.deployments.values();
            let next_change = records
                .clone()
                .filter_map(|record| status::next_change(record, now, self.inner.phases))
                .min();
            let all: Result<_> = records.map(|record| Ok(Arc::new(self.report(record)?))).collect();
            Ok((Arc::new(all?), next_change))
        })?;
        let until = next_change.map_or(Timestamp::MAX, |after| now.saturating_add(after).unwrap_or(now));
        // Of a state that others share, only the next look tells.
        *kept = (!self.is_shared()).then(|| Reports { verbs, until, all: Arc::clone(&all) });
        Ok(all)
    }

    fn scope(&self) -> String {
        match &self.inner.store {
            Store::Memory(_) => "memory".to_owned(),
            Store::File(path) => path.display().to_string(),
        }
    }

    /// Counts a call of a platform that was told to be away.
    fn call(&self) -> Result<()> {
        if self.inner.store.look(|state| Ok(state.unavailable_calls == 0))? {
            return Ok(());
        }
        let mut answer = Ok(());
        self.inner.store.update(|state| {
            answer = state.call();
            Ok(())
        })?;
        answer
    }

    /// What a call to the platform sees.
    fn ask<T>(&self, look: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        self.call()?;
        self.inner.store.look(look)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let outcome = self.inner.store.update(change)?;
        self.inner.verbs.send_modify(|count| *count += 1);
        Ok(outcome)
    }

    /// Changes one deployment, and reports on it.
    fn verb(
        &self,
        name: &DeploymentName,
        change: impl FnOnce(&mut State) -> Result<()>,
    ) -> Result<Deployment> {
        self.call()?;
        self.change(|state| {
            change(state)?;
            self.report(state.record(name)?)
        })
    }

    /// What is reported on a record; its server follows. Called while the state is looked at, so that servers
    /// and state agree.
    fn report(&self, record: &Record) -> Result<Deployment> {
        let now = Timestamp::now();
        let mut deployment = status::report(record, now, self.inner.phases);
        if !self.is_shared() {
            let server = self.inner.servers.serve(record, status::listens(record, now, self.inner.phases))?;
            deployment.endpoint = server.map(|server| connect::url(server.address(), record));
        }
        Ok(deployment)
    }

    fn faults(&self) -> Faults {
        self.inner.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl DeploymentBackend for MockBackend {
    fn name(&self) -> &'static str {
        BACKEND
    }

    fn capabilities(&self) -> Capabilities {
        state::capabilities()
    }

    async fn check(&self) -> Result<BackendHealth> {
        self.ask(|_| Ok(()))?;
        Ok(BackendHealth { version: env!("CARGO_PKG_VERSION").to_owned(), scope: self.scope() })
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %spec.name, operation = "deploy"))]
    async fn deploy(&self, spec: &DeploymentSpec, options: DeployOptions) -> Result<Deployment> {
        let faults = self.faults();
        let deploy = |state: &mut State| state.deploy(spec, &faults, Timestamp::now(), self.inner.phases);
        if !options.dry_run {
            return self.verb(&spec.name, deploy);
        }
        self.ask(|state| {
            let mut state = state.clone();
            deploy(&mut state)?;
            Ok(status::report(state.record(&spec.name)?, Timestamp::now(), self.inner.phases))
        })
    }

    async fn get(&self, name: &DeploymentName) -> Result<Deployment> {
        self.ask(|state| self.report(state.record(name)?))
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Arc<Deployment>>> {
        self.observe(selector)
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "scale"))]
    async fn scale(&self, name: &DeploymentName, replicas: u32) -> Result<Deployment> {
        self.verb(name, |state| state.scale(name, replicas, Timestamp::now(), self.inner.phases))
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "restart"))]
    async fn restart(&self, name: &DeploymentName) -> Result<Deployment> {
        self.verb(name, |state| state.restart(name, Timestamp::now(), self.inner.phases))
    }

    #[tracing::instrument(skip_all, fields(backend = BACKEND, deployment = %name, operation = "delete"))]
    async fn delete(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()> {
        self.call()?;
        self.change(|state| {
            state.delete(name, options.volumes)?;
            self.inner.servers.close(name);
            Ok(())
        })
    }

    async fn revisions(&self, name: &DeploymentName) -> Result<Vec<Revision>> {
        Ok(self.record(name)?.revisions())
    }

    async fn connect(&self, name: &DeploymentName) -> Result<Connection> {
        self.ask(|state| {
            let record = state.record(name)?;
            let now = Timestamp::now();
            let deployment = status::report(record, now, self.inner.phases);
            if deployment.replicas.ready == 0 {
                return Err(Error::not_listening(BACKEND, &deployment));
            }
            if self.is_shared() {
                return connect::connect_alone(record);
            }
            match self.inner.servers.serve(record, status::listens(record, now, self.inner.phases))? {
                Some(server) => Ok(Connection::guarded(connect::url(server.address(), record), server)),
                None => connect::connect_to_nothing(record),
            }
        })
    }

    fn logs(&self, name: &DeploymentName, options: LogOptions) -> LogStream {
        if let Err(error) = self.capabilities().check_logs(BACKEND, options) {
            return stream::iter([Err(error)]).boxed();
        }
        logs::stream(self.clone(), name.clone(), options)
    }

    fn watch(&self, selector: Selector) -> EventStream {
        crate::watch::stream(self.clone(), selector)
    }
}
