//! `cargo xtask bench`: what the project promises about speed and memory, measured on this machine.

use std::env::{self, consts};
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::dist;
use crate::images;
use crate::measure::Measurement;
use crate::workspace::Workspace;

const TEMPLATES_LIST_RUNS: usize = 20;
const TEMPLATES_OF_GIT: usize = 500;
const TEMPLATES_LIST_WALL_TARGET: &str = "≤ 10 ms";
const TEMPLATES_LIST_MEMORY_TARGET: &str = "≤ 15 MB";

/// Prints the machine, then one Markdown table row for each figure.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    println!("{}\n", machine(sh)?);
    println!("| figure | target | measured |");
    println!("|---|---|---|");

    let runs = measure_templates_list(sh, &[])?;
    let wall = median(runs.iter().map(|run| run.wall).collect());
    let peak_memory_bytes = runs.iter().map(|run| run.peak_memory_bytes).max().unwrap_or(0);
    println!(
        "| `mcp-deploy templates list`, median of {TEMPLATES_LIST_RUNS} runs \
         | {TEMPLATES_LIST_WALL_TARGET} | {:.1} ms |",
        wall.as_secs_f64() * 1000.0
    );
    println!(
        "| `mcp-deploy templates list`, peak memory | {TEMPLATES_LIST_MEMORY_TARGET} | {} MB |",
        megabytes(peak_memory_bytes)
    );

    measure_templates_of_git(sh)?;

    let bench = cmd!(sh, "cargo bench -p mcp-deploy-core --all-features --bench throughput");
    for row in table_rows(&bench.read()?) {
        println!("{row}");
    }
    measure_http(sh)?;
    measure_docker(sh)?;
    measure_kubernetes(sh)
}

/// The figures of the HTTP server, where the two programs are that it is measured with.
fn measure_http(sh: &Shell) -> Result<()> {
    for program in ["nginx", "wrk"] {
        if cmd!(sh, "{program} -v").ignore_status().ignore_stdout().ignore_stderr().quiet().run().is_err() {
            eprintln!("`{program}` is not there: the figures of the HTTP server are left out");
            return Ok(());
        }
    }
    let bench = cmd!(sh, "cargo bench -p mcp-deploy-http --features mock --bench server");
    for row in table_rows(&bench.read()?) {
        println!("{row}");
    }
    Ok(())
}

/// The figures of the Docker backend, where a daemon answers.
fn measure_docker(sh: &Shell) -> Result<()> {
    let release = Workspace::load(sh)?.target_directory.join("release");
    let program = release.join(format!("mcp-deploy{}", consts::EXE_SUFFIX));
    if cmd!(sh, "docker version").ignore_stdout().ignore_stderr().quiet().run().is_err() {
        eprintln!("no Docker daemon answers: its figures are left out");
        return Ok(());
    }
    images::run(sh)?;
    let xtask = env::current_exe().context("finding xtask's own binary")?;
    let bench = cmd!(sh, "cargo bench -p mcp-deploy-docker --bench daemon")
        .env("MCP_DEPLOY_BENCH_PROGRAM", &program)
        .env("MCP_DEPLOY_BENCH_MEASURE", xtask);
    for row in table_rows(&bench.read()?) {
        println!("{row}");
    }
    let size = megabytes(fs::metadata(dist::run(sh, Some("docker"))?)?.len());
    println!("| `cargo xtask dist --features docker` | ≤ {} MB | {size} MB |", dist::DOCKER_ONLY_MEGABYTES);
    Ok(())
}

/// The figures of the Kubernetes backend, where a cluster is named whose node is this machine.
fn measure_kubernetes(sh: &Shell) -> Result<()> {
    let is_named = |variable| env::var_os(variable).is_some_and(|value| !value.is_empty());
    if !(is_named("KUBECONFIG") && is_named("MCP_DEPLOY_E2E_CLUSTER")) {
        eprintln!("KUBECONFIG and MCP_DEPLOY_E2E_CLUSTER name no cluster: its figures are left out");
        return Ok(());
    }
    let release = Workspace::load(sh)?.target_directory.join("release");
    let program = release.join(format!("mcp-deploy{}", consts::EXE_SUFFIX));
    let bench = cmd!(sh, "cargo bench -p mcp-deploy-k8s --bench cluster");
    for row in table_rows(&bench.env("MCP_DEPLOY_BENCH_PROGRAM", program).read()?) {
        println!("{row}");
    }
    Ok(())
}

fn measure_templates_list(sh: &Shell, environment: &[(&str, &str)]) -> Result<Vec<Measurement>> {
    let program = release_program(sh)?;
    let xtask = env::current_exe().context("finding xtask's own binary")?;
    let measure = || {
        let run = cmd!(sh, "{xtask} measure -- {program} templates list").envs(environment.iter().copied());
        run.ignore_stderr().read()?.parse()
    };
    (0..TEMPLATES_LIST_RUNS).map(|_| measure()).collect()
}

/// The same list with many templates of a git repository, whose copy is there.
fn measure_templates_of_git(sh: &Shell) -> Result<()> {
    let home = sh.create_temp_dir()?;
    let repository = home.path().join("templates");
    let text = include_str!("../../mcp-deploy-core/templates/file-server/template.json");
    for number in 0..TEMPLATES_OF_GIT {
        let id = format!("template-{number}");
        let template = text.replacen("\"id\": \"file-server\"", &format!("\"id\": \"{id}\""), 1);
        sh.write_file(repository.join(&id).join("template.json"), template)?;
    }
    let git = ["-c", "user.name=bench", "-c", "user.email=bench@example.com", "-C"];
    cmd!(sh, "git {git...} {repository} init --quiet").run()?;
    cmd!(sh, "git {git...} {repository} add --all").run()?;
    cmd!(sh, "git {git...} {repository} commit --quiet --message=Templates").run()?;

    let address = format!("file://{}", repository.display());
    let cache = home.path().join("cache").display().to_string();
    let environment = [("MCP_TEMPLATES_REPO", address.as_str()), ("MCP_TEMPLATES_CACHE", cache.as_str())];
    let program = release_program(sh)?;
    cmd!(sh, "{program} templates refresh").envs(environment).ignore_stdout().run()?;
    let runs = measure_templates_list(sh, &environment)?;
    let wall = median(runs.iter().map(|run| run.wall).collect());
    println!(
        "| `mcp-deploy templates list` with {TEMPLATES_OF_GIT} templates from git \
         | {TEMPLATES_LIST_WALL_TARGET} | {:.1} ms |",
        wall.as_secs_f64() * 1000.0
    );
    Ok(())
}

/// `mcp-deploy`, built as it is used.
fn release_program(sh: &Shell) -> Result<PathBuf> {
    cmd!(sh, "cargo build --release -p mcp-deploy-cli").run()?;
    let release = Workspace::load(sh)?.target_directory.join("release");
    Ok(release.join(format!("mcp-deploy{}", consts::EXE_SUFFIX)))
}

fn machine(sh: &Shell) -> Result<String> {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu_model(&cpu_info).unwrap_or(consts::ARCH);
    let cores = thread::available_parallelism()?;
    let rustc = cmd!(sh, "rustc --version").read()?;
    Ok(format!("Measured on {cpu}, {cores} cores, {}, {rustc}.", consts::OS))
}

/// The first `model name` of `/proc/cpuinfo`; some architectures have none.
fn cpu_model(cpu_info: &str) -> Option<&str> {
    let line = cpu_info.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.trim())
}

/// The middle value; of an even number of values the upper one of the two in the middle.
fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// 1 MB is a million bytes; rounded up to a tenth.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The rows of a Markdown table without its head, from output that may hold other lines too.
fn table_rows(output: &str) -> impl Iterator<Item = &str> {
    let is_head =
        |line: &str| line.starts_with("| figure") || line.starts_with("|-") || line.starts_with("| -");
    output.lines().map(str::trim).filter(move |line| line.starts_with('|') && !is_head(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_the_first_processor_is_found() {
        let cpu_info = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2.00GHz\n\nprocessor\t: 1\n";
        assert_eq!(cpu_model(cpu_info), Some("Some CPU @ 2.00GHz"));
        assert_eq!(cpu_model("processor\t: 0\nCPU part\t: 0xd0c\n"), None);
    }

    #[test]
    fn one_slow_run_does_not_move_the_median() {
        let values = [3, 1, 900, 2, 4].map(Duration::from_millis);
        assert_eq!(median(values.to_vec()), Duration::from_millis(3));
    }

    #[test]
    fn memory_is_never_rounded_down() {
        assert_eq!(megabytes(7_000_000), "7.0");
        assert_eq!(megabytes(7_000_001), "7.1");
    }

    #[test]
    fn only_the_rows_of_a_bench_are_passed_on() {
        let output = "running\n\n| figure | target | measured |\n|---|---|---|\n| a | < 1 ms | 0.5 ms |\n";
        assert_eq!(table_rows(output).collect::<Vec<_>>(), ["| a | < 1 ms | 0.5 ms |"]);
    }
}
