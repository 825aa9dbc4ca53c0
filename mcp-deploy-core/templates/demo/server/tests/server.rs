//! The server as its clients and a container platform see it: over HTTP, with settings from the environment.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rmcp::model::{CallToolRequestParams, CallToolResult, ClientConfig, ProtocolVersion};
use rmcp::service::ClientLifecycleMode::{self, Discover, Initialize};
use rmcp::service::ClientServiceExt;
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};

/// The server in a process of its own, which ends with the value.
struct Served {
    process: Child,
    address: String,
    /// What it writes to standard error after its first line.
    log: Receiver<String>,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-demo"));
    command.env_clear().env("NO_COLOR", "1").envs(variables.iter().copied()).stderr(Stdio::piped());
    command
}

fn start(variables: &[(&str, &str)]) -> Served {
    let mut process = program(variables).env("PORT", "0").spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap();
    let (_, address) = first.split_once("address=0.0.0.0").unwrap_or_else(|| panic!("{first}"));
    let address = format!("127.0.0.1{address}");
    let (sender, log) = channel();
    std::thread::spawn(move || lines.for_each(|line| _ = sender.send(line)));
    Served { process, address, log }
}

impl Served {
    async fn call(&self, era: ClientLifecycleMode, tool: &'static str, arguments: Value) -> CallToolResult {
        let transport = StreamableHttpClientTransport::from_uri(format!("http://{}/mcp", self.address));
        let client = ClientConfig::default().serve_with_lifecycle(transport, era).await.unwrap();
        let call = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
        client.call_tool(call).await.unwrap()
    }

    fn get(&self, path: &str, header: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn modern() -> ClientLifecycleMode {
    Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

fn text(result: &CallToolResult) -> &str {
    &result.content[0].as_text().unwrap().text
}

fn beside(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn both_eras_see_the_tools_that_the_template_lists() {
    let served = start(&[]);
    let promised = beside("template.json");
    for era in [modern(), Initialize] {
        let transport = StreamableHttpClientTransport::from_uri(format!("http://{}/mcp", served.address));
        let client = ClientConfig::default().serve_with_lifecycle(transport, era).await.unwrap();
        let introduction = client.peer_info().unwrap();
        let server_info = introduction.server_info.as_ref().unwrap();
        let promised_info = (promised["id"].as_str().unwrap(), promised["version"].as_str().unwrap());
        assert_eq!((server_info.name.as_str(), server_info.version.as_str()), promised_info);
        let tools = client.list_all_tools().await.unwrap();
        assert_eq!(tools.len(), promised["tools"].as_array().unwrap().len());
        for tool in promised["tools"].as_array().unwrap() {
            let served = tools.iter().find(|served| tool["name"] == *served.name).unwrap();
            assert_eq!(served.description.as_deref(), tool["description"].as_str());
            for key in ["type", "properties", "required", "additionalProperties"] {
                assert_eq!(served.input_schema[key], tool["input_schema"][key], "{key} of {}", served.name);
            }
        }
    }
}

#[tokio::test]
async fn what_the_template_says_of_its_tools_is_true() {
    let served = start(&[]);
    for test in beside("tests.json").as_array().unwrap() {
        let tool = test["tool"].as_str().unwrap().to_owned().leak();
        let result = served.call(Initialize, tool, test["arguments"].clone()).await;
        assert!(text(&result).contains(test["contains"].as_str().unwrap()), "{test}: {result:?}");
    }
}

#[tokio::test]
async fn the_settings_say_who_greets_and_how_much_is_told() {
    let name = json!({ "name": "Ada" });
    let served = start(&[("HELLO_FROM", "the team"), ("LOG_LEVEL", "debug")]);
    let hello = served.call(modern(), "say_hello", name.clone()).await;
    assert_eq!(text(&hello), "Hello, Ada! From the team.");
    let line = served.log.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(line.contains("DEBUG") && line.contains("Ada"), "{line}");

    let served = start(&[]);
    let goodbye = served.call(Initialize, "say_goodbye", name).await;
    assert_eq!(text(&goodbye), "Goodbye, Ada! From mcp-deploy.");
    assert!(served.log.recv_timeout(Duration::from_millis(200)).is_err());
    let nobody = served.call(modern(), "say_hello", json!({ "name": "" })).await;
    assert_eq!((nobody.is_error, text(&nobody)), (Some(true), "`name` is empty; say whose name it is"));
}

#[test]
fn it_tells_its_health_to_whoever_asks_and_by_itself() {
    let served = start(&[]);
    for host in ["Host: localhost", "Host: demo.mcp-servers.svc.cluster.local"] {
        assert!(served.get("/health", host).starts_with("HTTP/1.1 200"));
        assert!(served.get("/ready", host).starts_with("HTTP/1.1 200"));
    }
    assert!(served.get("/mcp", "Host: x\r\nOrigin: http://page.example").starts_with("HTTP/1.1 403"));
    let check = |port| program(&[("PORT", port)]).arg("--check").output().unwrap().status.code();
    assert_eq!(check(served.address.split_once(':').unwrap().1), Some(0));
    assert_eq!(check("1"), Some(1));
}

#[test]
fn sigterm_ends_it_at_once() {
    let mut served = start(&[]);
    assert!(served.get("/health", "Host: x").starts_with("HTTP/1.1 200"));
    let started = Instant::now();
    assert!(Command::new("kill").arg(served.process.id().to_string()).status().unwrap().success());
    assert_eq!(served.process.wait().unwrap().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}
