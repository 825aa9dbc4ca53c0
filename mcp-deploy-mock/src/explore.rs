//! Tools by which a server tells what its surroundings let it do, for tests of real platforms.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mcp_deploy_core::Tool;
use serde_json::{Map, Value, json};

/// How long an address may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
const MEGABYTE: usize = 1_000_000;

/// What a tool does: its answer, or why it was refused.
pub(crate) type Run = fn(&Map<String, Value>) -> Result<Value, String>;

/// The tools, each with what it does.
pub(crate) fn tools() -> Vec<(Tool, Run)> {
    vec![
        (tool("read", "Reads a file", &[("path", "string")]), read),
        (tool("write", "Writes a file", &[("path", "string"), ("text", "string")]), write),
        (tool("reach", "Opens a TCP connection", &[("address", "string")]), reach),
        (
            tool("spawn", "Starts processes, counts those that started, ends them", &[("count", "integer")]),
            spawn,
        ),
        (tool("allocate", "Uses memory", &[("megabytes", "integer")]), allocate),
    ]
}

fn tool(name: &str, description: &str, arguments: &[(&str, &str)]) -> Tool {
    let properties: Map<String, Value> =
        arguments.iter().map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind }))).collect();
    let required: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    Tool {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        input_schema: schema.as_object().cloned().unwrap_or_default(),
    }
}

fn text<'a>(arguments: &'a Map<String, Value>, name: &str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(arguments: &Map<String, Value>, name: &str) -> usize {
    let number = arguments.get(name).and_then(Value::as_u64).unwrap_or_default();
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn read(arguments: &Map<String, Value>) -> Result<Value, String> {
    let text = fs::read_to_string(text(arguments, "path")).map_err(|error| error.to_string())?;
    Ok(json!({ "text": text }))
}

fn write(arguments: &Map<String, Value>) -> Result<Value, String> {
    let (path, text) = (text(arguments, "path"), text(arguments, "text"));
    fs::write(path, text).map_err(|error| error.to_string())?;
    Ok(json!({ "written": text.len() }))
}

fn reach(arguments: &Map<String, Value>) -> Result<Value, String> {
    let address: SocketAddr =
        text(arguments, "address").parse().map_err(|_| "that is no address".to_owned())?;
    TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| error.to_string())?;
    Ok(json!({ "reached": address.to_string() }))
}

fn spawn(arguments: &Map<String, Value>) -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let start = || {
        let mut command = Command::new(&program);
        command.args(["--behaviour", "never-listens"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    };
    let mut children: Vec<Child> = Vec::new();
    let mut refused = Value::Null;
    for _ in 0..number(arguments, "count") {
        match start() {
            Ok(child) => children.push(child),
            Err(error) => {
                refused = json!(error.to_string());
                break;
            }
        }
    }
    let started = children.len();
    for mut child in children {
        let _ = child.kill().and_then(|()| child.wait());
    }
    Ok(json!({ "started": started, "refused": refused }))
}

#[expect(clippy::unnecessary_wraps, reason = "the system refuses it by ending the process")]
fn allocate(arguments: &Map<String, Value>) -> Result<Value, String> {
    // Not zero: a page of zeros takes no memory until it is written.
    let memory = vec![1_u8; number(arguments, "megabytes").saturating_mul(MEGABYTE)];
    Ok(json!({ "bytes": std::hint::black_box(memory).len() }))
}
