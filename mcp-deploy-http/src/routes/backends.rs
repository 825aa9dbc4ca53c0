//! The platforms, and whether they can be reached.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use mcp_deploy_core::{BackendHealth, DeploymentBackend, Error, Result};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::api::Api;
use crate::problem::{Problem, ProblemDocument};
use crate::query::Query;

/// How long a platform may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The backends.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackendList {
    /// Each that is built in.
    backends: Vec<BackendReport>,
}

/// A backend, and what its platform answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackendReport {
    /// Its name.
    name: &'static str,
    /// Whether a verb that names no backend acts on this one.
    default: bool,
    /// Whether the platform answered.
    reachable: bool,
    /// What it said of itself; null where it did not answer.
    health: Option<BackendHealth>,
    /// Why it did not answer; null where it did.
    problem: Option<ProblemDocument>,
}

/// Each that is built in, which is the default, and what it answers.
pub(crate) async fn list(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    let backends = api.manager().backends();
    let default = backends.default_name();
    let asked = backends.iter().map(|backend| async move {
        let (health, problem) = match check(&**backend).await {
            Ok(health) => (Some(health), None),
            Err(error) => (None, Some(Problem::from(error).document(None))),
        };
        let (name, reachable) = (backend.name(), health.is_some());
        BackendReport { name, default: default == Some(name), reachable, health, problem }
    });
    Ok(HttpResponse::Ok().json(BackendList { backends: join_all(asked).await }))
}

/// What a platform says of itself, within a time.
pub(super) async fn check(backend: &dyn DeploymentBackend) -> Result<BackendHealth> {
    let late = || format!("no answer within {} s", PATIENCE.as_secs());
    match timeout(PATIENCE, backend.check()).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Unavailable { backend: backend.name(), source: late().into() }),
    }
}
