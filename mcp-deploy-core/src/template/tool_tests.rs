//! The calls that a template's author tries its server with.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::error::pointer_token;
use crate::{Tool, Violation, nearest};

pub(super) const FIELDS: [&str; 5] = ["tool", "arguments", "contains", "equals", "fails"];

/// A call of a tool, and what its answer has to be. Without an expectation the tool just has to succeed; of
/// several all have to hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ToolTest {
    /// The tool.
    pub tool: String,
    /// What it is called with.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "utoipa", schema(value_type = Object))]
    pub arguments: Map<String, Value>,
    /// A text that is part of the answer's text: the texts of its content, a line each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// What the answer is. A text is compared with the answer's text; any other value with its structured
    /// content, or where it has none with its text, read as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// Whether the tool has to answer that it failed; default `false`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fails: bool,
}

/// Reads `tests`. A field that nobody reads is a violation here: an expectation that is not heeded proves nothing.
pub(super) fn tool_tests(fields: &mut Fields, tools: &[Tool]) -> Vec<ToolTest> {
    let written: Vec<Value> = fields.take("tests").unwrap_or_default();
    let mut tests = Vec::new();
    for (index, value) in written.into_iter().enumerate() {
        let pointer = format!("/tests/{index}");
        match value {
            Value::Object(written) => tests.push(tool_test(&written, &pointer, fields, tools)),
            _ => fields.wrong(
                pointer,
                "is no test",
                "an object with `tool`, `arguments`, `contains`, `equals`",
            ),
        }
    }
    tests
}

fn tool_test(written: &Map<String, Value>, pointer: &str, fields: &mut Fields, tools: &[Tool]) -> ToolTest {
    let tool: Option<String> = part(written, "tool", pointer, fields);
    match &tool {
        Some(tool) => check_name(tool, &format!("{pointer}/tool"), fields, tools),
        None if written.contains_key("tool") => {}
        None => fields.wrong(format!("{pointer}/tool"), "is missing", "the name of the tool that is called"),
    }
    let contains: Option<String> = part(written, "contains", pointer, fields);
    if contains.as_deref() == Some("") {
        fields.wrong(format!("{pointer}/contains"), "is empty, which every answer contains", "a text");
    }
    let test = ToolTest {
        tool: tool.unwrap_or_default(),
        arguments: part(written, "arguments", pointer, fields).unwrap_or_default(),
        contains,
        equals: written.get("equals").cloned(),
        fails: part(written, "fails", pointer, fields).unwrap_or_default(),
    };
    for field in written.keys().filter(|field| !FIELDS.contains(&field.as_str())) {
        let unknown = Violation::new(format!("{pointer}/{}", pointer_token(field)), "is unknown");
        fields.violations.push(match nearest(field, FIELDS) {
            Some(nearest) => unknown.expected(format!("did you mean `{nearest}`?")),
            None => unknown.expected(format!("a test has `{}`", FIELDS.join("`, `"))),
        });
    }
    test
}

/// A field as a type; absent where it is none, with a violation.
fn part<T: DeserializeOwned>(
    written: &Map<String, Value>,
    field: &str,
    pointer: &str,
    fields: &mut Fields,
) -> Option<T> {
    fields.typed(written.get(field)?.clone(), &format!("{pointer}/{field}"))
}

/// A tool that the template does not promise, where it promises any, is a slip of the pen.
fn check_name(tool: &str, pointer: &str, fields: &mut Fields, tools: &[Tool]) {
    if tools.is_empty() || tools.iter().any(|known| known.name == tool) {
        return;
    }
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let expected = match nearest(tool, names.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("they are `{}`", names.join("`, `")),
    };
    fields.wrong(pointer, format!("is `{tool}`, which is none of the template's tools"), &expected);
}
