//! The suite over the mock with a state file, which every use opens anew, as processes do.

mod fixture;

use std::process::ExitCode;

use mcp_deploy_core::conformance::{self, Fixture};
use mcp_deploy_mock::{MockBackend, MockOptions};

use fixture::Mock;

fn main() -> ExitCode {
    let directory = tempfile::tempdir();
    conformance::run(|| async {
        let state = directory.as_ref().map_err(ToString::to_string)?.path().join("mock.json");
        let open =
            move || MockBackend::new(MockOptions { state: Some(state.clone()), ..MockOptions::default() });
        Ok(Box::new(Mock { open }) as Box<dyn Fixture>)
    })
}
