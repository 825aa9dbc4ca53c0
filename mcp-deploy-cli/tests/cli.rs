//! The program as its users meet it. A transcript of `tests/cmd` runs in a home of its own;
//! `TRYCMD=overwrite cargo test -p mcp-deploy-cli` writes what it prints now.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "cli/readme.rs"]
mod readme;
#[path = "cli/repositories.rs"]
mod repositories;
#[path = "cli/trials.rs"]
mod trials;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use mcp_deploy_core::Settings;
use serde_json::Value;
use tempfile::TempDir;

/// Runs a transcript of `tests/cmd`.
fn check(transcript: &str) {
    check_file(&format!("tests/cmd/{transcript}.trycmd"));
}

fn check_file(file: &str) {
    let home = tempfile::tempdir().unwrap();
    let cases = trycmd::TestCases::new();
    for (name, value) in environment(home.path()) {
        cases.env(name, value);
    }
    cases.case(file);
    cases.run();
}

#[test]
fn the_tour_of_the_readme_is_what_happens() {
    check_file("../README.md");
}

#[test]
fn the_first_command_of_the_readme_prints_what_it_shows() {
    let deployed = Program::new().run(&["deploy", "demo"]);
    let told = text(&deployed.stderr).to_owned() + text(&deployed.stdout);
    let name = told.lines().find_map(|line| line.strip_prefix("NAME")).unwrap().trim();
    let readme = fs::read_to_string("../README.md").unwrap();
    let shown = told.replace(name, "demo-x7k2q");
    assert!(readme.contains(&format!("$ cargo run -- deploy demo\n{shown}")), "{shown}");
}

#[test]
fn the_readme_lists_every_setting() {
    let readme = fs::read_to_string("../README.md").unwrap();
    for variable in Settings::VARIABLES {
        assert!(readme.contains(&format!("| `{}` |", variable.name)), "{}", variable.name);
    }
}

#[test]
fn every_command_says_what_it_does() {
    check("help");
}

#[test]
fn a_deployment_lives_from_deploy_to_delete() {
    check("lifecycle");
}

#[test]
fn templates_are_listed_shown_and_checked() {
    check("templates");
}

#[test]
fn a_configuration_has_many_sources_and_its_secrets_are_not_shown() {
    check("configuration");
}

#[test]
fn bad_input_gets_a_clear_error() {
    check("bad-input");
}

#[test]
fn a_failure_explains_itself() {
    check("failure");
}

#[test]
fn the_settings_file_sets_defaults() {
    check("settings");
}

#[test]
fn json_is_a_deployment_or_a_list_of_them() {
    let program = Program::new();
    let deployed = program.json(&["deploy", "demo", "--name", "demo-one", "-o", "json"]);
    let status = program.json(&["status", "demo-one", "-o", "json"]);
    let list = program.json(&["list", "--probe", "-o", "json"]);
    assert_eq!(deployed["deployment_name"], "demo-one");
    assert_eq!(deployed["mcp"]["protocol_version"], "2026-07-28");
    assert_eq!(deployed, status);
    assert_eq!(list, Value::Array(vec![status]));
}

#[test]
fn a_derived_name_is_printed_for_scripts() {
    let program = Program::new();
    let deployed = program.run(&["deploy", "demo", "-o", "name"]);
    let name = text(&deployed.stdout);
    assert!(name.starts_with("demo-") && name.len() == "demo-x7k2q\n".len(), "{name}");
    assert!(program.run(&["delete", name.trim()]).status.success());
}

#[test]
fn stdout_is_empty_where_a_command_fails_and_json_errors_are_json() {
    let failed = Program::new().run(&["status", "demo-one", "-o", "json"]);
    assert_eq!(failed.status.code(), Some(4));
    assert_eq!(text(&failed.stdout), "");
    let error: Value = serde_json::from_slice(&failed.stderr).unwrap();
    assert_eq!(error["error"]["code"], "not_found");
}

#[test]
fn a_state_that_cannot_be_read_is_named_and_kept() {
    let program = Program::new();
    let state = program.home.path().join("mock.json");
    fs::write(&state, "{\"half").unwrap();
    for command in [&["list"][..], &["deploy", "demo"]] {
        let failed = program.run(command);
        assert_eq!(failed.status.code(), Some(1));
        let error = text(&failed.stderr);
        assert!(error.contains(&*state.to_string_lossy()), "{error}");
    }
    assert_eq!(fs::read_to_string(&state).unwrap(), "{\"half");
}

#[test]
fn a_state_that_cannot_be_written_is_named() {
    let program = Program::new();
    // No file can be below a file, not even for an administrator.
    let state = program.home.path().join("file").join("mock.json");
    fs::write(program.home.path().join("file"), "").unwrap();
    let failed = program.command(&["deploy", "demo"]).env("MCP_MOCK_STATE", &state).output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    let error = text(&failed.stderr);
    assert!(error.contains(&*state.to_string_lossy()), "{error}");
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let program = Program::new();
    assert!(program.run(&["deploy", "demo", "--name", "demo-one"]).status.success());
    for command in [&["templates", "list"][..], &["logs", "demo-one"], &["completions", "bash"]] {
        let mut child =
            program.command(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), ""), "{command:?}");
    }
}

#[test]
fn the_log_of_the_program_shows_no_secret() {
    let program = Program::new();
    let env_file = program.home.path().join("secret.env");
    fs::write(&env_file, "API_TOKEN=c4n4ry\n").unwrap();
    let deploy = ["deploy", "demo", "--name", "demo-one", "--env-file", env_file.to_str().unwrap()];
    let commands = [
        &deploy[..],
        &["status", "demo-one", "-o", "json"],
        &["call", "demo-one", "say_hello", "--arg", "name=A"],
    ];
    for command in commands {
        for format in ["text", "json"] {
            let told = program
                .command(&[command, &["--log-format", format]].concat())
                .env("RUST_LOG", "trace")
                .output();
            let told = told.unwrap();
            assert!(told.status.success() && told.stderr.len() > 500, "{}", text(&told.stderr));
            for output in [&told.stderr, &told.stdout] {
                assert!(!text(output).contains("c4n4ry"), "{command:?} shows it");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_command_that_waits() {
    let program = Program::new();
    assert!(program.run(&["deploy", "demo", "--name", "demo-one"]).status.success());
    let mut child =
        program.command(&["logs", "demo-one", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut String::new()).unwrap();
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    lines.read_to_string(&mut String::new()).unwrap();
}

#[test]
fn shells_complete_templates_and_deployments() {
    let program = Program::new();
    assert!(program.run(&["deploy", "demo", "--name", "demo-one"]).status.success());
    let complete = |words: &[&str]| {
        let arguments = [&["--", "mcp-deploy"], words].concat();
        let mut command = program.command(&arguments);
        text(&command.env("COMPLETE", "fish").output().unwrap().stdout).to_owned()
    };
    assert!(complete(&["deploy", "file"]).starts_with("file-server\t"));
    assert_eq!(complete(&["status", "demo"]), "demo-one\n");
}

/// The program, in a home of its own.
struct Program {
    home: TempDir,
}

impl Program {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-deploy"));
        command.args(arguments).envs(environment(self.home.path())).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// What keeps the program away from the real home and from the settings of whoever runs the tests; an empty
/// variable counts as absent.
fn environment(home: &Path) -> BTreeMap<&'static str, String> {
    let file = |name: &str| home.join(name).to_string_lossy().into_owned();
    let mut environment = BTreeMap::from([("COLUMNS", "100".to_owned()), ("API_KEY", "s3cret".to_owned())]);
    environment.extend(["MCP_SETTINGS", "RUST_LOG"].map(|name| (name, String::new())));
    environment.extend(
        ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "APPDATA"]
            .map(|name| (name, file(""))),
    );
    environment.extend(Settings::VARIABLES.iter().map(|variable| (variable.name, String::new())));
    environment.insert("MCP_MOCK_STATE", file("mock.json"));
    environment.insert("DOCKER_HOST", "unix:///no/such/docker.sock".to_owned());
    environment
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[cfg(unix)]
#[test]
fn what_is_served_answers_and_ends_with_sigterm() {
    let program = Program::new();
    let mut child = program
        .command(&["serve", "--bind", "127.0.0.1:0", "--backend", "mock"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = told.find(|line| line.starts_with("serving http://")).unwrap();
    let address = line.trim_start_matches("serving http://").split('/').next().unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{\"status\":\"ok\"}"), "{answer}");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_server_for_others_without_tokens_is_refused() {
    let program = Program::new();
    let refused = program.run(&["serve", "--bind", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stderr).contains("MCP_API_TOKENS_FILE"), "{}", text(&refused.stderr));
}
