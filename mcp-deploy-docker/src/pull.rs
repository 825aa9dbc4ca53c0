//! Getting an image: pulled when its policy says so, with its progress told.

use std::collections::BTreeMap;

use bollard::Docker;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use mcp_deploy_core::{
    DeployOptions, DeploymentSpec, DockerSettings, Error, Failure, FailureReason, ImageRef, Progress,
    PullPolicy, Result, one_line,
};

use crate::client_config::ClientConfig;
use crate::credentials;
use crate::error::{is_not_found, refusal, sorted};

/// An image that the daemon has.
#[derive(Debug, Default)]
pub(crate) struct Image {
    /// The paths that it declares as volumes, in order.
    pub(crate) volumes: Vec<String>,
}

/// The image of a spec, pulled as its policy says.
///
/// # Errors
///
/// [`Error::Failed`] with the registry's own words, sorted into a reason.
pub(crate) async fn ensure_image(
    docker: &Docker,
    settings: &DockerSettings,
    spec: &DeploymentSpec,
    options: &DeployOptions,
) -> Result<Image> {
    let here = look(docker, &spec.image).await?;
    let policy = spec.pull_policy;
    // The content of `latest` changes: it is worth a try, and what is here will do.
    let is_try = policy.is_none() && spec.image.is_latest();
    match (policy, here) {
        (Some(PullPolicy::Never), None) => {
            let reason = "the daemon does not have it, and its pull policy is `never`";
            let failure = Failure::new(FailureReason::ImagePull, unpulled(&spec.image, reason));
            Err(failed(spec, failure.hint("build or load the image, or set another pull policy")))
        }
        (None | Some(PullPolicy::Missing | PullPolicy::Never), Some(here)) if !is_try => Ok(here),
        (_, Some(here)) if is_try => match pull(docker, settings, spec, options).await {
            Ok(()) => Ok(look(docker, &spec.image).await?.unwrap_or(here)),
            Err(error) => {
                warn(options, format!("{}; the image that is here is used", reason_of(&error)));
                Ok(here)
            }
        },
        _ => {
            pull(docker, settings, spec, options).await?;
            let gone = || {
                failed(
                    spec,
                    Failure::new(FailureReason::ImagePull, unpulled(&spec.image, "it is gone again")),
                )
            };
            look(docker, &spec.image).await?.ok_or_else(gone)
        }
    }
}

async fn look(docker: &Docker, image: &ImageRef) -> Result<Option<Image>> {
    match docker.inspect_image(image.as_str()).await {
        Ok(found) => {
            let mut volumes = found.config.and_then(|config| config.volumes).unwrap_or_default();
            volumes.sort();
            Ok(Some(Image { volumes }))
        }
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(sorted("look for the image", error)),
    }
}

async fn pull(
    docker: &Docker,
    settings: &DockerSettings,
    spec: &DeploymentSpec,
    options: &DeployOptions,
) -> Result<()> {
    let config = ClientConfig::read(settings)?;
    let login = credentials::of_image(&config, &spec.image).await.unwrap_or_else(|error| {
        warn(options, format!("{}; the image is pulled without a login", one_line(&error)));
        None
    });
    let query = CreateImageOptionsBuilder::new().from_image(&with_tag(&spec.image)).build();
    let mut layers = Layers::default();
    let mut steps = std::pin::pin!(docker.create_image(Some(query), None, login));
    while let Some(step) = steps.next().await {
        let step = match step {
            Ok(step) => step,
            Err(error) => return Err(refused(spec, error)),
        };
        if let Some(words) = step.error_detail.as_ref().and_then(|detail| detail.message.as_ref()) {
            return Err(told(spec, words));
        }
        if layers.heed(&step) {
            options.report(layers.progress(&spec.image));
        }
    }
    Ok(())
}

/// What has come of each layer.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, Layer>);

#[derive(Debug, Default)]
struct Layer {
    received: u64,
    total: Option<u64>,
    is_here: bool,
}

impl Layers {
    /// Takes in what the daemon says; whether it was of a layer.
    fn heed(&mut self, step: &CreateImageInfo) -> bool {
        let (Some(id), Some(status)) = (&step.id, &step.status) else { return false };
        let amount = |amount: Option<i64>| amount.and_then(|amount| u64::try_from(amount).ok());
        match status.as_str() {
            "Pulling fs layer" | "Waiting" => {
                self.0.entry(id.clone()).or_default();
            }
            "Downloading" => {
                let layer = self.0.entry(id.clone()).or_default();
                let detail = step.progress_detail.as_ref();
                layer.received = detail.and_then(|detail| amount(detail.current)).unwrap_or(layer.received);
                layer.total = detail.and_then(|detail| amount(detail.total)).or(layer.total);
            }
            // What is extracted is counted in bytes too; those are not received once more.
            "Verifying Checksum" | "Download complete" | "Extracting" | "Pull complete"
            | "Already exists" => {
                let layer = self.0.entry(id.clone()).or_default();
                layer.received = layer.total.unwrap_or(layer.received);
                layer.is_here = true;
            }
            _ => return false,
        }
        true
    }

    fn progress(&self, image: &ImageRef) -> Progress {
        let all_known = self.0.values().all(|layer| layer.total.is_some() || layer.is_here);
        let total = self.0.values().map(|layer| layer.total.unwrap_or(layer.received)).sum();
        Progress::Pull {
            image: image.clone(),
            received: self.0.values().map(|layer| layer.received).sum(),
            total: (all_known && total > 0).then_some(total),
            layers_received: self.0.values().filter(|layer| layer.is_here).count(),
            layers: self.0.len(),
        }
    }
}

/// Without tag and digest the daemon would pull every tag there is.
fn with_tag(image: &ImageRef) -> String {
    match (image.tag(), image.digest()) {
        (None, None) => format!("{image}:latest"),
        _ => image.to_string(),
    }
}

fn refused(spec: &DeploymentSpec, error: bollard::errors::Error) -> Error {
    if let Some((_, words)) = refusal(&error) {
        return told(spec, words);
    }
    match &error {
        bollard::errors::Error::DockerStreamError { error } => told(spec, error),
        _ => sorted("pull the image", error),
    }
}

/// The registry's own words, sorted.
fn told(spec: &DeploymentSpec, words: &str) -> Error {
    failed(spec, Failure::new(FailureReason::of_pull(words), unpulled(&spec.image, words)))
}

fn unpulled(image: &ImageRef, reason: &str) -> String {
    format!("the image `{image}` cannot be pulled: {reason}")
}

fn failed(spec: &DeploymentSpec, failure: Failure) -> Error {
    Error::Failed { name: spec.name.clone(), failure: Box::new(failure), recovery: None }
}

fn reason_of(error: &Error) -> String {
    match error {
        Error::Failed { failure, .. } => failure.message.clone(),
        error => one_line(error),
    }
}

fn warn(options: &DeployOptions, warning: String) {
    tracing::warn!("{warning}");
    options.report(Progress::Warning(warning));
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn bytes_are_counted_as_they_come_and_not_again_when_they_are_extracted() {
        let image: ImageRef = "demo:1".parse().unwrap();
        let mut layers = Layers::default();
        let mut step = |id: &str, status: &str, amounts: Option<(i64, i64)>| {
            let progress_detail =
                amounts.map(|(current, total)| ProgressDetail { current: Some(current), total: Some(total) });
            let (id, status) = (Some(id.to_owned()), Some(status.to_owned()));
            layers.heed(&CreateImageInfo { id, status, progress_detail, ..CreateImageInfo::default() });
            match layers.progress(&image) {
                Progress::Pull { received, total, layers_received, layers, .. } => {
                    (received, total, layers_received, layers)
                }
                _ => unreachable!("it is the progress of a pull"),
            }
        };
        assert_eq!(step("1", "Pulling from team/demo", None), (0, None, 0, 0));
        assert_eq!(step("a", "Already exists", None), (0, None, 1, 1));
        assert_eq!(step("b", "Pulling fs layer", None), (0, None, 1, 2));
        assert_eq!(step("b", "Downloading", Some((40, 100))), (40, Some(100), 1, 2));
        assert_eq!(step("b", "Download complete", None), (100, Some(100), 2, 2));
        assert_eq!(step("b", "Extracting", Some((10, 100))), (100, Some(100), 2, 2));
        assert_eq!(step("b", "Pull complete", None), (100, Some(100), 2, 2));
    }
}
