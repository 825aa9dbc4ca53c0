//! The verbs, once, for every adapter: the library, the HTTP API and the command line.

mod deploy;
mod evidence;
#[cfg(feature = "probe")]
mod trial;
#[cfg(feature = "probe")]
mod verify;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{StreamExt, select_all};

pub use self::deploy::{Change, Deploy, Deployed};
#[cfg(feature = "probe")]
pub use self::trial::Trial;
use crate::{
    Backends, Catalog, DeleteOptions, Deployment, DeploymentBackend, DeploymentName, DeploymentSpec, Error,
    EventStream, LogOptions, LogStream, Request, Result, Selector, Settings, Status, Template, nearest,
    resolve,
};

/// How long a deployment may take to answer, unless told otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_mins(2);

/// Validates, resolves, routes to a backend, waits, verifies, and goes back.
///
/// A verb on a name acts on the backend that is named, or on the default one; only [`list`](Self::list) and
/// [`watch`](Self::watch) span all. A value is a cheap handle.
#[derive(Debug, Clone)]
pub struct DeploymentManager {
    catalog: Arc<Catalog>,
    backends: Backends,
    image_registry: String,
}

/// What several backends run.
#[derive(Debug, Default)]
pub struct Listed {
    /// The deployments, sorted by name within each backend.
    pub deployments: Vec<Arc<Deployment>>,
    /// The backends that could not tell, and why.
    pub errors: Vec<(&'static str, Error)>,
}

impl DeploymentManager {
    /// A manager of these templates and these backends. Of the settings it takes the image registry; the
    /// default backend is the one of `backends`.
    pub fn new(catalog: impl Into<Arc<Catalog>>, backends: Backends, settings: &Settings) -> Self {
        Self { catalog: catalog.into(), backends, image_registry: settings.image_registry.clone() }
    }

    /// The templates.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The backends.
    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// The template of an id, as it is now.
    ///
    /// # Errors
    ///
    /// [`Error::TemplateNotFound`], or [`Error::Invalid`] where it is broken.
    pub fn template(&self, id: &str) -> Result<Arc<Template>> {
        self.catalog.get(id)
    }

    /// What a request makes of a template. Touches nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with everything that is wrong.
    pub fn resolve(&self, template: &Template, request: &Request) -> Result<DeploymentSpec> {
        resolve(template, request, &self.image_registry)
    }

    /// The deployments of one backend, or of all.
    ///
    /// # Errors
    ///
    /// [`Error::BackendNotFound`]. A backend that cannot tell is an entry of [`Listed::errors`].
    pub async fn list(&self, backend: Option<&str>, selector: &Selector) -> Result<Listed> {
        let backends = self.backends.one_or_all(backend)?;
        let asked =
            backends.iter().map(|backend| async move { (backend.name(), backend.list(selector).await) });
        let mut listed = Listed::default();
        for (name, answer) in join_all(asked).await {
            match answer {
                Ok(deployments) => listed.deployments.extend(deployments),
                Err(error) => listed.errors.push((name, error)),
            }
        }
        Ok(listed)
    }

    /// What happens on one backend, or on all; `Synced` comes once for each.
    ///
    /// # Errors
    ///
    /// [`Error::BackendNotFound`].
    pub fn watch(&self, backend: Option<&str>, selector: &Selector) -> Result<EventStream> {
        let backends = self.backends.one_or_all(backend)?;
        Ok(select_all(backends.iter().map(|backend| backend.watch(selector.clone()))).boxed())
    }

    /// One deployment, as the platform reports it.
    ///
    /// # Errors
    ///
    /// Those of [`DeploymentBackend::get`]; [`Error::NotFound`] names the nearest.
    pub async fn get(&self, backend: Option<&str>, name: &DeploymentName) -> Result<Deployment> {
        let backend = self.backends.get(backend)?;
        or_nearest(&*backend, backend.get(name).await).await
    }

    /// Changes the number of instances; 0 stops the deployment and keeps everything.
    ///
    /// # Errors
    ///
    /// Those of [`DeploymentBackend::scale`].
    pub async fn scale(
        &self,
        backend: Option<&str>,
        name: &DeploymentName,
        replicas: u32,
    ) -> Result<Deployment> {
        let backend = self.backends.get(backend)?;
        or_nearest(&*backend, backend.scale(name, replicas).await).await
    }

    /// Starts a stopped deployment with one instance, and one that failed, because somebody else has stopped it
    /// say, as it was; leaves one that runs as it is.
    ///
    /// # Errors
    ///
    /// Those of [`DeploymentBackend::scale`].
    pub async fn start(&self, backend: Option<&str>, name: &DeploymentName) -> Result<Deployment> {
        let deployment = self.get(backend, name).await?;
        if deployment.replicas.desired > 0 && deployment.status != Status::Failed {
            return Ok(deployment);
        }
        self.scale(backend, name, deployment.replicas.desired.max(1)).await
    }

    /// Replaces all instances; the address stays.
    ///
    /// # Errors
    ///
    /// Those of [`DeploymentBackend::restart`].
    pub async fn restart(&self, backend: Option<&str>, name: &DeploymentName) -> Result<Deployment> {
        let backend = self.backends.get(backend)?;
        or_nearest(&*backend, backend.restart(name).await).await
    }

    /// Removes a deployment; named volumes stay unless the options say so.
    ///
    /// # Errors
    ///
    /// Those of [`DeploymentBackend::delete`].
    pub async fn delete(
        &self,
        backend: Option<&str>,
        name: &DeploymentName,
        options: DeleteOptions,
    ) -> Result<()> {
        let backend = self.backends.get(backend)?;
        or_nearest(&*backend, backend.delete(name, options).await).await
    }

    /// What the server wrote.
    ///
    /// # Errors
    ///
    /// [`Error::BackendNotFound`], [`Error::Unsupported`] and [`Error::NotFound`] at once; everything else comes in
    /// the stream.
    pub async fn logs(
        &self,
        backend: Option<&str>,
        name: &DeploymentName,
        options: LogOptions,
    ) -> Result<LogStream> {
        let backend = self.backends.get(backend)?;
        backend.capabilities().check_logs(backend.name(), options)?;
        or_nearest(&*backend, backend.get(name).await).await?;
        Ok(backend.logs(name, options))
    }
}

/// The answer; a name that is not found comes with the nearest one.
async fn or_nearest<T>(backend: &dyn DeploymentBackend, answer: Result<T>) -> Result<T> {
    let (name, backend_name) = match answer {
        Err(Error::NotFound { name, backend, nearest: None }) => (name, backend),
        answer => return answer,
    };
    let known = backend.list(&Selector::default()).await.unwrap_or_default();
    let nearest =
        nearest(name.as_str(), known.iter().map(|deployment| deployment.name.as_str())).map(str::to_owned);
    Err(Error::NotFound { name, backend: backend_name, nearest })
}

/// The deployment, unless it failed or is no longer ours.
fn working(deployment: Deployment, ours: Option<u64>) -> Result<Deployment> {
    if let Some(error) = superseded(&deployment, ours) {
        return Err(error);
    }
    deployment.or_failed()
}

/// The error where another revision has taken the place of ours.
fn superseded(deployment: &Deployment, ours: Option<u64>) -> Option<Error> {
    let revision = deployment.revision;
    ours.is_some_and(|ours| ours != revision)
        .then(|| Error::Superseded { name: deployment.name.clone(), revision })
}
