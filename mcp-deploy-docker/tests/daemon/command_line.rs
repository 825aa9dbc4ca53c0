//! The command line, as a person with a daemon meets it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use mcp_deploy_core::DeploymentName;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::build::{forget_all, hanging, has_no_container_of, login};
use crate::fixture::{self, Daemon, image};
use crate::registry::{PASSWORD, Registry};
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
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(fixture::binaries().unwrap().join("mcp-deploy"));
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("DOCKER_HOST", &self.address)
            .env("MCP_DEPLOYMENT_BACKEND", "docker")
            .env("RUST_LOG", "trace");
        command
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

/// Writes a template that is built, in a directory of its own below the program's home.
fn write_template(home: &Path, id: &str, dockerfile: &str, more: Value) {
    let mut document = json!({"id": id, "name": "Built", "description": "Is built.", "version": "1.0.0"});
    if let (Value::Object(fields), Value::Object(more)) = (&mut document, more) {
        fields.extend(more);
    }
    let place = home.join("mine").join(id);
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("template.json"), document.to_string()).unwrap();
    fs::write(place.join("Dockerfile"), dockerfile).unwrap();
}

pub(crate) async fn images_are_built_side_by_side_and_one_that_fails_stops_no_other(daemon: &Daemon) {
    let program = Program::new(daemon, &template()).await;
    let home = program.home.path();
    let server = |behaviour: &str| {
        format!("FROM {}\nENV MOCK_BEHAVIOUR={behaviour}\nENTRYPOINT [\"/mcp-mock-server\"]\n", image::NAME)
    };
    let fails = format!("FROM {}\nRUN [\"/mcp-mock-server\", \"--behaviour\", \"crash:7\"]\n", image::NAME);
    let needs =
        json!({"config_schema": {"required": ["greeting"], "properties": {"greeting": {"type": "string"}}}});
    write_template(home, "t-a-fails", &fails, json!({}));
    write_template(home, "t-b-well", &server("well"), json!({"health": {}}));
    write_template(home, "t-c-needs", &server("well"), needs);
    write_template(home, "t-d-breaks", &server("crash:3"), json!({}));
    fs::File::create(home.join("mine/t-d-breaks/large")).unwrap().set_len(5 << 20).unwrap();
    let build = |arguments: &[&str]| {
        let mut command = program.command(&[&["build"], arguments].concat());
        command.env("MCP_TEMPLATES_DIR", home.join("mine")).env("MCP_IMAGE_REGISTRY", "mcp-deploy-test");
        command.env_remove("RUST_LOG").output().unwrap()
    };

    let output = build(&[]);
    let (shown, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{shown}{told}");
    let line = |id: &str| shown.lines().find(|line| line.starts_with(id)).unwrap_or_default().to_owned();
    assert!(line("t-a-fails").ends_with("failed"), "{shown}");
    assert!(line("t-b-well").contains("mcp-deploy-test/mcp-t-b-well:1.0.0  "), "{shown}");
    assert!(line("t-b-well").ends_with("built; it keeps the contract"), "{shown}");
    assert!(
        line("t-c-needs").ends_with("built; not checked: it needs `greeting`; --set gives it values"),
        "{shown}"
    );
    assert!(line("t-d-breaks").ends_with("built; it breaks the contract"), "{shown}");
    assert!(told.contains("at `Dockerfile:2: RUN ") && told.contains("exit code 7"), "{told}");
    assert!(told.contains("`t-d-breaks` failed: crash_loop: ") && told.contains("stays_up: "), "{told}");
    assert!(shown.lines().any(|line| line.starts_with("t-b-well    terminates  kept")), "{shown}");

    let output = build(&["t-d-breaks", "--push", "-o", "json"]);
    assert_eq!(output.status.code(), Some(8), "{}", text(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["result"], "contract_broken");
    assert_eq!(json[0]["contract"]["clauses"][0]["verdict"], "broken");

    let output = build(&["mine/t-c-needs", "--set", "greeting=hello", "-o", "name"]);
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(names, "mcp-deploy-test/mcp-t-c-needs:latest\nmcp-deploy-test/mcp-t-c-needs:1.0.0\n");
    assert!(output.status.success(), "{}", text(&output));

    let wrong = [
        (vec!["demo"], 3, "run `mcp-deploy build mcp-deploy-core/templates/demo` there"),
        (vec!["t-b-wel"], 4, "did you mean `t-b-well`?"),
        (vec!["--set", "a=b"], 3, "`--set` is for one template"),
        (vec!["--backend", "mock"], 9, "a Docker daemon builds images"),
        (vec!["t-c-needs", "--set", "greting=x"], 3, "did you mean `greeting`?"),
        (vec!["t-d-breaks", "--max-context", "4Mi"], 3, "5.2 MB  large"),
    ];
    for (arguments, code, words) in wrong {
        let output = build(&arguments);
        let told = text(&output);
        assert!(output.status.code() == Some(code) && told.contains(words), "{arguments:?}: {told}");
    }
    let tags = ["t-b-well", "t-c-needs", "t-d-breaks"].map(|id| format!("mcp-deploy-test/mcp-{id}"));
    for tag in tags {
        let tags = ["latest", "1.0.0"].map(|version| format!("{tag}:{version}").parse().unwrap());
        forget_all(daemon, &tags).await;
    }
}

pub(crate) async fn ctrl_c_ends_a_build_and_leaves_no_container(daemon: &Daemon) {
    const BUILDS: &str = "a-build-under-ctrl-c";
    const CHECKS: &str = "a-check-under-ctrl-c";
    let program = Program::new(daemon, &template()).await;
    let serves = format!("FROM {}\nENTRYPOINT [\"/mcp-mock-server\"]\n", image::NAME);
    let never = json!({"environment_variables": {"MARK": CHECKS, "MOCK_BEHAVIOUR": "never-listens"}});
    for (mark, dockerfile, more) in [(BUILDS, hanging(BUILDS), json!({})), (CHECKS, serves, never)] {
        write_template(program.home.path(), "t-cut", &dockerfile, more);
        let mut command = program.command(&["build", "mine/t-cut"]);
        let command = command.env("MCP_IMAGE_REGISTRY", "mcp-deploy-test").env_remove("RUST_LOG");
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        while daemon.containers_with(mark).await == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert_eq!(ended.code(), Some(130));
        if mark == CHECKS {
            assert_eq!(daemon.containers_with(mark).await, 0, "it has ended and left its container");
        }
        has_no_container_of(daemon, mark).await;
    }
    forget_all(
        daemon,
        &["latest", "1.0.0"].map(|tag| format!("mcp-deploy-test/mcp-t-cut:{tag}").parse().unwrap()),
    )
    .await;
}

pub(crate) async fn no_output_of_a_push_shows_the_login(daemon: &Daemon) {
    let registry = Registry::start(true).await;
    let base = registry.with_image(daemon, "team/base", "1").await;
    let program = Program::new(daemon, &template()).await;
    let home = program.home.path();
    let config = json!({"auths": {&registry.host: login(PASSWORD)}}).to_string();
    fs::create_dir(home.join(".docker")).unwrap();
    fs::write(home.join(".docker/config.json"), config).unwrap();
    write_template(home, "t-pushed", &format!("FROM {base}\nLABEL a=b\n"), json!({}));
    let mut command =
        program.command(&["build", "mine/t-pushed", "--push", "--no-check", "--build-arg", "TOKEN=c4n4ry"]);
    let output = command.env("MCP_IMAGE_REGISTRY", format!("{}/team", registry.host)).output().unwrap();
    let told = text(&output);
    assert!(output.status.success() && told.contains("built and pushed; not checked: --no-check"), "{told}");
    assert!(told.contains("TRACE"), "it does not log: {told}");
    let encoded = login(PASSWORD)["auth"].as_str().unwrap().to_owned();
    for secret in [PASSWORD, &encoded, "c4n4ry"] {
        assert!(!told.contains(secret), "{told}");
    }
    let tags =
        ["latest", "1.0.0"].map(|tag| format!("{}/team/mcp-t-pushed:{tag}", registry.host).parse().unwrap());
    forget_all(daemon, &tags).await;
    forget_all(daemon, &[base.parse().unwrap()]).await;
}
