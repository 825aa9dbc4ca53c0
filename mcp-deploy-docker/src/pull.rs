//! Getting an image: pulled when it is missing, with its progress told.

use std::collections::HashMap;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use mcp_deploy_core::{
    DeployOptions, DeploymentSpec, Error, Failure, FailureReason, ImageRef, Progress, Result,
};

use crate::error::{is_not_found, refusal, sorted};

/// Makes sure that the image is there.
pub(crate) async fn ensure_image(
    docker: &Docker,
    spec: &DeploymentSpec,
    options: &DeployOptions,
) -> Result<()> {
    match docker.inspect_image(spec.image.as_str()).await {
        Ok(_) => return Ok(()),
        Err(error) if is_not_found(&error) => {}
        Err(error) => return Err(sorted("look for the image", error)),
    }
    let pull = CreateImageOptionsBuilder::new().from_image(&with_tag(&spec.image)).build();
    let mut layers: HashMap<String, (u64, u64)> = HashMap::new();
    let mut steps = std::pin::pin!(docker.create_image(Some(pull), None, None));
    while let Some(step) = steps.next().await {
        let step = match step {
            Ok(step) => step,
            Err(error) => return Err(failed(spec, error)),
        };
        if let Some(message) = step.error_detail.and_then(|detail| detail.message) {
            return Err(told(spec, &message));
        }
        if let (Some(layer), Some(progress)) = (step.id, step.progress_detail) {
            let bytes =
                |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
            layers.insert(layer, (bytes(progress.current), bytes(progress.total)));
            let (received, total) = layers.values().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
            options.report(Progress::Pull {
                image: spec.image.clone(),
                received,
                total: (total > 0).then_some(total),
            });
        }
    }
    Ok(())
}

/// Without tag and digest the daemon would pull every tag there is.
fn with_tag(image: &ImageRef) -> String {
    match (image.tag(), image.digest()) {
        (None, None) => format!("{image}:latest"),
        _ => image.to_string(),
    }
}

fn failed(spec: &DeploymentSpec, error: bollard::errors::Error) -> Error {
    if let Some((_, message)) = refusal(&error) {
        return told(spec, message);
    }
    match &error {
        bollard::errors::Error::DockerStreamError { error } => told(spec, error),
        _ => sorted("pull the image", error),
    }
}

/// The registry's own words, sorted.
fn told(spec: &DeploymentSpec, message: &str) -> Error {
    let lower = message.to_lowercase();
    let is_denied = ["denied", "unauthorized", "authentication required", "forbidden"]
        .iter()
        .any(|word| lower.contains(word));
    let reason = if is_denied { FailureReason::ImageDenied } else { FailureReason::ImagePull };
    let failure = Failure::new(reason, format!("the image `{}` cannot be pulled: {message}", spec.image));
    Error::Failed { name: spec.name.clone(), failure: Box::new(failure), recovery: None }
}
