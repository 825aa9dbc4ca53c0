//! The value of a secret is in no log, whatever is logged.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;
mod in_memory;
#[expect(dead_code, reason = "the tests of faults cut and count")]
mod memory;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use mcp_deploy_core::{
    DeleteOptions, DeployOptions, DeploymentBackend, DeploymentBackendExt, DeploymentName, DeploymentSpec,
    LogOptions, Request, Selector, resolve,
};
use serde_json::json;
use tracing::level_filters::LevelFilter;

use crate::fixture::template;
use crate::memory::{Answer, Fault};

const CANARY: &str = "c4n4ry";

/// What was logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn spec(name: &DeploymentName, secret: &str) -> DeploymentSpec {
    let request = Request::default().name(name.as_str()).env("API_TOKEN", secret);
    resolve(&template("well", json!({})), &request, "unused.example").unwrap()
}

#[tokio::test]
async fn no_value_of_a_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
    let subscriber = subscriber.with_writer(move || writer.clone()).with_ansi(false).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (api, cluster) = in_memory::cluster().await.unwrap();
    let backend = &cluster.backend;
    let name = DeploymentName::derived_from(&"t-canary".parse().unwrap());

    let mut told = Vec::new();
    for secret in [CANARY.to_owned(), format!("{CANARY}-two")] {
        let deployed = backend.deploy(&spec(&name, &secret), DeployOptions::default()).await.unwrap();
        told.push(format!("{deployed:?}"));
        told.push(format!("{:?}", backend.wait_ready(&name).await.unwrap()));
    }
    let refusal = Answer::Status { code: 403, message: "secrets is forbidden".to_owned(), retry_after: None };
    api.script(Fault { method: "POST", path: "/secrets".to_owned(), times: 1, answer: refusal });
    let refused = backend.deploy(&spec(&name, &format!("{CANARY}-three")), DeployOptions::default()).await;
    told.push(format!("{:?}", refused.unwrap_err()));
    told.push(format!("{:?}", backend.connect(&name).await.unwrap()));
    told.push(format!("{:?}", backend.revisions(&name).await.unwrap()));
    told.push(format!("{:?}", backend.scale(&name, 2).await.unwrap()));
    told.push(format!("{:?}", backend.restart(&name).await.unwrap()));
    told.push(format!("{:?}", backend.list(&Selector::default()).await.unwrap()));
    backend.logs(&name, LogOptions::default()).for_each(|_| async {}).await;
    backend.delete(&name, DeleteOptions::default()).await.unwrap();

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("TRACE"), "nothing is traced:\n{logged}");
    told.push(logged);
    let shown = [CANARY.to_owned(), BASE64_STANDARD.encode(CANARY)];
    for text in told {
        let leak = text.lines().find(|line| shown.iter().any(|secret| line.contains(secret)));
        assert_eq!(leak, None);
    }
}
