//! The HTTP API on the mock: its OpenAPI document is valid, and what it answers is what the document says.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::workspace::{self, Workspace};

/// With one version each, so that a failure is ours.
const TOOLS: [&str; 2] = ["openapi-spec-validator==0.9.0", "schemathesis==4.32.5"];
/// What the log says before the address.
const SERVING: &str = "serving address=";

pub(super) fn run(sh: &Shell) -> Result<()> {
    let target = Workspace::load(sh)?.target_directory;
    let directory = target.join("e2e");
    let tools = tools(sh, &directory.join("python"))?;
    let api = workspace::root().join("mcp-deploy-http");

    let (validate, document) = (tools.join("openapi-spec-validator"), api.join("openapi.json"));
    cmd!(sh, "{validate} --schema 3.1.0 {document}").run()?;

    // With the mock alone: whether another platform can be reached is not asked here.
    cmd!(sh, "cargo build --package mcp-deploy-http --features mock").run()?;
    let server = Server::start(&target.join("debug/mcp-deploy-server"), &directory)?;
    let (schemathesis, config) = (tools.join("schemathesis"), api.join("tests/schemathesis.toml"));
    let document = format!("{}/openapi.json", server.url);
    // It leaves files where it runs.
    let _directory = sh.push_dir(&directory);
    cmd!(sh, "{schemathesis} --config-file {config} run {document}").run()?;
    Ok(())
}

/// The directory of the tools' programs.
fn tools(sh: &Shell, environment: &Path) -> Result<PathBuf> {
    cmd!(sh, "python3 -m venv {environment}")
        .run()
        .context("the tools that ask the API are written in Python; are python3 and its venv there?")?;
    let programs = environment.join("bin");
    let pip = programs.join("pip");
    cmd!(sh, "{pip} install --quiet --disable-pip-version-check {TOOLS...}").run()?;
    Ok(programs)
}

/// The program that serves the API; dropping it ends it.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(program: &Path, directory: &Path) -> Result<Self> {
        let mut process = Command::new(program)
            .envs([("MCP_BIND", "127.0.0.1:0"), ("MCP_RATE_LIMIT", "0"), ("MCP_DEPLOYMENT_BACKEND", "mock")])
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let said = process.stderr.take().context("what it says is piped")?;
        let mut server = Self { process, url: String::new() };
        let mut said = BufReader::new(said);
        let mut line = String::new();
        let address = loop {
            line.clear();
            if said.read_line(&mut line)? == 0 {
                bail!("the server has ended before it said where it serves");
            }
            if let Some((_, address)) = line.trim_end().split_once(SERVING) {
                break address;
            }
        };
        server.url = format!("http://{address}");
        // It shall never wait for somebody to read.
        let mut log = File::create(directory.join("serve.log"))?;
        thread::spawn(move || io::copy(&mut said, &mut log));
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that is gone already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
