//! `cargo xtask images`: the images of the built-in templates and of `mcp-deploy-server`, each from scratch, on the
//! local daemon.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use xshell::{Shell, cmd};

use crate::workspace::{self, Workspace};

/// What a template says of its image.
#[derive(Debug, Deserialize)]
struct Template {
    id: String,
    docker_image: String,
    docker_tag: String,
    transport: Transport,
}

#[derive(Debug, Deserialize)]
struct Transport {
    port: u16,
}

/// The profiles of cargo: what people run, and what tests run, which is built in a fraction of the time.
pub(crate) const RELEASE: &str = "release";
pub(crate) const DEV: &str = "dev";

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
    templates(sh, RELEASE)?;
    let server_image = format!("ghcr.io/data-everything/mcp-deploy-server:{}", env!("CARGO_PKG_VERSION"));
    server(sh, &server_image, RELEASE)
}

/// Builds the images of the built-in templates, and tells their names.
///
/// As the templates' own Dockerfiles do, but without an image to build in and one to begin with.
pub(crate) fn templates(sh: &Shell, profile: &str) -> Result<Vec<String>> {
    let templates = built_in_templates()?;
    let servers: Vec<String> = templates.iter().map(Template::server).collect();
    let target_directory = Workspace::load(sh)?.target_directory;
    let programs = static_programs(sh, &target_directory, &servers, profile)?;
    let mut images = Vec::new();
    for (template, server) in templates.iter().zip(servers) {
        let directory = target_directory.join("images").join(&template.id);
        sh.remove_path(&directory)?;
        sh.create_dir(&directory)?;
        sh.write_file(directory.join("Dockerfile"), template.dockerfile())?;
        sh.copy_file(programs.join(&server), directory.join(&server))?;
        let image = format!("{}:{}", template.docker_image, template.docker_tag);
        build(sh, &image, &directory)?;
        images.push(image);
    }
    Ok(images)
}

fn built_in_templates() -> Result<Vec<Template>> {
    let directory = workspace::root().join("mcp-deploy-core/templates");
    let mut templates = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))? {
        let file = entry?.path().join("template.json");
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let template: Template =
            serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
        templates.push(template);
    }
    templates.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(templates)
}

impl Template {
    /// The package of its server, and the program in that.
    fn server(&self) -> String {
        format!("mcp-{}", self.id)
    }

    fn dockerfile(&self) -> String {
        let Self { transport: Transport { port }, .. } = self;
        let server = self.server();
        format!(
            "\
FROM scratch
COPY {server} /{server}
ENV PORT={port}
EXPOSE {port}
USER 1000
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s CMD [\"/{server}\", \"--check\"]
ENTRYPOINT [\"/{server}\"]
"
        )
    }
}

/// Builds the image of `mcp-deploy-server` for a cluster: the program, the libraries that it needs (one without any
/// could resolve no names), and the certificates of the public authorities.
pub(crate) fn server(sh: &Shell, image: &str, profile: &str) -> Result<()> {
    cmd!(sh, "cargo build --profile {profile} --locked --package mcp-deploy-http --features kubernetes")
        .run()?;
    let target_directory = Workspace::load(sh)?.target_directory;
    let program = target_directory.join(directory_of(profile)).join("mcp-deploy-server");
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
pub(crate) fn mock_server(sh: &Shell, profile: &str) -> Result<()> {
    let target_directory = Workspace::load(sh)?.target_directory;
    let programs = static_programs(sh, &target_directory, &["mcp-deploy-mock".to_owned()], profile)?;
    let directory = target_directory.join("images/mock-server");
    sh.create_dir(&directory)?;
    sh.write_file(directory.join("Dockerfile"), MOCK_SERVER_DOCKERFILE)?;
    sh.copy_file(programs.join("mcp-mock-server"), directory.join("mcp-mock-server"))?;
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

/// Builds the programs of packages so that they need no library, and tells the directory they are in.
///
/// Such a program must resolve no names: what that needs of the C library cannot be linked into it.
fn static_programs(
    sh: &Shell,
    target_directory: &Path,
    packages: &[String],
    profile: &str,
) -> Result<PathBuf> {
    let version = cmd!(sh, "rustc --version --verbose").read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    if !host.contains("linux") {
        bail!(
            "the image is made from a program for Linux, and this is {host}: build it with the template's Dockerfile"
        );
    }
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    // With the target named, the flags do not reach build scripts and procedural macros.
    cmd!(sh, "cargo build --profile {profile} --locked --bins {packages...} --target {host}")
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .run()?;
    Ok(target_directory.join(host).join(directory_of(profile)))
}

/// Where cargo puts what it builds by a profile.
fn directory_of(profile: &str) -> &str {
    if profile == DEV { "debug" } else { profile }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_template_has_a_server_in_the_workspace_and_a_version_as_its_tag() {
        let workspace = Workspace::load(&Shell::new().unwrap()).unwrap();
        let templates = built_in_templates().unwrap();
        assert!(!templates.is_empty());
        for template in templates {
            let server = template.server();
            assert!(workspace.packages.iter().any(|package| package.name == server), "{server}");
            assert!(template.docker_tag.starts_with(|first: char| first.is_ascii_digit()), "{template:?}");
            let dockerfile = template.dockerfile();
            assert!(dockerfile.contains(&format!("ENTRYPOINT [\"/{server}\"]")), "{dockerfile}");
            assert!(dockerfile.contains("\nUSER 1000\n"), "{dockerfile}");
        }
    }
}
