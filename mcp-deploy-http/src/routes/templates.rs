//! The catalog.

use std::path::Path;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use mcp_deploy_core::{Broken, Template, Templates};
use serde_json::{Value, json};

use super::part;
use crate::api::Api;
use crate::body;
use crate::problem::Problem;
use crate::query::Query;

/// The good ones, and beside them the broken ones with their reasons.
pub(crate) async fn list(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let Templates { templates, broken } = api.read(|manager| Ok(manager.catalog().list())).await?;
    let templates: Vec<_> = templates.into_values().collect();
    let broken: Vec<Value> = broken
        .into_iter()
        .map(|Broken { path, error }| {
            // Where it lies on this machine is nobody's business.
            let template = path.parent().and_then(Path::file_name).or(path.file_name());
            json!({"template": template.map(|name| name.to_string_lossy()), "reason": error.to_string()})
        })
        .collect();
    let templates: Vec<&Template> = templates.iter().map(|template| &**template).collect();
    Ok(HttpResponse::Ok().json(json!({"count": templates.len(), "templates": templates, "broken": broken})))
}

/// One, with the schema of its configuration.
pub(crate) async fn one(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let id = part(&request, "template").to_owned();
    let template = api.read(move |manager| manager.template(&id)).await?;
    Ok(HttpResponse::Ok().json(json!({"template": &*template})))
}

/// Checks a template's text, JSON or YAML; everything that is wrong is told.
pub(crate) async fn validate(request: HttpRequest, payload: Payload) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let media_types = ["application/json", "application/yaml", "text/plain"];
    let text = body::text(&request, payload, &media_types).await?;
    let template = Template::parse(&text, "the template", None)?;
    let Template { id, version, warnings, .. } = &template;
    Ok(HttpResponse::Ok().json(json!({"template_id": id, "version": version, "warnings": warnings})))
}
