//! The trait of a place where specs run, and what its methods take and give.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    Capabilities, Deployment, DeploymentName, DeploymentSpec, Event, ImageRef, LogLine, Result, Revision,
    TemplateId,
};

/// What a server writes, line by line. Dropping it ends the reading.
pub type LogStream = BoxStream<'static, Result<LogLine>>;

/// What happens to deployments. An error is an item and not the end. Dropping it ends the watching.
pub type EventStream = BoxStream<'static, Result<Event>>;

/// A place where specs run; one value is one scope: a namespace, a daemon.
///
/// A value is a cheap handle: cloning shares it, and an [`Arc`] of it is a backend too. Dropping a future or a
/// stream stops the waiting and frees its connection; callers set timeouts. No method has a default: what a
/// backend cannot do it answers with [`Error::Unsupported`](crate::Error::Unsupported), before it touches
/// anything.
#[async_trait]
pub trait DeploymentBackend: fmt::Debug + Send + Sync + 'static {
    /// Its name, as in `docker`. No I/O.
    fn name(&self) -> &'static str;

    /// What it can do. No I/O.
    fn capabilities(&self) -> Capabilities;

    /// Reaches the platform.
    async fn check(&self) -> Result<BackendHealth>;

    /// Makes it so: creates, updates, or leaves what is already there. Returns when the platform has accepted
    /// the spec. It sets the replicas, so it starts a stopped deployment; the same spec restarts nothing.
    async fn deploy(&self, spec: &DeploymentSpec, options: DeployOptions) -> Result<Deployment>;

    /// One deployment.
    async fn get(&self, name: &DeploymentName) -> Result<Deployment>;

    /// Our deployments, sorted by name. A backend that keeps reports in memory hands out the same one until it changes.
    async fn list(&self, selector: &Selector) -> Result<Vec<Arc<Deployment>>>;

    /// Changes the number of instances; 0 stops the deployment and keeps everything.
    async fn scale(&self, name: &DeploymentName, replicas: u32) -> Result<Deployment>;

    /// Replaces all instances; the address stays.
    async fn restart(&self, name: &DeploymentName) -> Result<Deployment>;

    /// Removes everything that `deploy` made, but named volumes unless the options say so.
    async fn delete(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()>;

    /// The earlier specs, newest first, whole.
    async fn revisions(&self, name: &DeploymentName) -> Result<Vec<Revision>>;

    /// An address of the MCP endpoint that works from here, for as long as the [`Connection`] lives.
    async fn connect(&self, name: &DeploymentName) -> Result<Connection>;

    /// What the server wrote.
    fn logs(&self, name: &DeploymentName, options: LogOptions) -> LogStream;

    /// `Changed` for what is there, one `Synced`, then what happens; after a cut the state comes again.
    fn watch(&self, selector: Selector) -> EventStream;
}

#[async_trait]
impl<B: DeploymentBackend + ?Sized> DeploymentBackend for Arc<B> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    async fn check(&self) -> Result<BackendHealth> {
        (**self).check().await
    }

    async fn deploy(&self, spec: &DeploymentSpec, options: DeployOptions) -> Result<Deployment> {
        (**self).deploy(spec, options).await
    }

    async fn get(&self, name: &DeploymentName) -> Result<Deployment> {
        (**self).get(name).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Arc<Deployment>>> {
        (**self).list(selector).await
    }

    async fn scale(&self, name: &DeploymentName, replicas: u32) -> Result<Deployment> {
        (**self).scale(name, replicas).await
    }

    async fn restart(&self, name: &DeploymentName) -> Result<Deployment> {
        (**self).restart(name).await
    }

    async fn delete(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()> {
        (**self).delete(name, options).await
    }

    async fn revisions(&self, name: &DeploymentName) -> Result<Vec<Revision>> {
        (**self).revisions(name).await
    }

    async fn connect(&self, name: &DeploymentName) -> Result<Connection> {
        (**self).connect(name).await
    }

    fn logs(&self, name: &DeploymentName, options: LogOptions) -> LogStream {
        (**self).logs(name, options)
    }

    fn watch(&self, selector: Selector) -> EventStream {
        (**self).watch(selector)
    }
}

/// What a platform says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct BackendHealth {
    /// Its version.
    pub version: String,
    /// Where in it we work: a namespace, a daemon's address, a file.
    pub scope: String,
}

/// How to deploy.
#[derive(Debug, Clone, Default)]
pub struct DeployOptions {
    /// Checks everything and touches nothing.
    pub dry_run: bool,
    /// Where to tell what only this call can see.
    pub progress: Option<UnboundedSender<Progress>>,
}

impl DeployOptions {
    /// Tells `progress` to whoever listens.
    pub fn report(&self, progress: Progress) {
        if let Some(sender) = &self.progress {
            // Nobody listens any more: then nobody wants to know.
            let _ = sender.send(progress);
        }
    }
}

/// A step of a deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The image comes.
    Pull {
        /// Which.
        image: ImageRef,
        /// Bytes that are here.
        received: u64,
        /// Bytes in all, where known.
        total: Option<u64>,
        /// Layers that are here.
        layers_received: usize,
        /// Layers in all.
        layers: usize,
    },
    /// Something that the user should know of, though it stops nothing.
    Warning(String),
    /// The deployment has entered a phase.
    Phase(Phase),
}

/// What a deploy is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// The platform is told.
    Deploying,
    /// The platform starts the server.
    Starting,
    /// The server is asked over MCP.
    Verifying,
    /// The revision before is brought back.
    GoingBack,
}

/// What to remove beside the deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Whether the named volumes go too, with all that is in them.
    pub volumes: bool,
}

/// Which lines to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// The last lines only; of each instance.
    pub tail: Option<usize>,
    /// Lines from this moment on.
    pub since: Option<Timestamp>,
    /// Whether to wait for more.
    pub follow: bool,
    /// Lines of the run before the current one, of each instance that was started again; never followed. Only
    /// where the platform keeps the runs apart.
    pub previous: bool,
}

/// Which deployments; all by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Those of this template.
    pub template: Option<TemplateId>,
    /// The one of this name.
    pub name: Option<DeploymentName>,
}

impl Selector {
    /// The one of this name.
    pub fn named(name: &DeploymentName) -> Self {
        Self { name: Some(name.clone()), ..Self::default() }
    }

    /// Those of a template.
    pub fn of_template(template: &TemplateId) -> Self {
        Self { template: Some(template.clone()), ..Self::default() }
    }

    /// Whether a deployment is selected.
    pub fn matches(&self, name: &DeploymentName, template: &TemplateId) -> bool {
        let Self { template: wanted_template, name: wanted_name } = self;
        wanted_name.as_ref().is_none_or(|wanted| wanted == name)
            && wanted_template.as_ref().is_none_or(|wanted| wanted == template)
    }
}

/// An address that works from here, and what keeps it open.
pub struct Connection {
    url: String,
    host: Option<String>,
    _guard: Option<Box<dyn Any + Send + Sync>>,
}

impl Connection {
    /// An address that needs nothing to stay open.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), host: None, _guard: None }
    }

    /// An address that works as long as `guard` lives: a port-forward, a server.
    pub fn guarded(url: impl Into<String>, guard: impl Any + Send + Sync) -> Self {
        Self { url: url.into(), host: None, _guard: Some(Box::new(guard)) }
    }

    /// Says by which host clients call the server, where that is another than the one of the URL: what it answers
    /// to a request through a tunnel proves little where it looks at the `Host` of a request.
    #[must_use]
    pub fn called(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The URL of the MCP endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The host by which clients call the server, where that is another than the one of the URL.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("url", &self.url).field("host", &self.host).finish_non_exhaustive()
    }
}

#[cfg(feature = "mockall")]
mockall::mock! {
    /// A strict double of [`DeploymentBackend`]: every call has to be expected.
    #[derive(Debug)]
    pub DeploymentBackend {}

    #[async_trait]
    impl DeploymentBackend for DeploymentBackend {
        fn name(&self) -> &'static str;
        fn capabilities(&self) -> Capabilities;
        async fn check(&self) -> Result<BackendHealth>;
        async fn deploy(&self, spec: &DeploymentSpec, options: DeployOptions) -> Result<Deployment>;
        async fn get(&self, name: &DeploymentName) -> Result<Deployment>;
        async fn list(&self, selector: &Selector) -> Result<Vec<Arc<Deployment>>>;
        async fn scale(&self, name: &DeploymentName, replicas: u32) -> Result<Deployment>;
        async fn restart(&self, name: &DeploymentName) -> Result<Deployment>;
        async fn delete(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()>;
        async fn revisions(&self, name: &DeploymentName) -> Result<Vec<Revision>>;
        async fn connect(&self, name: &DeploymentName) -> Result<Connection>;
        fn logs(&self, name: &DeploymentName, options: LogOptions) -> LogStream;
        fn watch(&self, selector: Selector) -> EventStream;
    }
}
