//! Text from a command line or an env file, as the type that the schema wants.

use serde_json::{Map, Value};

use super::keys::follow;

/// `text` as the type of the value at `path`.
pub(super) fn coerce(document: &Value, path: &[&str], text: &str, separator: &str) -> Value {
    let schema =
        path.iter().try_fold(document, |schema, key| follow(document, schema).get("properties")?.get(*key));
    match schema {
        Some(schema) => as_type(document, follow(document, schema), text, separator),
        None => Value::String(text.to_owned()),
    }
}

/// The value that `text` stands for: the first type that takes it, text itself last.
fn as_type(document: &Value, schema: &Value, text: &str, separator: &str) -> Value {
    let mut types = Vec::new();
    collect_types(document, schema, &mut types, &mut Vec::new());
    let meant: Option<Value> = serde_json::from_str(text).ok();
    let choices =
        schema.get("enum").and_then(Value::as_array).into_iter().flatten().chain(schema.get("const"));
    for choice in choices {
        if choice.as_str() == Some(text) || (types.is_empty() && meant.as_ref() == Some(choice)) {
            return choice.clone();
        }
    }
    let takes = |name: &str| types.contains(&name);
    if takes("boolean") && matches!(text, "true" | "false") {
        return Value::Bool(text == "true");
    }
    if (takes("integer") || takes("number"))
        && let Ok(number @ Value::Number(_)) = serde_json::from_str(text)
    {
        return number;
    }
    if takes("null") && text == "null" {
        return Value::Null;
    }
    if takes("object")
        && let Ok(object @ Value::Object(_)) = serde_json::from_str(text)
    {
        return object;
    }
    if takes("array") && !takes("string") {
        return as_array(document, schema, text, separator);
    }
    Value::String(text.to_owned())
}

/// A JSON array, or items between separators; an empty text is an empty array.
fn as_array(document: &Value, schema: &Value, text: &str, separator: &str) -> Value {
    if let Ok(array @ Value::Array(_)) = serde_json::from_str(text) {
        return array;
    }
    if text.is_empty() {
        return Value::Array(Vec::new());
    }
    let anything = Value::Object(Map::new());
    let item = schema.get("items").map_or(&anything, |items| follow(document, items));
    text.split(separator).map(|part| as_type(document, item, part.trim(), separator)).collect()
}

/// The names of the types that a schema allows, also by what it is combined of; each part is looked at once.
fn collect_types<'a>(
    document: &'a Value,
    schema: &'a Value,
    types: &mut Vec<&'a str>,
    seen: &mut Vec<&'a Value>,
) {
    let schema = follow(document, schema);
    if seen.iter().any(|other| std::ptr::eq(*other, schema)) {
        return;
    }
    seen.push(schema);
    match schema.get("type") {
        Some(Value::String(name)) => types.push(name),
        Some(Value::Array(names)) => types.extend(names.iter().filter_map(Value::as_str)),
        _ => {}
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        for part in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
            collect_types(document, part, types, seen);
        }
    }
}
