//! What a server can do, and has it done.

use std::time::Duration;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use mcp_deploy_core::Tool;
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
    let audit = Audit::of(&request, "call", &name);
    let answer = api.manager().call(backend.as_deref(), &name, &tool, arguments, PATIENCE).await;
    audit.ended(api.metrics(), &answer);
    Ok(HttpResponse::Ok().json(answer?))
}
