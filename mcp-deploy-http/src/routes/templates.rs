//! The catalog.

use std::collections::BTreeMap;
use std::mem;
use std::path::{MAIN_SEPARATOR, Path};
use std::sync::Arc;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use mcp_deploy_core::{Broken, Error, Source, Template, TemplateId, Violations};
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
    /// Where each of those that can comes from, by its id.
    sources: BTreeMap<TemplateId, TemplateSource>,
}

/// Where a template comes from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateSource {
    kind: SourceKind,
    /// The URL, the ref and the directory of its repository; null where it comes from none, or from this machine.
    repository: Option<String>,
    /// The commit of that repository.
    commit: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SourceKind {
    Directory,
    Repository,
    BuiltIn,
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
    source: TemplateSource,
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
    let mut listed = api.read(|manager| Ok(manager.catalog().list())).await?;
    let templates: Vec<_> = mem::take(&mut listed.templates).into_values().collect();
    let source = |template: &Arc<Template>| {
        Some((template.id.clone(), TemplateSource::from(listed.source(&template.id)?)))
    };
    let sources = templates.iter().filter_map(source).collect();
    let broken = listed
        .broken
        .iter()
        .map(|broken| BrokenTemplate { template: name(broken), reason: reason(broken) })
        .collect();
    Ok(HttpResponse::Ok().json(TemplateList { count: templates.len(), templates, broken, sources }))
}

/// One, with the schema of its configuration.
pub(crate) async fn one(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let id = part(&request, "template").to_owned();
    let found = api.read(move |manager| {
        let found = manager.catalog().find(&id);
        let Err(Error::Invalid { .. }) = &found else { return found };
        let broken = manager.catalog().list().broken;
        match broken.iter().find(|broken| name(broken).as_ref() == Some(&id)) {
            Some(broken) => Err(Error::invalid("", reason(broken))),
            None => found,
        }
    });
    let (template, source) = found.await?;
    Ok(HttpResponse::Ok().json(TemplateAnswer { template, source: TemplateSource::from(&*source) }))
}

impl From<&Source> for TemplateSource {
    fn from(source: &Source) -> Self {
        match source {
            // Where it lies on this machine is nobody's business.
            Source::Directory { .. } => Self { kind: SourceKind::Directory, repository: None, commit: None },
            Source::Repository { repository, commit } => Self {
                kind: SourceKind::Repository,
                repository: Some(repository.clone()).filter(|address| !is_of_this_machine(address)),
                commit: commit.clone(),
            },
            Source::BuiltIn => Self { kind: SourceKind::BuiltIn, repository: None, commit: None },
        }
    }
}

fn is_of_this_machine(address: &str) -> bool {
    address.starts_with("file:") || Path::new(address).is_absolute()
}

/// The name of a broken template: that of its directory.
fn name(Broken { path, .. }: &Broken) -> Option<String> {
    let name = path.parent().and_then(Path::file_name).or(path.file_name());
    name.map(|name| name.to_string_lossy().into_owned())
}

/// What is wrong with it; where it lies on this machine is nobody's business.
fn reason(Broken { path, place, error }: &Broken) -> String {
    let beside = path.parent().map(|home| format!("{}{MAIN_SEPARATOR}", home.display()));
    let reason = error.to_string().replace(place, "the template");
    let reason = reason.replace(&path.display().to_string(), "the template");
    beside.map_or(reason.clone(), |beside| reason.replace(&beside, ""))
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
