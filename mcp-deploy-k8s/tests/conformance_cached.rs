//! The suite over a real cluster, with answers from memory; without one all cases are ignored.

mod fixture;
mod real;

use std::process::ExitCode;
use std::sync::Arc;

use mcp_deploy_core::conformance::{self, Fixture};

fn main() -> ExitCode {
    conformance::run(|| async {
        let mut cluster = real::cluster("mcp-deploy-cached").await?;
        cluster.served = Arc::new(cluster.backend.cached());
        Ok(Box::new(cluster) as Box<dyn Fixture>)
    })
}
