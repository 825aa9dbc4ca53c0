//! From a new template to a running deployment, as README shows it; and the templates of this repository, built from their
//! own Dockerfiles and tried. On a real daemon, without a registry.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use super::bases;
use crate::workspace::{self, Workspace};

/// The block of README that the way stands in begins with this line.
const WAY_BEGINS: &str = "$ mcp-deploy templates new weather";

pub(super) fn run(sh: &Shell) -> Result<()> {
    let program = Workspace::load(sh)?.target_directory.join("debug/mcp-deploy");
    let rust = bases::rust(sh)?;
    let templates = workspace::root().join("mcp-deploy-core/templates");
    cmd!(sh, "{program} build --build-arg BUILD_IMAGE={rust} --build-arg BASE_IMAGE={rust}")
        .env("MCP_TEMPLATES_DIR", &templates)
        .run()?;
    cmd!(sh, "{program} --backend docker test demo file-server").run()?;

    let scaffold = workspace::root().join("mcp-deploy-cli/scaffold/python/server/requirements.txt");
    let python = bases::python(sh, &scaffold)?;
    let directory = sh.create_temp_dir()?;
    let _inside = sh.push_dir(directory.path());
    let outcome = way(sh, &program, python);
    // What the last command has made.
    cmd!(sh, "{program} --backend docker delete weather-one --volumes").ignore_status().run()?;
    outcome
}

/// Runs the commands of README, each as it stands there; where an image is built, from the base that is here.
fn way(sh: &Shell, program: &Path, base: &str) -> Result<()> {
    let readme = fs::read_to_string(workspace::root().join("README.md"))?;
    let lines: Vec<&str> = readme
        .lines()
        .skip_while(|line| !line.starts_with(WAY_BEGINS))
        .take_while(|line| !line.starts_with("```"))
        .filter_map(|line| line.strip_prefix("$ mcp-deploy "))
        .collect();
    ensure!(lines.len() == 5, "README shows the way in {} commands instead of five", lines.len());
    for line in lines {
        let words = line.split_whitespace();
        let of_base = ["BUILD_IMAGE", "BASE_IMAGE"].map(|argument| format!("--build-arg={argument}={base}"));
        let more = if line.starts_with("build ") { &of_base[..] } else { &[] };
        cmd!(sh, "{program}")
            .args(words)
            .args(more)
            .run()
            .with_context(|| format!("README says `{line}`"))?;
    }
    Ok(())
}
