//! `cargo xtask images`: the images of the template `demo` and of `mcp-deploy-server`, each from scratch, on the local
//! daemon.

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

/// Where a server in a cluster finds who vouches for others.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

const SERVER_DOCKERFILE: &str = "\
FROM scratch
COPY root/ /
ENV MCP_BIND=0.0.0.0:8000
EXPOSE 8000
USER 1000
ENTRYPOINT [\"/mcp-deploy-server\"]
";

/// Builds each program, then its image. No registry takes part.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    demo(sh)?;
    let server_image = format!("ghcr.io/data-everything/mcp-deploy-server:{}", env!("CARGO_PKG_VERSION"));
    server(sh, &server_image, "release")
}

/// Builds the image of the template `demo`, and tells its name.
pub(crate) fn demo(sh: &Shell) -> Result<String> {
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
    let image = format!("{docker_image}:{docker_tag}");
    build(sh, &image, &directory)?;
    Ok(image)
}

/// Builds the image of `mcp-deploy-server` for a cluster: the program, the libraries that it needs (one without any
/// could resolve no names), and the certificates of the public authorities.
pub(crate) fn server(sh: &Shell, image: &str, profile: &str) -> Result<()> {
    cmd!(sh, "cargo build --profile {profile} --locked --package mcp-deploy-http --features kubernetes")
        .run()?;
    let target_directory = Workspace::load(sh)?.target_directory;
    let of_profile = if profile == "dev" { "debug" } else { profile };
    let program = target_directory.join(of_profile).join("mcp-deploy-server");
    let directory = target_directory.join("images/server");
    let root = directory.join("root");
    sh.remove_path(&root)?;
    sh.create_dir(&root)?;
    sh.write_file(directory.join("Dockerfile"), SERVER_DOCKERFILE)?;
    sh.copy_file(&program, root.join("mcp-deploy-server"))?;
    let needed = cmd!(sh, "ldd {program}").read()?;
    let libraries = needed.split_whitespace().filter_map(|word| word.strip_prefix('/'));
    for file in libraries.chain([AUTHORITIES]) {
        let place = root.join(file);
        sh.create_dir(place.parent().context("it is in a directory")?)?;
        sh.copy_file(Path::new("/").join(file), place).with_context(|| {
            format!("is `/{file}` there? Debian's package `ca-certificates` has the last")
        })?;
    }
    build(sh, image, &directory)
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
