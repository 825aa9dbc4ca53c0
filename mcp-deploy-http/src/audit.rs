//! A line in the log for every change: who, what, on which deployment, what came of it. Never a value.

use actix_web::{HttpMessage, HttpRequest};
use mcp_deploy_core::{DeploymentName, Result};

use crate::metrics::Metrics;
use crate::request_id;

/// The target of these lines, for a log that keeps them apart.
const TARGET: &str = "mcp_deploy_http::audit";

/// Whose token a request has shown.
#[derive(Debug, Clone)]
pub(crate) struct Client(pub(crate) String);

/// A change that is asked for.
#[derive(Debug)]
pub(crate) struct Audit {
    client: Option<String>,
    request_id: Option<String>,
    verb: &'static str,
    deployment: String,
    /// `None` is the default one.
    backend: Option<String>,
    is_dry_run: bool,
}

impl Audit {
    pub(crate) fn of(request: &HttpRequest, verb: &'static str, deployment: &DeploymentName) -> Self {
        Self {
            client: request.extensions().get::<Client>().map(|Client(name)| name.clone()),
            request_id: request_id::of(request),
            verb,
            deployment: deployment.to_string(),
            backend: None,
            is_dry_run: false,
        }
    }

    /// Where.
    pub(crate) fn on(self, backend: Option<&str>) -> Self {
        Self { backend: backend.map(str::to_owned), ..self }
    }

    /// Whether nothing is to be changed.
    pub(crate) fn dry_run(self, is_dry_run: bool) -> Self {
        Self { is_dry_run, ..self }
    }

    /// Writes the line, and counts.
    pub(crate) fn ended<T>(&self, metrics: &Metrics, outcome: &Result<T>) {
        let Self { client, request_id, verb, deployment, backend, is_dry_run } = self;
        let outcome = match outcome {
            Ok(_) => "ok",
            Err(error) => error.code(),
        };
        if *is_dry_run {
            return;
        }
        metrics.changed(verb, outcome);
        tracing::info!(target: TARGET, client, verb, deployment, backend, outcome, request_id, "change");
    }
}
