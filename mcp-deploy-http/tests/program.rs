//! `mcp-deploy-server`, the program: configured by its environment alone, and ended by SIGTERM.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

/// Ended by its id when it is dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Program {
    fn start(environment: &[(&str, &str)]) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mcp-deploy-server"));
        program.env_clear().envs(environment.iter().copied()).stderr(Stdio::piped());
        Self(program.spawn().unwrap())
    }

    /// Where it serves, once it does; and the rest of its log.
    fn address(&mut self) -> (String, impl Read + use<>) {
        let mut log = BufReader::new(self.0.stderr.take().unwrap());
        loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it has ended");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["fields"]["message"] == "serving" {
                return (line["fields"]["address"].as_str().unwrap().to_owned(), log);
            }
        }
    }

    fn terminate(&self) {
        let ended = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(ended.success());
    }
}

#[tokio::test]
async fn it_is_configured_by_its_environment_and_a_file_and_finishes_what_is_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.toml");
    fs::write(&file, "backend = 'mock'\n[http]\nbind = '127.0.0.1:1'\nrate_limit = 0\n").unwrap();
    let file = file.to_str().unwrap();
    let environment = [("MCP_SETTINGS", file), ("MCP_BIND", "127.0.0.1:0"), ("MCP_LOG_FORMAT", "json")];
    let mut program = Program::start(&environment);
    let (address, mut log) = program.address();
    let client = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let deploy = client.post(format!("http://{address}/api/templates/deploy/demo/"));
    let deploying = tokio::spawn(deploy.json(&json!({"name": "demo-one"})).send());
    let metrics = async || {
        let metrics = client.get(format!("http://{address}/metrics")).send().await.unwrap();
        metrics.text().await.unwrap()
    };
    while !metrics().await.contains("mcp_deploy_deploys{backend=\"mock\"} 1") {}
    program.terminate();
    assert_eq!(deploying.await.unwrap().unwrap().status(), 201);
    let status = tokio::task::spawn_blocking(move || program.0.wait().unwrap()).await.unwrap();
    assert!(status.success(), "{status}");
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\"verb\":\"deploy\"") && rest.contains("\"outcome\":\"ok\""), "{rest}");
}

#[test]
fn what_is_wrong_with_its_settings_is_told() {
    for (name, value, told) in [
        ("MCP_BIND", "8000", "/MCP_BIND"),
        ("MCP_BIND", "0.0.0.0:0", "MCP_API_TOKENS_FILE"),
        ("MCP_DEPLOYMENT_BACKEND", "nowhere", "nowhere"),
        ("MCP_SETTINGS", "/nowhere/settings.toml", "/nowhere/settings.toml"),
    ] {
        let mut program = Program::start(&[(name, value)]);
        let mut log = String::new();
        program.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(!program.0.wait().unwrap().success() && log.contains(told), "{log}");
    }
}
