//! Pushing an image to its registry, with its progress told.

use bollard::auth::DockerCredentials;
use bollard::errors::Error as Bollard;
use bollard::query_parameters::PushImageOptionsBuilder;
use futures_util::StreamExt;
use mcp_deploy_core::{Error, FailureReason, ImageRef, Result, one_line};
use tokio::sync::mpsc::UnboundedSender;

use super::{BuildProgress, Report, parts};
use crate::client_config::ClientConfig;
use crate::credentials;
use crate::error::{refusal, sorted};
use crate::handle::DockerBackend;
use crate::names::BACKEND;

impl DockerBackend {
    /// Pushes an image that the daemon has, with the user's own login for its registry.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] with the registry's own words and the command that logs in; [`Error::Backend`] with its words
    /// where it fails otherwise.
    #[tracing::instrument(skip_all, fields(backend = BACKEND, %image, operation = "push"))]
    pub async fn push(
        &self,
        image: &ImageRef,
        progress: Option<UnboundedSender<BuildProgress>>,
    ) -> Result<()> {
        let report = Report(progress);
        let config = ClientConfig::read(self.settings())?;
        let login = credentials::of_image(&config, image).await.unwrap_or_else(|error| {
            let warning = format!("{}; `{image}` is pushed without a login", one_line(&error));
            report.tell(BuildProgress::Warning(warning));
            None
        });
        let docker = self.docker().await?;
        let (repository, tag) = parts(image);
        let options = PushImageOptionsBuilder::new().tag(tag).build();
        let mut layers = Layers::default();
        let mut steps = std::pin::pin!(docker.push_image(repository, Some(options), login.clone()));
        while let Some(step) = steps.next().await {
            let step = step.map_err(|error| refused(image, login.as_ref(), error))?;
            if layers.heed(step.status.as_deref().unwrap_or_default()) {
                report.tell(layers.progress(image));
            }
        }
        Ok(())
    }
}

/// How many layers there are, and how many of them the registry has: the client library tells not which.
#[derive(Debug, Default)]
struct Layers {
    known: usize,
    pushed: usize,
}

impl Layers {
    /// Takes in what the daemon says; whether something has come of it.
    fn heed(&mut self, status: &str) -> bool {
        match status {
            "Preparing" => self.known += 1,
            "Pushed" | "Layer already exists" => self.pushed += 1,
            status if status.starts_with("Mounted from ") => self.pushed += 1,
            _ => return false,
        }
        true
    }

    fn progress(&self, image: &ImageRef) -> BuildProgress {
        BuildProgress::Pushing { image: image.clone(), pushed: self.pushed, layers: self.known }
    }
}

fn refused(image: &ImageRef, login: Option<&DockerCredentials>, error: Bollard) -> Error {
    let words = match (&error, refusal(&error)) {
        (Bollard::DockerStreamError { error: words }, _) => words.as_str(),
        (_, Some((_, words))) => words,
        _ => return sorted("push the image", error),
    };
    if FailureReason::of_pull(words) != FailureReason::ImageDenied {
        return Error::backend(BACKEND, format!("push `{image}`"), words.to_owned());
    }
    let command = image.registry().map_or("docker login".to_owned(), |host| format!("docker login {host}"));
    let way_out = match login {
        None => format!("there is no login for this registry; `{command}` makes one"),
        Some(_) => format!("the login for this registry does not do; `{command}` makes another"),
    };
    let action = format!("the push of `{image}`: {}; {way_out}", words.trim());
    Error::Denied { backend: BACKEND, action }
}
