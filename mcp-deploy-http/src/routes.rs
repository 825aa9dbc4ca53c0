//! Which method on which path does what.

pub(crate) mod backends;
pub(crate) mod deploy;
pub(crate) mod deployments;
mod docs;
mod events;
pub(crate) mod health;
mod lifecycle;
mod logs;
mod metrics;
pub(crate) mod templates;
pub(crate) mod tools;

use actix_web::guard::{self, Guard};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route};
use mcp_deploy_core::{DeploymentName, Error, NameError};

use crate::accept::{self, EVENTS, JSON, OPEN_METRICS, TEXT};
use crate::api::Api;
use crate::observe;
use crate::openapi::{Documented, operations};
use crate::problem::Problem;

macro_rules! endpoints {
    ($($method:ident $path:literal $([$($media:expr),+])? => $file:ident::$handler:ident as $id:ident;)+) => {
        /// The path of each endpoint, and what answers there.
        fn endpoints() -> Vec<(&'static str, Endpoint)> {
            vec![$(($path, $method($file::$handler)$(.only(&[$($media),+]))?)),+]
        }

        /// What the document says of each endpoint.
        pub(crate) fn documented() -> Vec<Documented> {
            vec![$(($path, $method($file::$handler).method, stringify!($id), operations::$id())),+]
        }
    };
}

// One method for each path, and first the paths that others would match too.
endpoints! {
    get "/api/templates/" => templates::list as list_templates;
    post "/api/templates/validate/" => templates::validate as validate_template;
    post "/api/templates/deploy/{template}/" [JSON, EVENTS] => deploy::deploy as deploy_template;
    get "/api/templates/deployments/" => deployments::list as list_deployments;
    get "/api/templates/deployments/events/" [EVENTS] => events::all as watch_deployments;
    get "/api/templates/deployments/{name}/" => deployments::one as show_deployment;
    delete "/api/templates/deployments/{name}/delete/" => deployments::delete as delete_deployment;
    post "/api/templates/deployments/{name}/start/" => lifecycle::start as start_deployment;
    post "/api/templates/deployments/{name}/stop/" => lifecycle::stop as stop_deployment;
    post "/api/templates/deployments/{name}/restart/" => lifecycle::restart as restart_deployment;
    post "/api/templates/deployments/{name}/scale/" => lifecycle::scale as scale_deployment;
    get "/api/templates/deployments/{name}/logs/" [TEXT, EVENTS] => logs::logs as read_logs;
    get "/api/templates/deployments/{name}/events/" [EVENTS] => events::one as watch_deployment;
    get "/api/templates/deployments/{name}/tools/" => tools::list as list_tools;
    post "/api/templates/deployments/{name}/tools/{tool}/call/" => tools::call as call_tool;
    get "/api/templates/{template}/" => templates::one as show_template;
    get "/api/backends/" => backends::list as list_backends;
    get "/health" => health::health as show_health;
    get "/ready" => health::ready as show_readiness;
    get "/metrics" [OPEN_METRICS] => metrics::metrics as read_metrics;
}

/// Below these paths, what is no endpoint is a problem too.
const SCOPES: [&str; 2] = ["/api/templates", "/api/backends"];

/// Adds the API to an app, below `/api/templates` and `/api/backends`, `/health`, `/ready` and `/metrics`, and its
/// description at `/openapi.json` and `/docs`.
pub fn configure(api: &Api) -> impl FnOnce(&mut ServiceConfig) + Clone + 'static {
    let api = api.clone();
    move |config| {
        config.app_data(web::Data::new(api.clone()));
        let observed = || {
            let api = api.clone();
            from_fn(move |request, next| observe::middleware(api.clone(), request, next))
        };
        let mut endpoints = endpoints();
        for prefix in SCOPES {
            let scope = web::scope(prefix).wrap(observed()).default_service(web::to(nothing));
            let below = endpoints.extract_if(.., |(path, _)| path.starts_with(prefix));
            config.service(below.fold(scope, |scope, (path, endpoint)| {
                scope.service(resource(&path[prefix.len()..], endpoint))
            }));
        }
        let description = [
            ("/openapi.json", get(docs::document)),
            ("/docs/{file:.+}", get(docs::file).only(&[])),
            ("/docs", get(docs::page).only(&["text/html"])),
        ];
        for (path, endpoint) in endpoints.into_iter().chain(description) {
            config.service(resource(path, endpoint).wrap(observed()));
        }
    }
}

/// A handler of one method, and of `HEAD` where that is `GET`; and the media types of its answers.
struct Endpoint {
    method: Method,
    route: Route,
    media_types: &'static [&'static str],
}

impl Endpoint {
    fn only(self, media_types: &'static [&'static str]) -> Self {
        Self { media_types, ..self }
    }
}

fn endpoint<F, Args>(method: Method, handler: F) -> Endpoint
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = web::route().guard(has_method(method.clone())).to(handler);
    Endpoint { method, route, media_types: &[JSON] }
}

fn get<F: Handler<Args>, Args: FromRequest + 'static>(handler: F) -> Endpoint
where
    F::Output: Responder + 'static,
{
    endpoint(Method::GET, handler)
}

fn post<F: Handler<Args>, Args: FromRequest + 'static>(handler: F) -> Endpoint
where
    F::Output: Responder + 'static,
{
    endpoint(Method::POST, handler)
}

fn delete<F: Handler<Args>, Args: FromRequest + 'static>(handler: F) -> Endpoint
where
    F::Output: Responder + 'static,
{
    endpoint(Method::DELETE, handler)
}

fn has_method(method: Method) -> impl Guard {
    guard::fn_guard(move |context| {
        let asked = &context.head().method;
        *asked == method || (method == Method::GET && *asked == Method::HEAD)
    })
}

/// An endpoint at a path, with or without a slash at its end; who uses another method is told which there are.
fn resource(path: &str, endpoint: Endpoint) -> Resource {
    let path = path.trim_end_matches('/');
    let Endpoint { method, route, media_types } = endpoint;
    let allowed = match method {
        Method::GET => "GET, HEAD, OPTIONS".to_owned(),
        method => format!("{method}, OPTIONS"),
    };
    let accepts = from_fn(move |request, next| accept::middleware(media_types, request, next));
    let resource = web::resource([path.to_owned(), format!("{path}/")]).route(route.wrap(accepts));
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
