//! Deployments as JSON, each written once for as long as its backend reports the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_deploy_core::Deployment;
use serde_json::value::{RawValue, to_raw_value};

/// The JSON of the reports that backends keep.
#[derive(Debug, Default)]
pub(crate) struct RenderedDeployments(Mutex<Arc<Kept>>);

/// By the address of the report.
type Kept = HashMap<usize, Rendered>;

#[derive(Debug, Clone)]
struct Rendered {
    /// Held, so that no other report can come to lie there.
    report: Arc<Deployment>,
    json: Arc<RawValue>,
}

impl RenderedDeployments {
    /// The JSON of each of these. What nobody but the caller holds is written and forgotten: it will not come again.
    pub(crate) fn of(&self, deployments: &[Arc<Deployment>]) -> Vec<Arc<RawValue>> {
        let kept = Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut fresh = Vec::new();
        let written = deployments.iter().map(|report| {
            if let Some(one) = kept.get(&address(report)) {
                return Arc::clone(&one.json);
            }
            let json: Arc<RawValue> = to_raw_value(report).expect("a report is JSON").into();
            if Arc::strong_count(report) > 1 {
                fresh.push(Rendered { report: Arc::clone(report), json: Arc::clone(&json) });
            }
            json
        });
        let written = written.collect();
        if !fresh.is_empty() {
            self.keep(fresh);
        }
        written
    }

    fn keep(&self, fresh: Vec<Rendered>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What only we hold, its backend has let go of.
        let held = kept.iter().filter(|(_, one)| Arc::strong_count(&one.report) > 1);
        let held = held.map(|(address, one)| (*address, one.clone()));
        *kept = Arc::new(held.chain(fresh.into_iter().map(|one| (address(&one.report), one))).collect());
    }
}

fn address(report: &Arc<Deployment>) -> usize {
    Arc::as_ptr(report).addr()
}

#[cfg(test)]
mod tests {
    use mcp_deploy_core::{Catalog, Request, resolve};

    use super::*;

    fn reports(names: &[&str]) -> Vec<Arc<Deployment>> {
        let template = Catalog::default().get("demo").unwrap();
        let report = |name: &&str| {
            let spec = resolve(&template, &Request::default().name(*name), "unused.example").unwrap();
            Arc::new(Deployment::pending(&spec, "mock", "2026-11-23T02:00:00Z".parse().unwrap()))
        };
        names.iter().map(report).collect()
    }

    #[test]
    fn what_a_backend_keeps_is_written_once_and_forgotten_with_it() {
        let written = RenderedDeployments::default();
        let mut kept = reports(&["demo-one", "demo-two"]);
        let (first, again) = (written.of(&kept.clone()), written.of(&kept.clone()));
        assert_eq!(first[0].get(), serde_json::to_string(&kept[0]).unwrap());
        assert!(first.iter().zip(&again).all(|(one, other)| Arc::ptr_eq(one, other)));
        kept[0] = reports(&["demo-new"]).remove(0);
        assert!(written.of(&kept.clone())[0].get().contains("demo-new"));
        assert_eq!(written.0.lock().unwrap().len(), 2);
    }

    #[test]
    fn what_nobody_keeps_is_not_kept_here() {
        let written = RenderedDeployments::default();
        assert_eq!(written.of(&reports(&["demo-one"])).len(), 1);
        assert!(written.0.lock().unwrap().is_empty());
    }
}
