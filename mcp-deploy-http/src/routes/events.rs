//! What happens to deployments: the state, `synced`, then each change. Whoever connects again begins with the state.

use std::future::ready;
use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{self, StreamExt, select_all};
use mcp_deploy_core::{DeploymentBackend, Selector, TemplateId};
use serde_json::json;

use super::name;
use crate::accept::EVENTS;
use crate::api::{Api, StreamPlace};
use crate::feed::FeedEvent;
use crate::problem::Problem;
use crate::query::Query;
use crate::request_id;
use crate::stream::{ServerSentEvent, events, head_alone};

/// Those of all deployments, or of a template's.
pub(crate) async fn all(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let template = query.take::<TemplateId>("template", "the id of a template");
    let backend = query.text("backend");
    query.finish()?;
    let place = api.stream_place()?;
    let backends = api.manager().backends().one_or_all(backend.as_deref())?;
    Ok(answer(&api, place, &request, &backends, &Selector { template, name: None }))
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
    Ok(answer(&api, place, &request, &[backend], &Selector::named(&name)))
}

fn answer(
    api: &Api,
    place: StreamPlace,
    request: &HttpRequest,
    backends: &[Arc<dyn DeploymentBackend>],
    selector: &Selector,
) -> HttpResponse {
    if let Some(head) = head_alone(request, EVENTS) {
        return head;
    }
    let request_id = request_id::of(request);
    let feeds = backends.iter().map(|backend| {
        let told = api.feed(backend).listen(selector.clone());
        told.map(Some).chain(stream::once(async { None })).boxed()
    });
    let sent = select_all(feeds).map(move |told| {
        Some(match told? {
            FeedEvent::Deployment { sent, .. } | FeedEvent::Synced(sent) => sent,
            FeedEvent::Trouble { backend, problem } => {
                let mut problem = json!(problem.document(request_id.as_deref()));
                problem["backend"] = backend.into();
                ServerSentEvent::event("problem", &problem)
            }
        })
    });
    // With one feed all of them end: the client connects again, and knows the whole state.
    let sent = sent.take_while(|sent| ready(sent.is_some())).filter_map(ready);
    events(place, sent)
}
