//! The suite over a real cluster; without one all cases are ignored.

mod fixture;
mod real;

use std::process::ExitCode;

use mcp_deploy_core::conformance::{self, Fixture};

fn main() -> ExitCode {
    conformance::run(|| async {
        Ok(Box::new(real::cluster("mcp-deploy-conformance").await?) as Box<dyn Fixture>)
    })
}
