//! `cargo xtask images`: the image of the template `demo`, from scratch and a static server, on the local daemon.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use xshell::{Shell, cmd};

use crate::workspace::{self, Workspace};

/// What a template says of its image.
#[derive(Debug, Deserialize)]
struct Template {
    docker_image: String,
    docker_tag: String,
}

const DOCKERFILE: &str = "\
FROM scratch
COPY mcp-mock-server /mcp-mock-server
COPY template.json /template.json
ENV PORT=8080
EXPOSE 8080
USER 1000
ENTRYPOINT [\"/mcp-mock-server\", \"--template\", \"/template.json\"]
";

/// The image that the tests on a cluster run.
pub(crate) const MOCK_SERVER: &str = "mcp-deploy-test/mock-server:1";

const MOCK_SERVER_DOCKERFILE: &str = "\
FROM scratch
COPY mcp-mock-server /mcp-mock-server
";

/// Builds the server, then the image. No registry takes part.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let template = workspace::root().join("mcp-deploy-core/templates/demo/template.json");
    let Template { docker_image, docker_tag } = serde_json::from_str(&fs::read_to_string(&template)?)
        .with_context(|| format!("reading {}", template.display()))?;
    let target_directory = Workspace::load(sh)?.target_directory;
    let server = static_server(sh, &target_directory)?;

    let directory = target_directory.join("images/demo");
    sh.create_dir(&directory)?;
    sh.write_file(directory.join("Dockerfile"), DOCKERFILE)?;
    sh.copy_file(server, directory.join("mcp-mock-server"))?;
    sh.copy_file(&template, directory.join("template.json"))?;
    build(sh, &format!("{docker_image}:{docker_tag}"), &directory)
}

/// Builds the image of the mock server that tests run.
pub(crate) fn mock_server(sh: &Shell) -> Result<()> {
    let target_directory = Workspace::load(sh)?.target_directory;
    let server = static_server(sh, &target_directory)?;
    let directory = target_directory.join("images/mock-server");
    sh.create_dir(&directory)?;
    sh.write_file(directory.join("Dockerfile"), MOCK_SERVER_DOCKERFILE)?;
    sh.copy_file(server, directory.join("mcp-mock-server"))?;
    build(sh, MOCK_SERVER, &directory)
}

fn build(sh: &Shell, image: &str, directory: &Path) -> Result<()> {
    // The first builder of Docker needs no plugin, and is enough for three copies.
    cmd!(sh, "docker build --quiet --tag {image} {directory}")
        .env("DOCKER_BUILDKIT", "0")
        .ignore_stdout()
        .run()?;
    eprintln!("built {image}");
    Ok(())
}

/// The mock server as a program that needs no library.
fn static_server(sh: &Shell, target_directory: &Path) -> Result<std::path::PathBuf> {
    let version = cmd!(sh, "rustc --version --verbose").read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    if !host.contains("linux") {
        bail!(
            "the image is made from a program for Linux, and this is {host}: build it with the template's Dockerfile"
        );
    }
    // With the target named, the flags do not reach build scripts and procedural macros.
    cmd!(
        sh,
        "cargo build --release --locked --package mcp-deploy-mock --bin mcp-mock-server --target {host}"
    )
    .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
    .run()?;
    Ok(target_directory.join(host).join("release/mcp-mock-server"))
}
