//! The binary `mcp-mock-server`, as containers run it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod wire;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use wire::post;

#[tokio::test]
async fn the_binary_honours_port_and_path_and_serves_a_template() {
    let template = tempfile::NamedTempFile::new().unwrap();
    let parameters = json!([{ "name": "city", "type": "string", "required": true }]);
    let tools = json!([{ "name": "forecast", "parameters": parameters }]);
    let written = json!({ "id": "weather", "name": "Weather", "description": "Tells it.", "version": "2.0.0", "tools": tools });
    std::fs::write(template.path(), written.to_string()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);

    let environment = [("PORT", &*port.to_string()), ("MCP_PATH", "/here")];
    let binary = Binary::start(&["--template", template.path().to_str().unwrap()], &environment);
    assert_eq!(binary.address.port(), port);
    let answer = post(binary.address, "/here", "tools/list", json!({})).await;
    let tool = &answer["result"]["tools"][0];
    assert_eq!(tool["name"], "forecast");
    assert_eq!(tool["inputSchema"]["required"], json!(["city"]));
}

#[tokio::test]
async fn the_binary_echoes_its_environment() {
    let binary = Binary::start(&["--behaviour", "echo-environment"], &[("API_KEY", "k3y")]);
    let request = json!({ "name": "environment", "arguments": {} });
    let answer = post(binary.address, "/mcp", "tools/call", request).await;
    assert_eq!(answer["result"]["structuredContent"]["API_KEY"], "k3y");
}

#[cfg(unix)]
#[test]
fn the_binary_stops_on_sigterm_though_a_client_waits() {
    let mut binary = Binary::start(&[], &[("MOCK_BEHAVIOUR", "mute")]);
    let mut waiting = std::net::TcpStream::connect(("127.0.0.1", binary.address.port())).unwrap();
    let request = b"GET /mcp HTTP/1.1\r\nHost: any\r\n\r\n";
    waiting.write_all(request).unwrap();
    let told = std::time::Instant::now();
    binary.signal("-TERM");
    assert_eq!(binary.line(), "received SIGTERM, stopping");
    assert!(binary.process.wait().unwrap().success());
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
}

#[cfg(unix)]
#[test]
fn the_binary_ignores_sigterm_when_told_to_and_still_heeds_sigint() {
    let mut binary = Binary::start(&["--behaviour=ignore-sigterm"], &[("MOCK_BEHAVIOUR", "mute")]);
    binary.signal("-TERM");
    assert_eq!(binary.line(), "received SIGTERM, ignoring it");
    binary.signal("-INT");
    assert_eq!(binary.line(), "received SIGINT, stopping");
    assert!(binary.process.wait().unwrap().success());
}

#[test]
fn the_binary_crashes_with_the_code_that_it_was_told() {
    let output = command(&["--behaviour", "crash:77"], &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(77));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "starting\nfatal: told to crash with exit code 77\n");
}

#[test]
fn the_binary_refuses_what_it_does_not_know() {
    for (arguments, port, message) in [
        ("--no-such-flag", "0", "unknown argument `--no-such-flag`"),
        ("--template", "0", "`--template` needs a value"),
        ("--behaviour crash:256", "0", "`crash:256`"),
        ("--behaviour well:1", "0", "unknown behaviour `well:1`"),
        ("--behaviour mute --transport stdio", "0", "`stdio` was given"),
        ("--behaviour well", "65536", "PORT is `65536`"),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let output = command(&arguments, &[("PORT", port)]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.starts_with("error: "), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn the_binary_over_stdio_answers_both_eras_and_ends_with_its_input() {
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{
        "protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;
    let discover = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let flags = ["--transport", "--behaviour"];
    for (opening, flag) in [initialize, discover].into_iter().zip(flags) {
        let mut command = command(&[flag, "stdio"], &[]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut input = process.stdin.take().unwrap();
        writeln!(input, "{}", opening.replace('\n', "")).unwrap();
        drop(input);
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(answer["result"]["capabilities"]["tools"].is_object(), "{answer}");
    }
}

#[test]
fn the_binary_over_stdio_ends_at_once_without_input() {
    let mut command = command(&["--behaviour", "stdio"], &[]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-mock-server"));
    command.env_remove("MCP_PATH").env_remove("MOCK_BEHAVIOUR");
    command.env("PORT", "0").args(arguments);
    command.envs(environment.iter().copied());
    command
}

/// The binary, listening; it is killed when this is dropped.
struct Binary {
    process: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Binary {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = command(arguments, environment);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut binary = Self {
            output: BufReader::new(process.stdout.take().unwrap()),
            process,
            address: ([0, 0, 0, 0], 0).into(),
        };
        let line = binary.line();
        binary.address = line.strip_prefix("listening on ").unwrap().parse().unwrap();
        binary
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[cfg(unix)]
    fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        let killed = kill.arg(signal).arg(self.process.id().to_string()).status();
        assert!(killed.unwrap().success());
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
