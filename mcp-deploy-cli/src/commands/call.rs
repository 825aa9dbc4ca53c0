//! `call NAME TOOL`.

use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::probe::ToolAnswer;
use mcp_deploy_core::{DeploymentName, Tool, coerce, nearest};
use serde_json::{Map, Value};

use super::{Context, completions};
use crate::error::{Error, Result};
use crate::output::{Show, lines, show};
use crate::values;

#[derive(Args)]
pub(crate) struct Options {
    /// The deployment
    #[arg(add = ArgValueCandidates::new(completions::deployment_names))]
    name: DeploymentName,
    /// The tool
    tool: String,
    /// An argument; converted to the type that the tool's schema wants
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = values::key_value)]
    arguments: Vec<(String, String)>,
    /// All arguments, as a JSON object
    #[arg(long, value_name = "OBJECT", value_parser = values::json_object, conflicts_with = "arguments")]
    json: Option<Map<String, Value>>,
    /// How long to wait for the answer, as in `30s` or `2m`
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = values::duration)]
    timeout: Duration,
}

pub(crate) fn run(options: Options, context: &Context) -> Result<()> {
    let Options { name, tool: tool_name, arguments, json, timeout } = options;
    let (manager, backend) = (&context.manager, context.backend());
    let tools = context.wait_for(manager.tools(backend, &name))??;
    let tool = find(&tools, &tool_name, &name)?;
    let arguments = match json {
        Some(arguments) => arguments,
        None => typed(tool, arguments),
    };
    let answer = context.wait_for(manager.call(backend, &name, &tool_name, arguments, timeout))??;
    show(&answer, context.format)?;
    if answer.is_error { Err(Error::ToolFailed(tool_name)) } else { Ok(()) }
}

fn find<'a>(tools: &'a [Tool], wanted: &str, deployment: &DeploymentName) -> Result<&'a Tool> {
    if let Some(tool) = tools.iter().find(|tool| tool.name == wanted) {
        return Ok(tool);
    }
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let alternative = match nearest(wanted, names.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if names.is_empty() => "it has none".to_owned(),
        None => format!("it has `{}`", names.join("`, `")),
    };
    Err(Error::ToolNotFound { tool: wanted.to_owned(), deployment: deployment.to_string(), alternative })
}

/// The arguments in the types that the tool's schema wants.
fn typed(tool: &Tool, arguments: Vec<(String, String)>) -> Map<String, Value> {
    let schema = Value::Object(tool.input_schema.clone());
    let typed = |(key, text): (String, String)| {
        let value = coerce(&schema, &[&key], &text);
        (key, value)
    };
    arguments.into_iter().map(typed).collect()
}

impl Show for ToolAnswer {
    fn table(&self, _wide: bool) -> String {
        lines(&self.text)
    }

    /// An answer has no name: its text is what a script wants.
    fn names(&self) -> Vec<&str> {
        self.text.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool() -> Tool {
        let schema = json!({"type": "object", "properties": {"count": {"type": "integer"}, "tags": {"type": "array"}}});
        Tool {
            name: "count_words".to_owned(),
            description: None,
            input_schema: schema.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn arguments_become_what_the_schema_wants() {
        let arguments = [("count", "3"), ("tags", "a,b"), ("other", "3")];
        let arguments = arguments.map(|(key, text)| (key.to_owned(), text.to_owned()));
        let typed = typed(&tool(), arguments.into());
        assert_eq!(Value::Object(typed), json!({"count": 3, "tags": ["a", "b"], "other": "3"}));
    }

    #[test]
    fn an_unknown_tool_comes_with_the_nearest_or_with_all() {
        let deployment = "demo-one".parse().unwrap();
        let message = |wanted| find(&[tool()], wanted, &deployment).unwrap_err().to_string();
        assert_eq!(message("count_word"), "`demo-one` has no tool `count_word`; did you mean `count_words`?");
        assert_eq!(message("xyz"), "`demo-one` has no tool `xyz`; it has `count_words`");
    }
}
