//! What runs: listed, looked at, removed.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use mcp_deploy_core::{DeleteOptions, Deployment, Listed, Selector, Status, TemplateId};
use serde_json::{Value, json};

use super::name;
use crate::api::Api;
use crate::audit::Audit;
use crate::body::Fields;
use crate::problem::Problem;
use crate::query::Query;
use crate::request_id;

/// How many deployments a page holds at most, and where no number is asked for.
const PAGE: usize = 1000;

/// The deployments of one backend or of all, by name; the backends that could not tell are told beside them.
pub(crate) async fn list(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let template = query.take::<TemplateId>("template", "the id of a template");
    let status = query.word::<Status>("status");
    let backend = query.text("backend");
    let limit = query.take::<usize>("limit", "a number of deployments").unwrap_or(PAGE).clamp(1, PAGE);
    let cursor = query.text("cursor");
    query.finish()?;

    let selector = Selector { template, name: None };
    let Listed { mut deployments, mut errors } =
        api.ask(api.manager().list(backend.as_deref(), &selector)).await?;
    if backend.is_some() && !errors.is_empty() {
        return Err(errors.remove(0).1.into());
    }
    deployments.retain(|deployment| status.is_none_or(|status| deployment.status == status));
    deployments.sort_by(|one, other| place(one).cmp(&place(other)));
    let count = deployments.len();
    if let Some((name, backend)) = cursor.as_deref().and_then(|cursor| cursor.split_once('/')) {
        deployments.retain(|deployment| place(deployment) > (name, backend));
    }
    let is_last = deployments.len() <= limit;
    deployments.truncate(limit);
    let next = deployments.last().filter(|_| !is_last).map(|last| format!("{}/{}", last.name, last.backend));
    let request_id = request_id::of(&request);
    let told = |(backend, error)| {
        let problem = Problem::from(error);
        problem.log();
        json!({"backend": backend, "problem": problem.document(request_id.as_deref())})
    };
    let errors: Vec<Value> = errors.into_iter().map(told).collect();
    Ok(HttpResponse::Ok()
        .json(json!({"count": count, "deployments": deployments, "next_cursor": next, "errors": errors})))
}

/// Where a deployment stands among all.
fn place(deployment: &Deployment) -> (&str, &str) {
    (deployment.name.as_str(), &deployment.backend)
}

/// One, with what its server answers.
pub(crate) async fn one(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let backend = query.text("backend");
    query.finish()?;
    let name = name(&request)?;
    let deployment = api.ask(api.manager().status(backend.as_deref(), &name)).await?;
    Ok(told(&deployment))
}

/// Removes one; its named volumes go where the client says so.
pub(crate) async fn delete(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Fields::of(&request, payload).await?.finish()?;
    let mut query = Query::of(&request);
    let backend = query.text("backend");
    let volumes = query.flag("volumes");
    query.finish()?;
    let name = name(&request)?;
    let deleted = name.clone();
    api.change(Audit::of(&request, "delete", &name), move |manager| async move {
        manager.delete(backend.as_deref(), &name, DeleteOptions { volumes }).await
    })
    .await?;
    Ok(HttpResponse::Ok().json(json!({"deployment_name": deleted, "deleted": true})))
}

/// The answer that is one deployment.
pub(super) fn told(deployment: &Deployment) -> HttpResponse {
    HttpResponse::Ok().json(json!({"deployment": deployment}))
}
