//! The command line, as a person with a daemon meets it.

use std::fs;
use std::process::{Command, Output};

use mcp_deploy_core::DeploymentName;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{self, Daemon, image};
use crate::site::new_name;

/// The program, with a template of its own and a home of its own.
struct Program {
    home: TempDir,
    address: String,
}

impl Program {
    async fn new(daemon: &Daemon, template: &Value) -> Self {
        use mcp_deploy_core::DeploymentBackend;

        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("template.json"), template.to_string()).unwrap();
        Self { home, address: daemon.backend.check().await.unwrap().scope }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(fixture::binaries().unwrap().join("mcp-deploy"))
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("DOCKER_HOST", &self.address)
            .env("MCP_DEPLOYMENT_BACKEND", "docker")
            .env("RUST_LOG", "trace")
            .output()
            .unwrap()
    }
}

fn template() -> Value {
    json!({
        "id": "t-person", "name": "Person", "description": "Echoes.", "version": "1.0.0",
        "docker_image": image::NAME, "command": ["/mcp-mock-server"],
        "environment_variables": {"MOCK_BEHAVIOUR": "echo-environment"},
        "security": {"read_only_root": false},
        "config_schema": {"properties": {"api_key": {"type": "string", "sensitive": true}}},
        // The answer is told, for it is not what is expected.
        "tests": [{"tool": "environment", "contains": "nothing of it"}],
    })
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

pub(crate) async fn no_output_of_a_command_shows_a_secret(daemon: &Daemon) {
    const CANARY: &str = "c4n4ry-0f-th3-c0mm4nd";
    let program = Program::new(daemon, &template()).await;
    let name: DeploymentName = new_name();
    let name = name.as_str();
    fs::write(program.home.path().join("secrets"), format!("API_KEY={CANARY}\nOTHER_TOKEN={CANARY}\n"))
        .unwrap();
    let deploy = ["deploy", "./template.json", "--name", name, "--env-file", "secrets"];
    let commands: Vec<Vec<&str>> = vec![
        [&deploy[..], &["--dry-run"]].concat(),
        deploy.to_vec(),
        [&deploy[..], &["--env", "CHANGED=1"]].concat(),
        vec!["test", "./template.json", "--env-file", "secrets", "--junit", "report.xml"],
        vec!["test", "./template.json", "--env-file", "secrets", "-o", "json"],
        vec!["status", name, "-o", "wide"],
        vec!["status", name, "-o", "json"],
        vec!["list", "-o", "json"],
        vec!["logs", name, "--timestamps"],
        vec!["tools", name],
        vec!["restart", name],
        vec!["stop", name],
        vec!["start", name],
        vec!["gc", "--dry-run"],
        // It fails: nobody serves that image.
        [&deploy[..], &["--image", "127.0.0.1:1/none:1"]].concat(),
        vec!["delete", name, "--volumes"],
    ];
    for arguments in commands {
        let output = program.run(&arguments);
        let told = text(&output);
        assert!(told.contains("TRACE"), "it does not log: {arguments:?} {told}");
        assert!(!told.contains(CANARY), "{arguments:?} shows the secret: {told}");
        let may_fail = arguments.contains(&"--image") || arguments.contains(&"test");
        assert!(output.status.success() || may_fail, "{arguments:?}: {told}");
    }
    let report = fs::read_to_string(program.home.path().join("report.xml")).unwrap();
    assert!(report.contains("API_KEY&quot;:&quot;***") && !report.contains(CANARY), "{report}");
}

pub(crate) async fn a_person_sees_what_a_template_takes_back(daemon: &Daemon) {
    let program = Program::new(daemon, &template()).await;
    let name = new_name();
    let deployed = program.run(&["deploy", "./template.json", "--name", name.as_str()]);
    let status = program.run(&["status", name.as_str()]);
    for output in [&deployed, &status] {
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            shown.lines().any(|line| line.starts_with("RELAXED") && line.ends_with("read_only_root")),
            "{shown}"
        );
    }
    daemon.remove_all(&name).await;
}
