//! The tools that a template promises, in the forms that are found.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::fields::Fields;
use crate::Tool;

#[derive(Deserialize)]
pub(super) struct Written {
    name: String,
    description: Option<String>,
    #[serde(alias = "inputSchema")]
    input_schema: Option<Map<String, Value>>,
    parameters: Option<Value>,
}

/// Reads `tools`: arguments as a JSON Schema (`input_schema`, `inputSchema`, or `parameters` in that shape) or
/// as a list of `parameters`.
pub(super) fn tools(fields: &mut Fields) -> Vec<Tool> {
    let written: Vec<Value> = fields.take("tools").unwrap_or_default();
    let mut names = BTreeSet::new();
    let mut tools = Vec::new();
    for (index, value) in written.into_iter().enumerate() {
        let pointer = format!("/tools/{index}");
        let Some(Written { name, description, input_schema, parameters }) = fields.typed(value, &pointer)
        else {
            continue;
        };
        if name.is_empty() || !names.insert(name.clone()) {
            fields.wrong(format!("{pointer}/name"), format!("is `{name}`"), "a name of its own");
        }
        let input_schema = match (input_schema, parameters) {
            (Some(schema), _) => schema,
            (None, Some(parameters)) => from_parameters(parameters, &format!("{pointer}/parameters"), fields),
            (None, None) => object_schema(Map::new(), Vec::new()),
        };
        if let Err(error) = jsonschema::options().offline().build(&Value::Object(input_schema.clone())) {
            fields.wrong(
                pointer,
                format!("has arguments that are no valid JSON Schema: {error}"),
                "a JSON Schema",
            );
        }
        tools.push(Tool { name, description, input_schema });
    }
    tools
}

fn from_parameters(parameters: Value, pointer: &str, fields: &mut Fields) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    match parameters {
        Value::Object(schema) if schema.contains_key("type") || schema.contains_key("properties") => {
            return schema;
        }
        Value::Object(named) => properties = named,
        Value::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                match parameter(item) {
                    Some((name, schema, is_required)) => {
                        if is_required {
                            required.push(Value::String(name.clone()));
                        }
                        properties.insert(name, schema);
                    }
                    None => fields.wrong(
                        format!("{pointer}/{index}"),
                        "is no parameter",
                        "an object with `name`, `type`, `description`, `required`",
                    ),
                }
            }
        }
        _ => fields.wrong(pointer, "is no list of parameters", "a list, or a JSON Schema"),
    }
    object_schema(properties, required)
}

/// The name of a parameter, its schema, and whether it is required.
fn parameter(item: Value) -> Option<(String, Value, bool)> {
    let Value::Object(mut schema) = item else {
        return None;
    };
    let Some(Value::String(name)) = schema.remove("name") else {
        return None;
    };
    let required = schema
        .remove("required")
        .or_else(|| schema.remove("optional").map(|optional| json!(optional == false)));
    Some((name, Value::Object(schema), required.is_some_and(|required| required == true)))
}

fn object_schema(properties: Map<String, Value>, required: Vec<Value>) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::Array(required));
    }
    schema
}
