//! An MCP server made from the tools of a template: it lists them, checks arguments, and echoes calls.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use jsonschema::Validator;
use mcp_deploy_core::{BoxError, Tool};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsRequestMethod, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    ToolsCapability,
};
use rmcp::service::{RequestContext, ServerInitializeError, serve_server};
use rmcp::transport::io::stdio_pipes;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value, json};

use crate::explore;

/// How many tools one answer to `tools/list` holds.
const PAGE: usize = 50;

/// What a mock server says of itself, and the tools that it has.
///
/// `Debug` shows the names of environment variables and never their values.
#[derive(Clone)]
pub struct ServerProfile {
    /// The name that it introduces itself with.
    pub name: String,
    /// The version that it introduces itself with.
    pub version: String,
    /// Its tools: a call whose arguments fit the schema is answered with the name and the arguments.
    pub tools: Vec<Tool>,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// Whether a further tool, `environment`, answers all environment variables, secret ones too; it takes
    /// the place of a tool of this name. Default off.
    pub echo_environment: bool,
    /// Whether further tools tell what its surroundings let it do: `read` and `write` files, `reach` an address,
    /// `spawn` processes, `allocate` memory. For tests of real platforms; default off.
    pub explores: bool,
}

impl fmt::Debug for ServerProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, tools, environment, echo_environment, explores } = self;
        f.debug_struct("ServerProfile")
            .field("name", name)
            .field("version", version)
            .field("tools", tools)
            .field("environment", &environment.keys())
            .field("echo_environment", echo_environment)
            .field("explores", explores)
            .finish()
    }
}

/// Serves over standard input and output, until the input is at its end.
///
/// It answers both the modern (2026-07-28) and the legacy opening of MCP's stdio transport.
///
/// # Errors
///
/// When the client opens with anything else.
pub async fn serve_stdio(profile: ServerProfile) -> Result<(), BoxError> {
    match serve_server(ProfileHandler::new(profile), stdio_pipes()).await {
        Ok(service) => {
            service.waiting().await?;
            Ok(())
        }
        // The input ended before a first message: how it goes in a container without one.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A profile, ready to answer requests of either era.
#[derive(Clone)]
pub(crate) struct ProfileHandler {
    info: Arc<ServerConfig>,
    tools: Arc<[ServedTool]>,
}

impl ProfileHandler {
    pub(crate) fn new(profile: ServerProfile) -> Self {
        let ServerProfile { name, version, mut tools, environment, echo_environment, explores } = profile;
        if echo_environment {
            tools.retain(|tool| tool.name != "environment");
        }
        let mut tools: Vec<ServedTool> =
            tools.into_iter().map(|tool| ServedTool::new(tool, Answer::Call)).collect();
        if echo_environment {
            tools.push(ServedTool::environment(&environment));
        }
        if explores {
            tools.extend(
                explore::tools().into_iter().map(|(tool, run)| ServedTool::new(tool, Answer::Run(run))),
            );
        }
        let mut capabilities = ServerCapabilities::default();
        if !tools.is_empty() {
            capabilities.tools = Some(ToolsCapability::default());
        }
        let info = ServerConfig::new(capabilities).with_server_info(Implementation::new(name, version));
        Self { info: Arc::new(info), tools: tools.into() }
    }

    fn find(&self, name: &str) -> Option<&ServedTool> {
        self.tools.iter().find(|tool| tool.definition.name == name)
    }
}

impl ServerHandler for ProfileHandler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::clone(&self.info)
    }

    fn get_tool(&self, name: &str) -> Option<rmcp::model::Tool> {
        self.find(name).map(|tool| tool.definition.clone())
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if self.tools.is_empty() {
            return Err(ErrorData::method_not_found::<ListToolsRequestMethod>());
        }
        page(&self.tools, request.and_then(|request| request.cursor).as_deref())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = self.find(&request.name) else {
            let message = format!("unknown tool `{}`; `tools/list` has those there are", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        Ok(tool.call(request.arguments.unwrap_or_default()).into())
    }
}

/// The tools from the cursor on, which is the number of those before it.
fn page(tools: &[ServedTool], cursor: Option<&str>) -> Result<ListToolsResult, ErrorData> {
    let start: usize = cursor
        .map_or(Ok(0), str::parse)
        .ok()
        .filter(|start| *start < tools.len())
        .ok_or_else(|| ErrorData::invalid_params("the cursor is not one that `tools/list` gave", None))?;
    let end = tools.len().min(start + PAGE);
    let definitions = tools[start..end].iter().map(|tool| tool.definition.clone());
    let mut result = ListToolsResult::with_all_items(definitions.collect());
    result.next_cursor = (end < tools.len()).then(|| end.to_string());
    Ok(result)
}

struct ServedTool {
    definition: rmcp::model::Tool,
    answer: Answer,
    /// Compiled at the first call: many servers are started, few are called.
    validator: OnceLock<Result<Validator, String>>,
}

enum Answer {
    /// The name of the tool and its arguments.
    Call,
    /// This, whatever the arguments.
    Fixed(Value),
    /// What comes of doing it.
    Run(explore::Run),
}

impl ServedTool {
    fn new(tool: Tool, answer: Answer) -> Self {
        let Tool { name, description, input_schema } = tool;
        Self {
            definition: rmcp::model::Tool::new_with_raw(name, description.map(Into::into), input_schema),
            answer,
            validator: OnceLock::new(),
        }
    }

    fn environment(environment: &BTreeMap<String, String>) -> Self {
        let no_arguments = [("type", json!("object")), ("additionalProperties", json!(false))];
        let tool = Tool {
            name: "environment".to_owned(),
            description: Some("Answers the environment variables of the server".to_owned()),
            input_schema: no_arguments.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        };
        Self::new(tool, Answer::Fixed(json!(environment)))
    }

    fn call(&self, arguments: Map<String, Value>) -> CallToolResult {
        let arguments = Value::Object(arguments);
        if let Err(problem) = self.check(&arguments) {
            return CallToolResult::error(vec![ContentBlock::text(problem)]);
        }
        let answer = match &self.answer {
            Answer::Call => Ok(json!({ "tool": self.definition.name, "arguments": arguments })),
            Answer::Fixed(answer) => Ok(answer.clone()),
            Answer::Run(run) => run(arguments.as_object().unwrap_or(&Map::new())),
        };
        match answer {
            Ok(answer) => CallToolResult::structured(answer),
            Err(refused) => CallToolResult::error(vec![ContentBlock::text(refused)]),
        }
    }

    /// Checks arguments against the schema; the error lists everything that is wrong.
    fn check(&self, arguments: &Value) -> Result<(), String> {
        let name = &self.definition.name;
        let validator = self
            .validator
            .get_or_init(|| compile(&self.definition.input_schema))
            .as_ref()
            .map_err(|reason| format!("the input schema of `{name}` is not a JSON Schema: {reason}"))?;
        let violations: Vec<String> = validator
            .iter_errors(arguments)
            .map(|error| match error.instance_path().as_str() {
                "" => format!("- {error}"),
                path => format!("- {path}: {error}"),
            })
            .collect();
        if violations.is_empty() {
            return Ok(());
        }
        Err(format!("the arguments of `{name}` do not fit its input schema:\n{}", violations.join("\n")))
    }
}

fn compile(schema: &Map<String, Value>) -> Result<Validator, String> {
    jsonschema::options().build(&Value::Object(schema.clone())).map_err(|error| error.to_string())
}
