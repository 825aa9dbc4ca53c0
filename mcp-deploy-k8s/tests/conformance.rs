//! The suite over an API server in memory. What its pods, which are no containers, cannot show is ignored.

mod fixture;
mod in_memory;
#[expect(
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "a test may panic, and the suite needs no faults"
)]
mod memory;

use std::process::ExitCode;

use mcp_deploy_core::conformance::{self, Fixture};

fn main() -> ExitCode {
    let mut api = None;
    conformance::run(|| async {
        let (memory, cluster) = in_memory::cluster().await?;
        api = Some(memory);
        Ok(Box::new(cluster) as Box<dyn Fixture>)
    })
}
