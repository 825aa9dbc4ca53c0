//! What is counted, in the text format of OpenMetrics, as Prometheus reads it.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::api::Api;

/// The media type (OpenMetrics 1.0).
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The route of what is asked for at none of ours.
const NO_ROUTE: &str = "none";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabels {
    verb: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabels {
    backend: String,
}

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    changes: Family<ChangeLabels, Counter>,
    streams: Gauge,
    deploys: Family<BackendLabels, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::default();
        // From 1 ms to 65 s.
        let durations: Family<_, _, fn() -> _> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 4.0, 9)));
        let (changes, streams, deploys) = (Family::default(), Gauge::default(), Family::default());
        let mut registry = Registry::with_prefix("mcp_deploy");
        registry.register("http_requests", "Requests that were answered", Family::clone(&requests));
        registry.register_with_unit(
            "http_request_duration",
            "The time to the head of the answer",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register("changes", "Changes that ended, by their outcome", Family::clone(&changes));
        registry.register("streams", "Streams that are open", Gauge::clone(&streams));
        registry.register("deploys", "Deploys that are under way", Family::clone(&deploys));
        Self { registry, requests, durations, changes, streams, deploys }
    }
}

impl Metrics {
    pub(crate) fn answered(
        &self,
        method: &Method,
        route: Option<String>,
        status: StatusCode,
        took: Duration,
    ) {
        let (method, route) = (word(method), route.unwrap_or_else(|| NO_ROUTE.to_owned()));
        let answered = RequestLabels { method, route: route.clone(), status: status.as_u16() };
        self.requests.get_or_create(&answered).inc();
        self.durations.get_or_create(&RouteLabels { method, route }).observe(took.as_secs_f64());
    }

    pub(crate) fn changed(&self, verb: &'static str, outcome: &'static str) {
        self.changes.get_or_create(&ChangeLabels { verb, outcome }).inc();
    }

    /// All that is counted, and what is under way now.
    pub(crate) fn text(&self, api: &Api) -> String {
        self.streams.set(i64::try_from(api.open_streams()).unwrap_or(i64::MAX));
        for (backend, under_way) in api.deploys() {
            let gauge = self.deploys.get_or_create_owned(&BackendLabels { backend: backend.to_owned() });
            gauge.set(i64::try_from(under_way).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes everything");
        text
    }
}

/// A method as a label; a client could make up any number of others.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
