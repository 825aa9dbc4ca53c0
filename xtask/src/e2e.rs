//! `cargo xtask e2e PLATFORM`: a real platform, and a server that others have written.

use anyhow::{Context, Result};
use clap::ValueEnum;
use xshell::{Shell, cmd};

use crate::workspace::Workspace;

/// The server of the protocol's own authors that shows all of it; with one version, so that a failure is ours.
const EVERYTHING: &str = "@modelcontextprotocol/server-everything@2026.8.31";
/// Where the tests find npm's packages.
const PACKAGES_VARIABLE: &str = "MCP_DEPLOY_NPM_PACKAGES";

/// A platform with tests of its own.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Platform {
    /// The Docker daemon of this environment
    Docker,
}

pub(crate) fn run(sh: &Shell, platform: Platform) -> Result<()> {
    let directory = Workspace::load(sh)?.target_directory.join("e2e");
    // Without a manifest of its own, npm looks for one above.
    sh.write_file(directory.join("package.json"), "{\"private\": true}\n")?;
    cmd!(sh, "npm install --prefix {directory} --no-audit --no-fund {EVERYTHING}")
        .run()
        .context("npm installs the server that is tried; is it there, and its registry?")?;
    let packages = directory.join("node_modules");
    match platform {
        Platform::Docker => {
            let tests = ["--package", "mcp-deploy-docker", "--test", "daemon", "--", "a_server_of_others"];
            cmd!(sh, "cargo build --workspace").run()?;
            cmd!(sh, "cargo test {tests...}").env(PACKAGES_VARIABLE, packages).run()?;
        }
    }
    Ok(())
}
