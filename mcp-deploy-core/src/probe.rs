//! Asking a server over MCP: the handshake that proves that it answers, in either era of the protocol.
//!
//! The client is rmcp's in its automatic mode: a request of revision 2026-07-28 first, `initialize` of 2025-11-25
//! where the server does not know it. Every function opens a connection of its own, and closes it.

mod sort;

use std::future::Future;
use std::time::Duration;

use reqwest::header::{HOST, HeaderValue};
use rmcp::model::{CallToolRequestParams, ClientCapabilities, ContentBlock, Implementation, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Map, Value};

use self::sort::{of_handshake, of_request};
use crate::{BoxError, Connection, Era, McpReport, ServerInfo, Tool};

/// How long the end of a session may take before its connection is just closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a server gave no MCP answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nothing answers at the address, or only to say that it is not there yet (HTTP 502, 503, 504).
    #[error("nothing answers at the address")]
    Unreachable(#[source] BoxError),
    /// The connection stands and no answer comes.
    #[error("the server took the connection and did not answer within {} ms", .0.as_millis())]
    Mute(Duration),
    /// The server refuses the host name of its own address (HTTP 403 or 421).
    #[error("the server refuses the host name of the address")]
    HostRejected(#[source] BoxError),
    /// The server wants authorization (HTTP 401 or 403).
    #[error("the server wants authorization")]
    AuthorizationRequired,
    /// Something answers, and it is not MCP.
    #[error("what answers does not speak MCP")]
    NotMcp(#[source] BoxError),
    /// The server speaks MCP and its answer is an error.
    #[error("the server answered with an error")]
    Server(#[source] BoxError),
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ToolAnswer {
    /// Whether the tool says that it failed.
    pub is_error: bool,
    /// The text of its answer; other content as JSON.
    pub text: Vec<String>,
    /// Its structured answer, where it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
}

/// Where a server is asked.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    url: &'a str,
    host: Option<&'a str>,
}

impl<'a> From<&'a str> for Address<'a> {
    fn from(url: &'a str) -> Self {
        Self { url, host: None }
    }
}

impl<'a> From<&'a String> for Address<'a> {
    fn from(url: &'a String) -> Self {
        url.as_str().into()
    }
}

/// Asked by the host by which clients call it, also through a tunnel: many servers refuse hosts that they do not
/// know.
impl<'a> From<&'a Connection> for Address<'a> {
    fn from(connection: &'a Connection) -> Self {
        Self { url: connection.url(), host: connection.host() }
    }
}

/// Asks who the server is and which tools it has. A server that wants authorization is a success: it can be
/// reached, and the report says so.
///
/// # Errors
///
/// [`ProbeError`]; at the latest after `patience`.
pub async fn probe<'a>(address: impl Into<Address<'a>>, patience: Duration) -> Result<McpReport, ProbeError> {
    let address = address.into();
    let asked = within(patience, async {
        let client = Client::connect(address).await?;
        let tools = client
            .tools()
            .await
            .map(|tools| client.report(tools.into_iter().map(|tool| tool.name).collect()));
        client.close().await;
        tools
    });
    match asked.await {
        Err(ProbeError::AuthorizationRequired) => Ok(McpReport::authorization_required()),
        answer => answer,
    }
}

/// The server's tools, all pages; none where it declares no tools.
///
/// # Errors
///
/// [`ProbeError`]; at the latest after `patience`.
pub async fn list_tools(url: &str, patience: Duration) -> Result<Vec<Tool>, ProbeError> {
    within(patience, async {
        let client = Client::connect(url.into()).await?;
        let tools = client.tools().await;
        client.close().await;
        tools
    })
    .await
}

/// Calls a tool.
///
/// # Errors
///
/// [`ProbeError`]; at the latest after `patience`. A tool that ran and failed is an answer, not an error.
pub async fn call_tool(
    url: &str,
    tool: &str,
    arguments: Map<String, Value>,
    patience: Duration,
) -> Result<ToolAnswer, ProbeError> {
    within(patience, async {
        let client = Client::connect(url.into()).await?;
        let answer = client.call(tool.to_owned(), arguments).await;
        client.close().await;
        answer
    })
    .await
}

/// Dropping what takes too long closes its connection. Boxed: a handshake is a large future, and callers hold it.
async fn within<T>(
    patience: Duration,
    asking: impl Future<Output = Result<T, ProbeError>>,
) -> Result<T, ProbeError> {
    tokio::time::timeout(patience, Box::pin(asking)).await.unwrap_or(Err(ProbeError::Mute(patience)))
}

/// Who we say that we are.
#[derive(Debug, Clone)]
struct Ourselves;

impl ClientHandler for Ourselves {
    fn get_info(&self) -> rmcp::model::ClientConfig {
        let implementation = Implementation::new("mcp-deploy", env!("CARGO_PKG_VERSION"));
        rmcp::model::ClientConfig::new(ClientCapabilities::default(), implementation)
    }
}

struct Client {
    service: RunningService<RoleClient, Ourselves>,
}

impl Client {
    async fn connect(Address { url, host }: Address<'_>) -> Result<Self, ProbeError> {
        let host = host.and_then(|host| HeaderValue::from_str(host).ok());
        // The address is ours: a proxy of the environment does not know it.
        let http = reqwest::Client::builder()
            .no_proxy()
            .default_headers(host.map(|host| (HOST, host)).into_iter().collect())
            .build()
            .map_err(|error| ProbeError::Unreachable(error.into()))?;
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let mode = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::LATEST],
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        };
        match Ourselves.serve_with_lifecycle(transport, mode).await {
            Ok(service) => Ok(Self { service }),
            Err(error) => Err(of_handshake(error)),
        }
    }

    fn report(&self, tools: Vec<String>) -> McpReport {
        let Some(info) = self.service.peer_info() else {
            return McpReport { tools, ..McpReport::default() };
        };
        let version = &info.protocol_version;
        let capabilities = serde_json::to_value(&info.capabilities).unwrap_or_default();
        McpReport {
            era: Some(if version.has_initialize() { Era::Legacy } else { Era::Modern }),
            protocol_version: Some(version.to_string()),
            server: info
                .server_info
                .as_ref()
                .map(|server| ServerInfo { name: server.name.clone(), version: server.version.clone() }),
            capabilities: capabilities.as_object().into_iter().flat_map(Map::keys).cloned().collect(),
            tools,
            authorization_required: false,
        }
    }

    async fn tools(&self) -> Result<Vec<Tool>, ProbeError> {
        if self.service.peer_info().is_none_or(|info| info.capabilities.tools.is_none()) {
            return Ok(Vec::new());
        }
        let tools = self.service.list_all_tools().await.map_err(of_request)?;
        let tool = |tool: rmcp::model::Tool| Tool {
            name: tool.name.into_owned(),
            description: tool.description.map(std::borrow::Cow::into_owned),
            input_schema: (*tool.input_schema).clone(),
        };
        Ok(tools.into_iter().map(tool).collect())
    }

    async fn call(&self, tool: String, arguments: Map<String, Value>) -> Result<ToolAnswer, ProbeError> {
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        let answer = self.service.call_tool(request).await.map_err(of_request)?;
        let text = answer.content.iter().map(|block| match block {
            ContentBlock::Text(text) => text.text.clone(),
            other => serde_json::to_string(other).unwrap_or_default(),
        });
        Ok(ToolAnswer {
            is_error: answer.is_error.unwrap_or_default(),
            text: text.collect(),
            structured: answer.structured_content,
        })
    }

    /// Ends the session, where the server keeps one.
    async fn close(mut self) {
        if let Err(error) = self.service.close_with_timeout(FAREWELL).await {
            tracing::debug!(%error, "the MCP session did not end well");
        }
    }
}
