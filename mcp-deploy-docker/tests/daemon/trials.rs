//! Trials of templates on a real daemon: nothing is left over, whenever somebody stops one.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptions};
use mcp_deploy_core::{DeploymentBackend, DeploymentName};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{self, Daemon, image};
use crate::site::new_name;

const PATIENCE: Duration = Duration::from_mins(1);

/// The program, and a template of its own, told from those of other tests by its id.
struct Trials {
    home: TempDir,
    address: String,
    id: String,
}

impl Trials {
    async fn new(daemon: &Daemon, behaviour: &str, more: Value) -> Self {
        let home = tempfile::tempdir().unwrap();
        let id = new_name().to_string();
        let mut template = json!({
            "id": id, "name": "Tried", "description": "Is tried.", "version": "1.0.0",
            "docker_image": image::NAME, "command": ["/mcp-mock-server"],
            "environment_variables": {"MOCK_BEHAVIOUR": behaviour},
            "volumes": [{"name": "data", "path": "/data"}],
            "tools": [{"name": "echo", "input_schema": {"type": "object"}}],
        });
        template.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fs::write(home.path().join("template.json"), template.to_string()).unwrap();
        let tests = r#"[{"tool": "echo", "arguments": {"message": "Ada"}, "contains": "Ada"}]"#;
        fs::write(home.path().join("tests.json"), tests).unwrap();
        Self { home, address: daemon.backend.check().await.unwrap().scope, id }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(fixture::binaries().unwrap().join("mcp-deploy"));
        command
            .args(["test", "./template.json", "-o", "json"])
            .args(more)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("DOCKER_HOST", &self.address)
            .env("MCP_DEPLOYMENT_BACKEND", "docker")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Child {
        self.command(&[]).spawn().unwrap()
    }

    /// The containers and volumes of its trials.
    async fn objects(&self, daemon: &Daemon) -> Vec<String> {
        let is_ours = |name: &String| name.trim_start_matches('/').starts_with(&format!("test-{}", self.id));
        let all = ListContainersOptionsBuilder::new().all(true).build();
        let containers = daemon.docker.list_containers(Some(all)).await.unwrap();
        let containers = containers.into_iter().flat_map(|container| container.names.unwrap_or_default());
        let volumes = daemon.docker.list_volumes(None::<ListVolumesOptions>).await.unwrap();
        let volumes = volumes.volumes.unwrap_or_default().into_iter().map(|volume| volume.name);
        containers.chain(volumes).filter(is_ours).collect()
    }

    /// Waits until the daemon has a container of a trial.
    async fn until_there(&self, daemon: &Daemon) {
        let since = Instant::now();
        while !self.objects(daemon).await.iter().any(|object| object.starts_with('/')) {
            assert!(since.elapsed() < PATIENCE, "the trial never deployed anything");
            sleep(Duration::from_millis(20));
        }
    }

    async fn has_nothing(&self, daemon: &Daemon, moment: &str) {
        assert_eq!(self.objects(daemon).await, Vec::<String>::new(), "{moment}");
    }
}

/// The output of a program that is interrupted now.
fn interrupted(child: Child, signal: &str) -> Output {
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    child.wait_with_output().unwrap()
}

/// The verdicts of the only report by step.
fn verdict(output: &Output, step: &str) -> String {
    let reports: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("there is no report: {}", String::from_utf8_lossy(&output.stderr));
    });
    let steps = reports[0]["steps"].as_array().unwrap();
    let found = steps.iter().find(|found| found["name"] == step);
    found.map_or(String::new(), |found| found["verdict"].as_str().unwrap().to_owned())
}

pub(crate) async fn a_template_is_tried_and_nothing_of_it_is_left(daemon: &Daemon) {
    let trials = Trials::new(daemon, "well", json!({})).await;
    let output = trials.command(&[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for step in ["deploy", "start", "handshake", "tools", "call echo", "status", "list", "delete"] {
        assert_eq!(verdict(&output, step), "passed", "{step}");
    }
    trials.has_nothing(daemon, "after a trial").await;
}

pub(crate) async fn a_server_that_crashes_fails_its_trial_and_is_removed(daemon: &Daemon) {
    let trials = Trials::new(daemon, "crash:7", json!({})).await;
    let output = trials.command(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("exit code 7") && report.contains("told to crash"), "{report}");
    trials.has_nothing(daemon, "after a crash").await;
}

pub(crate) async fn a_trial_that_is_interrupted_while_it_deploys_leaves_nothing(daemon: &Daemon) {
    let trials = Trials::new(daemon, "never-listens", json!({})).await;
    for moment in (0..24).map(|step| Duration::from_millis(step * 40)) {
        let child = trials.start();
        sleep(moment);
        // The very first may come before anybody listens to signals: it ends the program. SIGINT would not, where
        // the tests run in the background of a shell.
        let output = interrupted(child, "-TERM");
        let ended = output.status.code();
        let is_fine = ended == Some(130) || moment.as_millis() < 100 && ended.is_none();
        assert!(is_fine, "interrupted after {moment:?}: {output:?}");
        trials.has_nothing(daemon, &format!("interrupted after {moment:?}")).await;
    }
}

pub(crate) async fn a_trial_that_is_interrupted_in_a_later_phase_leaves_nothing(daemon: &Daemon) {
    let phases = [("never-listens", "handshake", "-INT"), ("mute-calls", "call echo", "-TERM")];
    for (behaviour, step, signal) in phases {
        let trials = Trials::new(daemon, behaviour, json!({})).await;
        let child = trials.start();
        trials.until_there(daemon).await;
        sleep(Duration::from_millis(1500));
        let output = interrupted(child, signal);
        assert_eq!(output.status.code(), Some(130));
        assert_eq!((verdict(&output, step), verdict(&output, "delete")), ("skipped".into(), "passed".into()));
        trials.has_nothing(daemon, step).await;
    }
}

pub(crate) async fn a_removal_that_is_interrupted_goes_on_to_its_end(daemon: &Daemon) {
    let trials = Trials::new(daemon, "ignore-sigterm", json!({})).await;
    let child = trials.start();
    trials.until_there(daemon).await;
    // The daemon waits for ten seconds before it kills the server.
    sleep(Duration::from_secs(3));
    let output = interrupted(child, "-INT");
    assert_eq!((output.status.code(), verdict(&output, "delete")), (Some(130), "passed".to_owned()));
    trials.has_nothing(daemon, "interrupted while it is removed").await;
}

pub(crate) async fn a_pull_that_hangs_is_cut_off(daemon: &Daemon) {
    // It takes connections, and never answers.
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/none:1", registry.local_addr().unwrap());
    let trials = Trials::new(daemon, "well", json!({"docker_image": image})).await;
    let child = trials.start();
    sleep(Duration::from_secs(1));
    let output = interrupted(child, "-INT");
    assert_eq!((output.status.code(), verdict(&output, "deploy")), (Some(130), "skipped".to_owned()));
    trials.has_nothing(daemon, "interrupted in a pull").await;
}

pub(crate) async fn what_is_kept_is_there_under_its_name(daemon: &Daemon) {
    let trials = Trials::new(daemon, "well", json!({})).await;
    let output = trials.command(&["--keep"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reports: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name: DeploymentName = reports[0]["deployment_name"].as_str().unwrap().parse().unwrap();
    assert!(daemon.backend.get(&name).await.unwrap().ready);
    daemon.remove_all(&name).await;
}
