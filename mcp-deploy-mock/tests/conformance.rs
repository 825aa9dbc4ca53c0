//! The suite over the mock in memory.

mod fixture;

use std::process::ExitCode;

use mcp_deploy_core::conformance::{self, Fixture};
use mcp_deploy_mock::MockBackend;

use fixture::Mock;

fn main() -> ExitCode {
    let backend = MockBackend::default();
    conformance::run(|| async { Ok(Box::new(Mock { open: move || backend.clone() }) as Box<dyn Fixture>) })
}
