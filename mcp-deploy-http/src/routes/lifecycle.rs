//! Start, stop, restart, scale.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use mcp_deploy_core::{Deployment, DeploymentManager, DeploymentName, Result, Violation};

use super::deployments::told;
use super::name;
use crate::api::Api;
use crate::audit::Audit;
use crate::body::Fields;
use crate::problem::Problem;
use crate::query::Query;

/// Starts one that is stopped, with one instance.
pub(crate) async fn start(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (name, backend) = asked(&request, Fields::of(&request, payload).await?)?;
    let audit = Audit::of(&request, "start", &name).on(backend.as_deref());
    change(&api, audit, |manager| async move { manager.start(backend.as_deref(), &name).await }).await
}

/// Stops one, and keeps everything.
pub(crate) async fn stop(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (name, backend) = asked(&request, Fields::of(&request, payload).await?)?;
    let audit = Audit::of(&request, "stop", &name).on(backend.as_deref());
    change(&api, audit, |manager| async move { manager.scale(backend.as_deref(), &name, 0).await }).await
}

/// Replaces all instances.
pub(crate) async fn restart(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (name, backend) = asked(&request, Fields::of(&request, payload).await?)?;
    let audit = Audit::of(&request, "restart", &name).on(backend.as_deref());
    change(&api, audit, |manager| async move { manager.restart(backend.as_deref(), &name).await }).await
}

/// Changes the number of instances.
pub(crate) async fn scale(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let mut body = Fields::of(&request, payload).await?;
    let replicas = body.take::<u32>("replicas");
    let (name, backend) = asked(&request, body)?;
    let Some(replicas) = replicas else {
        return Err(Violation::new("/replicas", "is missing").expected("the number of instances").into());
    };
    let audit = Audit::of(&request, "scale", &name).on(backend.as_deref());
    change(
        &api,
        audit,
        move |manager| async move { manager.scale(backend.as_deref(), &name, replicas).await },
    )
    .await
}

/// The deployment, and the backend where one is named; nothing else may be left in the request.
fn asked(request: &HttpRequest, body: Fields) -> Result<(DeploymentName, Option<String>), Problem> {
    let mut query = Query::of(request);
    let backend = query.text("backend");
    query.finish()?;
    body.finish()?;
    Ok((name(request)?, backend))
}

async fn change<F>(
    api: &Api,
    audit: Audit,
    change: impl FnOnce(DeploymentManager) -> F,
) -> Result<HttpResponse, Problem>
where
    F: Future<Output = Result<Deployment>> + Send + 'static,
{
    Ok(told(api.carry_out(audit, change).await?))
}
