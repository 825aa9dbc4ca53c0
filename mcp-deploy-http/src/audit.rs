//! A line in the log for every change: who, what, on which deployment, what came of it. Never a value.

use actix_web::{HttpMessage, HttpRequest};
use mcp_deploy_core::{DeploymentName, Result};

use crate::metrics::Metrics;
use crate::request_id;

/// The target of these lines, for a log that keeps them apart.
const TARGET: &str = "mcp_deploy_http::audit";

/// Whose request it is, for the line of its change: the name of a token, or what a host that authenticates its clients
/// puts into the extensions of a request.
#[derive(Debug, Clone)]
pub struct Client(pub String);

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
    outcome: &'static str,
}

/// Where the process ends before the change does, or the change panics.
const CUT: &str = "cut";

impl Audit {
    pub(crate) fn of(request: &HttpRequest, verb: &'static str, deployment: &DeploymentName) -> Self {
        Self {
            client: request.extensions().get::<Client>().map(|Client(name)| name.clone()),
            request_id: request_id::of(request),
            verb,
            deployment: deployment.to_string(),
            backend: None,
            is_dry_run: false,
            outcome: CUT,
        }
    }

    /// Where.
    pub(crate) fn on(mut self, backend: Option<&str>) -> Self {
        self.backend = backend.map(str::to_owned);
        self
    }

    /// Whether nothing is to be changed.
    pub(crate) fn dry_run(mut self, is_dry_run: bool) -> Self {
        self.is_dry_run = is_dry_run;
        self
    }

    /// Writes the line, and counts.
    pub(crate) fn ended<T>(mut self, metrics: &Metrics, outcome: &Result<T>) {
        let outcome = match outcome {
            Ok(_) => "ok",
            Err(error) => error.code(),
        };
        if !self.is_dry_run {
            metrics.changed(self.verb, outcome);
        }
        self.outcome = outcome;
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let Self { client, request_id, verb, deployment, backend, is_dry_run, outcome } = self;
        if !*is_dry_run {
            tracing::info!(target: TARGET, client, verb, deployment, backend, outcome, request_id, "change");
        }
    }
}
