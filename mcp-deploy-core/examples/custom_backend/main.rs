//! A backend of one's own, in small, and the suite over it: what its capabilities do not claim is ignored.
//!
//! `cargo run -p mcp-deploy-core --all-features --example custom_backend` runs the suite.

mod backend;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use mcp_deploy_core::conformance::{self, Behaviour, Fixture};
use mcp_deploy_core::{BoxError, DeploymentBackend, DeploymentName, Template};
use serde_json::json;

use backend::InProcess;

#[derive(Debug, Default)]
struct Suite(InProcess);

#[async_trait]
impl Fixture for Suite {
    fn backend(&self) -> Arc<dyn DeploymentBackend> {
        Arc::new(self.0.clone())
    }

    fn template(&self, behaviour: Behaviour) -> Option<Template> {
        let environment = match behaviour {
            Behaviour::Well | Behaviour::EchoesEnvironment => json!({}),
            Behaviour::NotMcp => json!({"NOT_MCP": "yes"}),
            _ => return None,
        };
        let text = json!({"id": "t-own", "name": "Own", "description": "Echoes.", "version": "1", "environment_variables": environment});
        Template::from_value(text, None).ok()
    }

    async fn objects(&self, name: &DeploymentName) -> Result<Vec<String>, BoxError> {
        Ok(self
            .0
            .running()
            .keys()
            .filter(|known| *known == name)
            .map(|name| format!("server/{name}"))
            .collect())
    }
}

fn main() -> ExitCode {
    conformance::run(|| async { Ok(Box::<Suite>::default() as Box<dyn Fixture>) })
}
