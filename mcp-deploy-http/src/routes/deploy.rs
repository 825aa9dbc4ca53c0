//! Deploying a template.

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::stream::{self, StreamExt};
use mcp_deploy_core::{
    Change, DEFAULT_WAIT, Deploy, Deployed, Deployment, DeploymentManager, DeploymentName, DeploymentSpec,
    Overrides, Progress, Request, Violation,
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use utoipa::ToSchema;

use super::part;
use crate::accept::{JSON, wants_events};
use crate::api::Api;
use crate::audit::{Audit, Client};
use crate::body::Fields;
use crate::problem::Problem;
use crate::query::Query;
use crate::request_id;
use crate::stream::{ServerSentEvent, events_to_their_end};

/// The most bytes of an `Idempotency-Key`.
pub(crate) const LONGEST_KEY: usize = 255;

/// What a deploy has made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeployAnswer {
    deployment: Deployment,
    change: Change,
}

/// Makes a deployment of a template, or makes one of this name like it. The client waits until the server answers
/// over MCP, unless it says otherwise; one that accepts events is told of each step.
pub(crate) async fn deploy(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (wanted, mut deploy) = asked(&request, payload).await?;
    let template = part(&request, "template").to_owned();
    let key = idempotency_key(&request)?;
    let spec = api
        .read(move |manager| {
            let template = manager.template(&template)?;
            let of_key = key.map(|key| DeploymentName::derived_from_digest(&template.id, &key).to_string());
            let wanted = Request { name: wanted.name.or(of_key), ..wanted };
            manager.resolve(&template, &wanted)
        })
        .await?;
    let audit = Audit::of(&request, "deploy", &spec.name);
    let audit = audit.on(deploy.backend.as_deref()).dry_run(deploy.dry_run);
    let place = api.deploy_place(deploy.backend.as_deref())?;
    if !wants_events(&request, JSON) {
        let Deploy { dry_run, wait, .. } = deploy;
        let deployed = api.carry_out(audit, |manager| carry_out(manager, spec, deploy, place)).await?;
        return Ok(answer(deployed, dry_run, wait.is_some()));
    }
    let stream = api.stream_place()?;
    let (progress, steps) = mpsc::unbounded_channel();
    deploy.progress = Some(progress);
    let deployed = api.change(audit, |manager| carry_out(manager, spec, deploy, place));
    let request_id = request_id::of(&request);
    let outcome = async move {
        match deployed.await {
            Ok(deployed) => ServerSentEvent::event("deployment", &document(deployed)),
            Err(error) => ServerSentEvent::problem(&error.into(), request_id.as_deref()),
        }
    };
    // The steps end when the deploy lets go of their sender.
    let steps =
        UnboundedReceiverStream::new(steps).map(|step| ServerSentEvent::event("progress", &told(&step)));
    Ok(events_to_their_end(stream, steps.chain(stream::once(outcome))))
}

/// The digest of the `Idempotency-Key`: where no name is given, it makes the name, so that a request that is sent
/// again means the same deployment.
fn idempotency_key(request: &HttpRequest) -> Result<Option<[u8; 32]>, Problem> {
    let Some(key) = request.headers().get("idempotency-key") else { return Ok(None) };
    if key.is_empty() || key.len() > LONGEST_KEY {
        let problem = format!("has {} bytes", key.len());
        let expected = format!("1 to {LONGEST_KEY} bytes");
        return Err(Violation::new("/headers/Idempotency-Key", problem).expected(expected).into());
    }
    let mut digest = Sha256::new();
    // Two clients may have thought of one key.
    if let Some(Client(name)) = request.extensions().get() {
        digest.update(name.as_bytes());
    }
    digest.update([0]);
    digest.update(key.as_bytes());
    Ok(Some(digest.finalize().into()))
}

async fn carry_out(
    manager: DeploymentManager,
    spec: DeploymentSpec,
    deploy: Deploy,
    _place: OwnedSemaphorePermit,
) -> mcp_deploy_core::Result<Deployed> {
    manager.deploy(&spec, &deploy).await
}

/// What the body asks for.
async fn asked(request: &HttpRequest, payload: Payload) -> Result<(Request, Deploy), Problem> {
    Query::of(request).finish()?;
    let mut body = Fields::of(request, payload).await?;
    let configuration = body.take("configuration").unwrap_or_default();
    let name = body.take("name");
    let backend = body.take("backend");
    let wait = body.take("wait").unwrap_or(true);
    let dry_run = body.take("dry_run").unwrap_or_default();
    let mut changed = body.nested("overrides");
    let overrides = Overrides {
        image: changed.take("image"),
        pull_policy: changed.take("pull_policy"),
        host_port: changed.take("host_port"),
        replicas: changed.take("replicas"),
        memory: changed.take("memory"),
        cpus: changed.take("cpus"),
    };
    body.merge(changed);
    body.finish()?;
    let wanted = Request { name, configuration, overrides, ..Request::default() };
    Ok((wanted, Deploy { backend, dry_run, wait: wait.then_some(DEFAULT_WAIT), progress: None }))
}

fn answer(deployed: Deployed, is_dry_run: bool, is_awaited: bool) -> HttpResponse {
    let status = match deployed.change {
        _ if is_dry_run => StatusCode::OK,
        Change::Unchanged => StatusCode::OK,
        Change::Created | Change::Updated if is_awaited => StatusCode::CREATED,
        Change::Created | Change::Updated => StatusCode::ACCEPTED,
    };
    let mut response = HttpResponseBuilder::new(status);
    if status != StatusCode::OK {
        let location = format!("/api/templates/deployments/{}/", deployed.deployment.name);
        response.insert_header((LOCATION, location));
    }
    response.json(document(deployed))
}

fn document(Deployed { deployment, change }: Deployed) -> DeployAnswer {
    DeployAnswer { deployment, change }
}

/// A step, in words and numbers.
fn told(step: &Progress) -> Value {
    match step {
        Progress::Pull { image, received, total, layers_received, layers } => json!({"step": "pull",
            "image": image.to_string(), "received_bytes": received, "total_bytes": total,
            "received_layers": layers_received, "layers": layers}),
        Progress::Warning(warning) => json!({"step": "warning", "message": warning}),
        Progress::Phase(phase) => json!({"step": phase}),
        _ => json!({"step": "other"}),
    }
}
