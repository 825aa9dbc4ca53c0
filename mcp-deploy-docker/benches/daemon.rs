//! What the Docker backend promises about speed, side by side with Docker's own command line, as rows of a Markdown
//! table: `cargo xtask bench` prints them. Needs a daemon, the image of `demo`, and the two programs below.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "its rows are its output")]

use std::env;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mcp_deploy_core::{
    Backends, Catalog, DeleteOptions, Deploy, DeployOptions, DeploymentBackend, DeploymentManager,
    DeploymentName, DeploymentSpec, Request, Selector, Settings, probe,
};
use mcp_deploy_docker::DockerBackend;

/// The program `mcp-deploy`, and one that runs another once and prints its nanoseconds and its peak memory.
const PROGRAM: &str = "MCP_DEPLOY_BENCH_PROGRAM";
const MEASURE: &str = "MCP_DEPLOY_BENCH_MEASURE";

const DEPLOYS: usize = 11;
const LISTS: usize = 11;
const LISTED: usize = 100;
const AT_ONCE: usize = 30;
const ROUNDS: usize = 5;
const BUILDS: usize = 11;
/// The context of a build: so many files of so many bytes.
const FILES: usize = 1000;
const FILE_BYTES: usize = 20_000;
/// What has run for longer is listed without an inspection.
const SETTLED: Duration = Duration::from_secs(12);
const POLL: Duration = Duration::from_millis(10);

#[tokio::main]
async fn main() {
    let bench = Bench::new();
    // The first of each warms the caches of both.
    bench.deploy_once(0);
    Bench::docker_run_and_poll(0).await;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for number in 0..DEPLOYS {
        ours.push(bench.deploy_once(number));
        theirs.push(Bench::docker_run_and_poll(number).await);
    }
    ratio(
        "`deploy` to the first MCP answer, by `docker run -d` and a poll",
        "≤ 1.15",
        median(ours),
        median(theirs),
    );

    let context = Context::new();
    context.build(&bench);
    context.docker_build();
    let (ours, theirs): (Vec<_>, Vec<_>) =
        (0..BUILDS).map(|_| (context.build(&bench), context.docker_build())).unzip();
    ratio(
        "`build` of an unchanged template with 1,000 files, by `docker build`",
        "≤ 1.1",
        median(ours),
        median(theirs),
    );
    drop(context);

    let mut at_once = Vec::new();
    let mut started = Vec::new();
    let mut answering = Vec::new();
    for _ in 0..ROUNDS {
        at_once.push(bench.deploy_at_once().await);
        started.push(Bench::docker_run_in_sequence(Until::Started).await);
        answering.push(Bench::docker_run_in_sequence(Until::Answering).await);
    }
    let at_once = median(at_once);
    ratio(
        "30 `docker run` in sequence, by 30 deploys at once that all answer",
        "≥ 2",
        median(started),
        at_once,
    );
    ratio(
        "30 `docker run`, each with a poll until it answers, by 30 deploys at once that all answer",
        "≥ 2",
        median(answering),
        at_once,
    );

    let names = bench.deploy_many().await;
    tokio::time::sleep(SETTLED).await;
    let mut lists = Vec::new();
    let mut listings = Vec::new();
    for _ in 0..LISTS {
        lists.push(bench.measure(&[&bench.program, "--backend", "docker", "list"]));
        listings.push(bench.measure(&["docker", "ps"]));
    }
    let wall = |runs: &[(Duration, u64)]| median(runs.iter().map(|(wall, _)| *wall).collect());
    ratio("`list` of 100 deployments, by `docker ps`", "≤ 1.3", wall(&lists), wall(&listings));
    let peak = lists.iter().map(|(_, bytes)| *bytes).max().unwrap();
    row("`list` of 100 deployments, peak memory", "≤ 20 MB", &format!("{:.1} MB", megabytes(peak)));
    bench.delete(&names).await;
}

struct Bench {
    program: String,
    measure: String,
    backend: DockerBackend,
    manager: DeploymentManager,
}

impl Bench {
    fn new() -> Self {
        let settings = Settings::default();
        let backend = DockerBackend::from_settings(&settings);
        let backends = Backends::default().with(backend.clone()).default_to(Some("docker".to_owned()));
        Self {
            program: env::var(PROGRAM).unwrap(),
            measure: env::var(MEASURE).unwrap(),
            backend,
            manager: DeploymentManager::new(Catalog::default(), backends, &settings),
        }
    }

    fn spec(&self, name: &str) -> DeploymentSpec {
        let template = self.manager.template("demo").unwrap();
        self.manager.resolve(&template, &Request::default().name(name)).unwrap()
    }

    /// The command line, from its start until it has proved that the server answers.
    fn deploy_once(&self, number: usize) -> Duration {
        let name = format!("bench-deploy-{number}");
        let wall = run(&[&self.program, "--backend", "docker", "deploy", "demo", "--name", &name]);
        run(&[&self.program, "--backend", "docker", "delete", &name]);
        wall
    }

    /// The same container by Docker's command line, from its start until the same handshake succeeds.
    async fn docker_run_and_poll(number: usize) -> Duration {
        let name = format!("bench-run-{number}");
        let started = Instant::now();
        docker_run(&name, number);
        answers(number).await;
        let wall = started.elapsed();
        run(&["docker", "rm", "--force", &name]);
        wall
    }

    async fn deploy_at_once(&self) -> Duration {
        let specs: Vec<_> = (0..AT_ONCE).map(|number| self.spec(&format!("bench-once-{number}"))).collect();
        let options = Deploy::default();
        let started = Instant::now();
        for outcome in join_all(specs.iter().map(|spec| self.manager.deploy(spec, &options))).await {
            outcome.unwrap();
        }
        let wall = started.elapsed();
        self.delete(&specs.into_iter().map(|spec| spec.name).collect::<Vec<_>>()).await;
        wall
    }

    async fn docker_run_in_sequence(until: Until) -> Duration {
        let names: Vec<String> = (0..AT_ONCE).map(|number| format!("bench-run-{number}")).collect();
        let started = Instant::now();
        for (number, name) in names.iter().enumerate() {
            docker_run(name, number);
            if until == Until::Answering {
                answers(number).await;
            }
        }
        let wall = started.elapsed();
        let names = names.iter().map(String::as_str);
        run(&["docker", "rm", "--force"].into_iter().chain(names).collect::<Vec<_>>());
        wall
    }

    async fn deploy_many(&self) -> Vec<DeploymentName> {
        let specs: Vec<_> = (0..LISTED).map(|number| self.spec(&format!("bench-list-{number}"))).collect();
        for some in specs.chunks(20) {
            let deploys = some.iter().map(|spec| self.backend.deploy(spec, DeployOptions::default()));
            for outcome in join_all(deploys).await {
                outcome.unwrap();
            }
        }
        let listed = self.backend.list(&Selector::default()).await.unwrap().len();
        assert!(listed >= LISTED, "only {listed} are there");
        specs.into_iter().map(|spec| spec.name).collect()
    }

    async fn delete(&self, names: &[DeploymentName]) {
        for some in names.chunks(10) {
            let deletes = some.iter().map(|name| self.backend.delete(name, DeleteOptions::default()));
            for outcome in join_all(deletes).await {
                outcome.unwrap();
            }
        }
    }

    fn measure(&self, command_line: &[&str]) -> (Duration, u64) {
        let output = Command::new(&self.measure).args(["measure", "--"]).args(command_line).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (nanoseconds, bytes) = text
            .trim()
            .split_once(' ')
            .unwrap_or_else(|| panic!("{command_line:?} was not measured: {text}"));
        (Duration::from_nanos(nanoseconds.parse().unwrap()), bytes.parse().unwrap())
    }
}

/// A template with a directory of files; its images go with it.
struct Context(tempfile::TempDir);

impl Context {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| fs::write(directory.path().join(name), content).unwrap();
        write("template.json", br#"{"id": "bench-build", "name": "B", "description": "B.", "version": "1"}"#);
        write("Dockerfile", b"FROM scratch\nCOPY . /\n");
        for number in 0..FILES {
            let content = format!("{number} ").repeat(FILE_BYTES).into_bytes();
            write(&format!("file-{number}"), &content[..FILE_BYTES]);
        }
        Self(directory)
    }

    fn build(&self, bench: &Bench) -> Duration {
        run(&[&bench.program, "build", self.0.path().to_str().unwrap(), "--no-check"])
    }

    /// The builder that the daemon itself has; the other is a program of its own.
    fn docker_build(&self) -> Duration {
        let image = "mcp-deploy-bench/build:1";
        run(&["env", "DOCKER_BUILDKIT=0", "docker", "build", "--tag", image, self.0.path().to_str().unwrap()])
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let ours = ["latest", "1"].map(|tag| format!("ghcr.io/data-everything/mcp-bench-build:{tag}"));
        run(&["docker", "rmi", "mcp-deploy-bench/build:1", &ours[0], &ours[1]]);
    }
}

/// What a script of `docker run` waits for before it starts the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Started,
    Answering,
}

/// The port of the host for a container of `docker run`.
fn port(number: usize) -> usize {
    20800 + number
}

/// Polls a server that `docker run` has started, until the handshake succeeds.
async fn answers(number: usize) {
    let url = format!("http://127.0.0.1:{}/mcp", port(number));
    let started = Instant::now();
    while probe::probe(&url, Duration::from_secs(5)).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "the server does not answer");
        tokio::time::sleep(POLL).await;
    }
}

/// `docker run` with what a deployment of `demo` has.
fn docker_run(name: &str, number: usize) {
    let publish = format!("127.0.0.1:{}:8080", port(number));
    let options = "--detach --network mcp-platform --user 1000 --read-only --tmpfs /tmp:exec,nosuid,nodev,size=64m \
        --cap-drop ALL --security-opt no-new-privileges --init --memory 128m --memory-swap 128m --cpus 0.5 \
        --pids-limit 64 --restart unless-stopped --log-opt max-size=10m --log-opt max-file=3 \
        --label managed-by=bench --env PORT=8080 --env HOME=/tmp --env HELLO_FROM=mcp-deploy --env LOG_LEVEL=info";
    let mut command_line = vec!["docker", "run", "--name", name, "--publish", &publish];
    command_line.extend(options.split_whitespace());
    command_line.push("ghcr.io/data-everything/mcp-demo:1.0.0");
    run(&command_line);
}

/// Runs a program to its end.
fn run(command_line: &[&str]) -> Duration {
    let started = Instant::now();
    let output = Command::new(command_line[0]).args(&command_line[1..]).output().unwrap();
    assert!(output.status.success(), "{command_line:?}: {}", String::from_utf8_lossy(&output.stderr));
    started.elapsed()
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap()) / 1000.0
}

fn ratio(figure: &str, target: &str, one: Duration, other: Duration) {
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let ratio = one.as_secs_f64() / other.as_secs_f64();
    row(figure, target, &format!("{ratio:.2} ({:.0} ms by {:.0} ms)", millis(one), millis(other)));
}

fn row(figure: &str, target: &str, measured: &str) {
    println!("| {figure} | {target} | {measured} |");
}
