//! The catalog.

use std::path::Path;
use std::sync::Arc;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use mcp_deploy_core::{Broken, Error, Template, TemplateId, Templates, Violations};
use serde::Serialize;
use utoipa::ToSchema;

use super::part;
use crate::api::Api;
use crate::body;
use crate::problem::Problem;
use crate::query::Query;

/// The templates of the catalog.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateList {
    /// How many there are.
    count: usize,
    /// Those that can be deployed, by id.
    templates: Vec<Arc<Template>>,
    /// Those that cannot.
    broken: Vec<BrokenTemplate>,
}

/// A template that cannot be deployed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrokenTemplate {
    /// The name of its directory; null where it has none.
    template: Option<String>,
    /// What is wrong with it.
    reason: String,
}

/// One template.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateAnswer {
    template: Arc<Template>,
}

/// A template that is good.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValidAnswer {
    template_id: TemplateId,
    /// Its version.
    version: String,
    /// Fields that nobody reads, each with a suggestion.
    warnings: Violations,
}

/// The good ones, and beside them the broken ones with their reasons.
pub(crate) async fn list(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let Templates { templates, broken } = api.read(|manager| Ok(manager.catalog().list())).await?;
    let templates: Vec<_> = templates.into_values().collect();
    let broken = broken
        .into_iter()
        .map(|broken| BrokenTemplate { template: name(&broken), reason: reason(&broken) })
        .collect();
    Ok(HttpResponse::Ok().json(TemplateList { count: templates.len(), templates, broken }))
}

/// One, with the schema of its configuration.
pub(crate) async fn one(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let id = part(&request, "template").to_owned();
    let template = api.read(move |manager| {
        let found = manager.template(&id);
        let Err(Error::Invalid { .. }) = &found else { return found };
        let broken = manager.catalog().list().broken;
        match broken.iter().find(|broken| name(broken).as_ref() == Some(&id)) {
            Some(broken) => Err(Error::invalid("", reason(broken))),
            None => found,
        }
    });
    Ok(HttpResponse::Ok().json(TemplateAnswer { template: template.await? }))
}

/// The name of a broken template: that of its directory.
fn name(Broken { path, .. }: &Broken) -> Option<String> {
    let name = path.parent().and_then(Path::file_name).or(path.file_name());
    name.map(|name| name.to_string_lossy().into_owned())
}

/// What is wrong with it; where it lies on this machine is nobody's business.
fn reason(Broken { path, error }: &Broken) -> String {
    let place = format!("`{}`", path.display());
    error.to_string().replace(&place, "the template").replace(&path.display().to_string(), "the template")
}

/// Checks a template's text, JSON or YAML; everything that is wrong is told.
pub(crate) async fn validate(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let media_types = ["application/json", "application/yaml", "text/plain"];
    let text = body::text(&request, payload, &media_types).await?;
    // What a pattern costs, its author says: that is for no thread that answers others.
    let template = api.ask(api.read(move |_| Template::parse(&text, "the template", None))).await?;
    let Template { id, version, warnings, .. } = template;
    Ok(HttpResponse::Ok().json(ValidAnswer { template_id: id, version, warnings }))
}
