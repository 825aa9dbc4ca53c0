//! Which method on which path does what.

mod backends;
mod deploy;
mod deployments;
mod events;
mod health;
mod lifecycle;
mod logs;
mod metrics;
mod templates;
mod tools;

use actix_web::guard::{self, Guard};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route};
use mcp_deploy_core::{DeploymentName, Error, NameError};

use crate::accept::{self, EVENTS, JSON, TEXT};
use crate::api::Api;
use crate::observe;
use crate::problem::Problem;

/// Adds the API to an app, below `/api/templates` and `/api/backends`, and `/health`, `/ready` and `/metrics`.
pub fn configure(api: &Api) -> impl FnOnce(&mut ServiceConfig) + Clone + 'static {
    let api = api.clone();
    move |config| {
        let observed = || {
            let api = api.clone();
            from_fn(move |request, next| observe::middleware(api.clone(), request, next))
        };
        let templates = web::scope("/api/templates")
            .wrap(observed())
            .service(resource("", vec![get(templates::list)]))
            .service(resource("/validate", vec![post(templates::validate)]))
            .service(resource("/deploy/{template}", vec![post(deploy::deploy).only(&[JSON, EVENTS])]))
            .service(resource("/deployments", vec![get(deployments::list)]))
            .service(resource("/deployments/events", vec![get(events::all).only(&[EVENTS])]))
            .service(resource("/deployments/{name}", vec![get(deployments::one)]))
            .service(resource("/deployments/{name}/delete", vec![delete(deployments::delete)]))
            .service(resource("/deployments/{name}/start", vec![post(lifecycle::start)]))
            .service(resource("/deployments/{name}/stop", vec![post(lifecycle::stop)]))
            .service(resource("/deployments/{name}/restart", vec![post(lifecycle::restart)]))
            .service(resource("/deployments/{name}/scale", vec![post(lifecycle::scale)]))
            .service(resource("/deployments/{name}/logs", vec![get(logs::logs).only(&[TEXT, EVENTS])]))
            .service(resource("/deployments/{name}/events", vec![get(events::one).only(&[EVENTS])]))
            .service(resource("/deployments/{name}/tools", vec![get(tools::list)]))
            .service(resource("/deployments/{name}/tools/{tool}/call", vec![post(tools::call)]))
            .service(resource("/{template}", vec![get(templates::one)]))
            .default_service(web::to(nothing));
        let backends = web::scope("/api/backends")
            .wrap(observed())
            .service(resource("", vec![get(backends::list)]))
            .default_service(web::to(nothing));
        config
            .app_data(web::Data::new(api.clone()))
            .service(templates)
            .service(backends)
            .service(resource("/health", vec![get(health::health)]).wrap(observed()))
            .service(resource("/ready", vec![get(health::ready)]).wrap(observed()))
            .service(
                resource(
                    "/metrics",
                    vec![get(metrics::metrics).only(&["application/openmetrics-text", TEXT])],
                )
                .wrap(observed()),
            );
    }
}

/// A handler of one method, and of `HEAD` where that is `GET`; and the media types of its answers.
struct Answer {
    method: Method,
    route: Route,
    media_types: &'static [&'static str],
}

impl Answer {
    fn only(self, media_types: &'static [&'static str]) -> Self {
        Self { media_types, ..self }
    }
}

fn answer<F, Args>(method: Method, handler: F) -> Answer
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = web::route().guard(answers(method.clone())).to(handler);
    Answer { method, route, media_types: &[JSON] }
}

fn get<F: Handler<Args>, Args: FromRequest + 'static>(handler: F) -> Answer
where
    F::Output: Responder + 'static,
{
    answer(Method::GET, handler)
}

fn post<F: Handler<Args>, Args: FromRequest + 'static>(handler: F) -> Answer
where
    F::Output: Responder + 'static,
{
    answer(Method::POST, handler)
}

fn delete<F: Handler<Args>, Args: FromRequest + 'static>(handler: F) -> Answer
where
    F::Output: Responder + 'static,
{
    answer(Method::DELETE, handler)
}

fn answers(method: Method) -> impl Guard {
    guard::fn_guard(move |context| {
        let asked = &context.head().method;
        *asked == method || (method == Method::GET && *asked == Method::HEAD)
    })
}

/// A path, with or without a slash at its end, and its methods; any other is told which there are.
fn resource(path: &str, answers: Vec<Answer>) -> Resource {
    let mut allowed = vec!["OPTIONS".to_owned()];
    let mut resource = web::resource([path.to_owned(), format!("{path}/")]);
    for Answer { method, route, media_types } in answers {
        if method == Method::GET {
            allowed.push("HEAD".to_owned());
        }
        allowed.push(method.to_string());
        let accepts = from_fn(move |request, next| accept::middleware(media_types, request, next));
        resource = resource.route(route.wrap(accepts));
    }
    allowed.sort_unstable();
    let allowed = allowed.join(", ");
    resource.default_service(web::to(move |request: HttpRequest| {
        let allowed = allowed.clone();
        async move {
            if *request.method() == Method::OPTIONS {
                return Ok(HttpResponse::NoContent().insert_header(("allow", allowed)).finish());
            }
            Err(Problem::Method { allowed })
        }
    }))
}

pub(crate) async fn nothing(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let detail = format!("there is nothing at `{}`", request.path());
    Err(Problem::request(StatusCode::NOT_FOUND, "no_such_resource", detail))
}

/// A part of the path.
fn part<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.match_info().get(name).unwrap_or_default()
}

/// The deployment in the path.
fn name(request: &HttpRequest) -> Result<DeploymentName, Problem> {
    let broken = |error: NameError| Error::invalid("/path/name", error.to_string());
    Ok(part(request, "name").parse().map_err(broken)?)
}
