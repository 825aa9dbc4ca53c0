//! What a server can do, and has it done.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use mcp_deploy_core::{DeploymentName, Error, Tool};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{name, part};
use crate::api::Api;
use crate::audit::Audit;
use crate::body::Fields;
use crate::problem::Problem;
use crate::query::Query;

/// How long a tool may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The tools of a server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolList {
    /// In the server's own order.
    tools: Vec<Tool>,
}

/// The tools, with the schemas of their arguments.
pub(crate) async fn list(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let backend = query.text("backend");
    query.finish()?;
    let name = name(&request)?;
    let tools = api.ask(api.manager().tools(backend.as_deref(), &name)).await?;
    Ok(HttpResponse::Ok().json(ToolList { tools }))
}

/// Calls one. A tool that ran and failed is an answer, whose `is_error` says so.
pub(crate) async fn call(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let backend = query.text("backend");
    query.finish()?;
    let mut body = Fields::of(&request, payload).await?;
    let arguments: Map<String, Value> = body.take("arguments").unwrap_or_default();
    body.finish()?;
    let (name, tool) = (name(&request)?, part(&request, "tool").to_owned());
    let audit = Audit::of(&request, "call", &name).on(backend.as_deref());
    let (on, of, called) = (backend.clone(), name.clone(), tool.clone());
    let answer = api
        .carry_out(audit, move |manager| async move {
            manager.call(on.as_deref(), &of, &called, arguments, PATIENCE).await
        })
        .await;
    if let Err(Problem::Of(Error::Server { .. })) = &answer {
        check_is_there(&api, backend.as_deref(), &name, &tool).await?;
    }
    Ok(HttpResponse::Ok().json(answer?))
}

/// Whether the server has a tool of this name; where it cannot tell, it may.
async fn check_is_there(
    api: &Api,
    backend: Option<&str>,
    name: &DeploymentName,
    tool: &str,
) -> Result<(), Problem> {
    let Ok(tools) = api.ask(api.manager().tools(backend, name)).await else { return Ok(()) };
    if tools.iter().any(|known| known.name == tool) {
        return Ok(());
    }
    let known: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let detail = format!("`{name}` has no tool `{tool}`; it has `{}`", known.join("`, `"));
    Err(Problem::request(StatusCode::NOT_FOUND, "tool_not_found", detail))
}
