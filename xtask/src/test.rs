//! `cargo xtask test`: every test of the workspace, then every doctest.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::report::Report;

/// Runs both parts; `arguments` go to the test programs.
pub(crate) fn run(sh: &Shell, arguments: &[String]) -> Result<()> {
    let mut report = Report::default();
    report.step("tests", || {
        let targets = ["--lib", "--bins", "--tests", "--examples"];
        Ok(cmd!(sh, "cargo test --workspace --all-features {targets...} -- {arguments...}").run()?)
    });
    report.step("doctests", || {
        Ok(cmd!(sh, "cargo test --doc --workspace --all-features -- {arguments...}").run()?)
    });
    report.finish()
}
