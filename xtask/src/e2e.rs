//! `cargo xtask e2e PLATFORM`: a real platform, and a server or a client that others have written.

mod bases;
mod handed_out;
mod http;
mod templates;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use xshell::{Shell, cmd};

use crate::images;
use crate::workspace::Workspace;

/// The server of the protocol's own authors that shows all of it; with one version, so that a failure is ours.
const EVERYTHING: &str = "@modelcontextprotocol/server-everything@2026.8.31";
/// The image of it that the tests of Docker make.
const EVERYTHING_IMAGE: &str = "mcp-deploy-test/everything:1";
/// The image of the server that runs in a cluster.
const SERVER_IMAGE: &str = "mcp-deploy-test/server:1";
/// Where the tests find npm's packages.
const PACKAGES_VARIABLE: &str = "MCP_DEPLOY_NPM_PACKAGES";

/// What is built for every test of the workspace, so that nothing is built again with other features.
const BUILT: [&str; 2] = ["--workspace", "--all-features"];

/// A platform with tests of its own.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Platform {
    /// The Docker daemon of this environment
    Docker,
    /// The HTTP API on the mock, asked by a client that knows only its OpenAPI document
    Http,
    /// The cluster of `KUBECONFIG`, in namespaces whose names begin with `mcp-deploy-`
    Kubernetes,
}

/// `load` is what brings an image of the local daemon onto the nodes of a cluster.
pub(crate) fn run(sh: &Shell, platform: Platform, load: Option<&str>) -> Result<()> {
    cmd!(sh, "cargo test {BUILT...} --no-run").run()?;
    match platform {
        Platform::Docker => {
            docker(sh, &packages(sh)?)?;
            templates::run(sh)?;
            handed_out::run(sh)
        }
        Platform::Http => http::run(sh),
        Platform::Kubernetes => kubernetes(sh, &packages(sh)?, load),
    }
}

fn packages(sh: &Shell) -> Result<PathBuf> {
    let directory = Workspace::load(sh)?.target_directory.join("e2e");
    // Without a manifest of its own, npm looks for one above.
    sh.write_file(directory.join("package.json"), "{\"private\": true}\n")?;
    cmd!(sh, "npm install --prefix {directory} --no-audit --no-fund {EVERYTHING}")
        .run()
        .context("npm installs the server that is tried; is it there, and its registry?")?;
    Ok(directory.join("node_modules"))
}

fn docker(sh: &Shell, packages: &Path) -> Result<()> {
    let tests = cmd!(sh, "cargo test {BUILT...} --test daemon -- a_server_of_others");
    tests.env(PACKAGES_VARIABLE, packages).run()?;
    Ok(())
}

fn kubernetes(sh: &Shell, packages: &Path, load: Option<&str>) -> Result<()> {
    let kubeconfig = kubeconfig().context("KUBECONFIG is not set: it names the cluster to test on")?;
    images::mock_server(sh, images::DEV)?;
    let servers = images::templates(sh, images::DEV)?;
    images::server(sh, SERVER_IMAGE, images::DEV)?;
    // The tests of Docker make it.
    docker(sh, packages)?;
    if let Some(load) = load {
        let mut words = load.split_whitespace();
        let program = words.next().context("`--load` names no program")?;
        let words: Vec<&str> = words.collect();
        let others = [images::MOCK_SERVER, EVERYTHING_IMAGE, SERVER_IMAGE];
        for image in others.into_iter().chain(servers.iter().map(String::as_str)) {
            cmd!(sh, "{program}")
                .args(&words)
                .arg(image)
                .run()
                .context("bringing an image onto the nodes")?;
        }
    }
    for test in ["conformance_cluster", "conformance_cached", "cluster"] {
        cmd!(sh, "cargo test {BUILT...} --test {test}")
            .env("MCP_DEPLOY_E2E_KUBECONFIG", &kubeconfig)
            .env("MCP_DEPLOY_E2E_EVERYTHING", EVERYTHING_IMAGE)
            .env("MCP_DEPLOY_E2E_TEMPLATES", "1")
            .run()?;
    }
    cmd!(sh, "cargo test {BUILT...} --test in_cluster -- --ignored")
        .env("MCP_DEPLOY_E2E_KUBECONFIG", &kubeconfig)
        .env("MCP_DEPLOY_E2E_SERVER_IMAGE", SERVER_IMAGE)
        .run()?;
    Ok(())
}

/// The one that is named; the default one is a person's own cluster, and nothing to test on unasked.
fn kubeconfig() -> Option<OsString> {
    env::var_os("KUBECONFIG").filter(|path| !path.is_empty())
}
