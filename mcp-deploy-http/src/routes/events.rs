//! What happens to deployments: the state, `synced`, then each change. Whoever connects again begins with the state.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;
use mcp_deploy_core::{Event, EventStream, Selector, TemplateId};
use serde_json::json;

use super::name;
use crate::api::{Api, StreamPlace};
use crate::problem::Problem;
use crate::query::Query;
use crate::request_id;
use crate::stream::{Sent, events};

/// Those of all deployments, or of a template's.
pub(crate) async fn all(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let template = query.take::<TemplateId>("template", "the id of a template");
    let backend = query.text("backend");
    query.finish()?;
    let place = api.stream_place()?;
    let happening = api.manager().watch(backend.as_deref(), &Selector { template, name: None })?;
    Ok(answer(place, &request, happening))
}

/// Those of one deployment.
pub(crate) async fn one(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let backend = query.text("backend");
    query.finish()?;
    let name = name(&request)?;
    let place = api.stream_place()?;
    // One that is not there is told at once.
    api.ask(api.manager().get(backend.as_deref(), &name)).await?;
    let backend = api.manager().backends().get(backend.as_deref())?;
    Ok(answer(place, &request, backend.watch(Selector::named(&name))))
}

fn answer(place: StreamPlace, request: &HttpRequest, happening: EventStream) -> HttpResponse {
    let request_id = request_id::of(request);
    let sent = happening.map(move |event| match event {
        Ok(Event::Changed(deployment)) => Sent::event("changed", &deployment),
        Ok(Event::Gone(name)) => Sent::event("gone", &json!({"deployment_name": name})),
        Ok(Event::Synced) => Sent::event("synced", &json!({})),
        Err(error) => Sent::problem(&error.into(), request_id.as_deref()),
    });
    events(place, sent)
}
