//! The suite over a real daemon; without one, or without the mock server's binary, all cases are ignored.

mod fixture;

use std::process::ExitCode;

use mcp_deploy_core::conformance::{self, Fixture};

fn main() -> ExitCode {
    conformance::run(|| async { Ok(Box::new(fixture::Daemon::open().await?) as Box<dyn Fixture>) })
}
