//! A server of the package's own, in a process of its own, and a client to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, ClientConfig, ProtocolVersion};
use rmcp::service::ClientLifecycleMode::{self, Discover};
use rmcp::service::{ClientServiceExt, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::Value;

/// Killed with the value, at the latest.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) process: Child,
    pub(crate) address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program, with these variables and no others.
pub(crate) fn program(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-file-server"));
    command.env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Served {
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        let mut process = program(variables).env("PORT", "0").spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let (_, address) = first.split_once("address=0.0.0.0").unwrap_or_else(|| panic!("{first}"));
        let address = format!("127.0.0.1{address}");
        // Somebody has to read on.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    pub(crate) async fn client(&self, era: ClientLifecycleMode) -> RunningService<RoleClient, ClientConfig> {
        let transport = StreamableHttpClientTransport::from_uri(format!("http://{}/mcp", self.address));
        let connecting = ClientConfig::default().serve_with_lifecycle(transport, era);
        tokio::time::timeout(Duration::from_secs(10), connecting).await.unwrap().unwrap()
    }

    /// Calls a tool: the texts of its answer, or of its error.
    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> Result<Vec<String>, String> {
        let client = self.client(modern()).await;
        let arguments = arguments.as_object().unwrap().clone();
        let call = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = client.call_tool(call).await.unwrap();
        let texts = result.content.iter().map(|block| block.as_text().unwrap().text.clone());
        if result.is_error == Some(true) { Err(texts.collect()) } else { Ok(texts.collect()) }
    }

    /// What a plain request is answered.
    pub(crate) fn get(&self, path: &str, header: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n"))
    }

    /// What a message to the MCP endpoint is answered.
    pub(crate) fn post(&self, message: &str) -> String {
        let headers = "Host: x\r\nContent-Type: application/json\r\n\
            Accept: application/json, text/event-stream\r\nConnection: close";
        let length = message.len();
        self.exchange(&format!(
            "POST /mcp HTTP/1.1\r\n{headers}\r\nContent-Length: {length}\r\n\r\n{message}"
        ))
    }

    fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // What is refused need not be read to its end.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }
}

pub(crate) fn modern() -> ClientLifecycleMode {
    Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}
