//! What runs: listed, looked at, removed.

use std::str::FromStr;
use std::sync::Arc;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use mcp_deploy_core::{DeleteOptions, Deployment, DeploymentName, Selector, Status, TemplateId};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::name;
use crate::accept::JSON;
use crate::api::Api;
use crate::audit::Audit;
use crate::body::Fields;
use crate::problem::{Problem, ProblemDocument};
use crate::query::Query;
use crate::request_id;

/// How many deployments a page holds at most, and where no number is asked for.
pub(crate) const PAGE: usize = 1000;

/// Room for what stands round the deployments of a page, in bytes.
const ROOM: usize = 256;

/// How many deployments a page holds.
struct PageSize(usize);

impl FromStr for PageSize {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = text.parse().ok().filter(|number| (1..=PAGE).contains(number));
        number.map(Self).ok_or(())
    }
}

/// A page of deployments.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeploymentList {
    /// How many there are on all pages.
    count: usize,
    /// Those of this page, by name.
    #[schema(value_type = Vec<Deployment>)]
    deployments: Vec<Arc<RawValue>>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
    /// The backends that could not tell.
    errors: Vec<BackendError>,
}

/// A backend that could not tell, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackendError {
    /// Its name.
    backend: &'static str,
    problem: ProblemDocument,
}

/// One deployment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeploymentAnswer {
    deployment: Deployment,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedAnswer {
    deployment_name: DeploymentName,
    /// Always `true`.
    deleted: bool,
}

/// The deployments of one backend or of all, by name; the backends that could not tell are told beside them.
pub(crate) async fn list(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let template = query.take::<TemplateId>("template", "the id of a template");
    let status = query.word::<Status>("status");
    let backend = query.text("backend");
    let limit = query.take::<PageSize>("limit", "a number from 1 to 1000");
    let PageSize(limit) = limit.unwrap_or(PageSize(PAGE));
    let cursor = query.text("cursor");
    query.finish()?;

    let selector = Selector { template, name: None };
    let (mut deployments, mut errors) = look(&api, backend.as_deref(), &selector).await?;
    if backend.is_some() && !errors.is_empty() {
        return Err(errors.remove(0).1);
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
    let told = |(backend, problem): (&'static str, Problem)| {
        problem.log();
        BackendError { backend, problem: problem.document(request_id.as_deref()) }
    };
    let errors = errors.into_iter().map(told).collect();
    let deployments = api.rendered().of(&deployments);
    let mut body =
        Vec::with_capacity(ROOM + deployments.iter().map(|json| json.get().len() + 1).sum::<usize>());
    let list = DeploymentList { count, deployments, next_cursor: next, errors };
    serde_json::to_writer(&mut body, &list).expect("a list is JSON");
    Ok(HttpResponse::Ok().content_type(JSON).body(body))
}

/// What the backends run, and why some of them cannot tell; one that does not answer in time costs the others nothing.
async fn look(
    api: &Api,
    backend: Option<&str>,
    selector: &Selector,
) -> Result<(Vec<Arc<Deployment>>, Vec<(&'static str, Problem)>), Problem> {
    let backends = api.manager().backends().one_or_all(backend)?;
    let asked =
        backends.iter().map(|backend| async move { (backend.name(), api.ask(backend.list(selector)).await) });
    let (mut deployments, mut problems) = (Vec::new(), Vec::new());
    for (name, answer) in join_all(asked).await {
        match answer {
            Ok(listed) => deployments.extend(listed),
            Err(problem) => problems.push((name, problem)),
        }
    }
    Ok((deployments, problems))
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
    Ok(told(deployment))
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
    let audit = Audit::of(&request, "delete", &name).on(backend.as_deref());
    api.carry_out(audit, move |manager| async move {
        manager.delete(backend.as_deref(), &name, DeleteOptions { volumes }).await
    })
    .await?;
    Ok(HttpResponse::Ok().json(DeletedAnswer { deployment_name: deleted, deleted: true }))
}

/// The answer that is one deployment.
pub(super) fn told(deployment: Deployment) -> HttpResponse {
    HttpResponse::Ok().json(DeploymentAnswer { deployment })
}
