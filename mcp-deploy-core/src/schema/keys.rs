//! Which keys an object may have: what its schema names, wherever it names it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::pointer_token;
use crate::{Violation, Violations, nearest};

/// How many references in a row are followed: a circle of nothing else ends here.
const MAX_REFERENCES: usize = 32;

/// Complains about every key that the schema does not name, also inside objects and arrays. JSON Schema lets
/// unknown keys in where nothing forbids them; in a configuration they are misspelt.
pub(super) fn unknown(
    document: &Value,
    schema: &Value,
    object: &Map<String, Value>,
    pointer: &str,
    violations: &mut Violations,
) {
    let schema = follow(document, schema);
    // Where the schema itself forbids them, the validator complains.
    if let Some(allowed) = allowed(document, schema)
        && schema.get("additionalProperties") != Some(&Value::Bool(false))
    {
        for key in object.keys().filter(|key| !allowed.contains(*key)) {
            violations.push(unknown_key(pointer, key, allowed.iter().map(String::as_str)));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, value) in object {
        if let Some(schema) = properties.and_then(|properties| properties.get(key)) {
            unknown_inside(document, schema, value, &format!("{pointer}/{}", pointer_token(key)), violations);
        }
    }
}

fn unknown_inside(
    document: &Value,
    schema: &Value,
    value: &Value,
    pointer: &str,
    violations: &mut Violations,
) {
    let schema = follow(document, schema);
    match value {
        Value::Object(object) if schema.get("properties").is_some() => {
            unknown(document, schema, object, pointer, violations);
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items").filter(|items| items.is_object()) {
                for (index, item) in items.iter().enumerate() {
                    unknown_inside(document, schema, item, &format!("{pointer}/{index}"), violations);
                }
            }
        }
        _ => {}
    }
}

/// The violation of a key that is not known.
pub(super) fn unknown_key<'a>(
    pointer: &str,
    key: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Violation {
    let violation = Violation::new(format!("{pointer}/{}", pointer_token(key)), "is unknown");
    let names: Vec<&str> = known.clone().take(20).collect();
    match nearest(key, known) {
        Some(nearest) => violation.expected(format!("did you mean `{nearest}`?")),
        None if names.is_empty() => violation.expected("nothing can be configured here"),
        None => violation.expected(format!("known are `{}`", names.join("`, `"))),
    }
}

/// The keys that a schema names, in itself and in what it is combined of; `None` where any key is let in.
pub(super) fn allowed(document: &Value, schema: &Value) -> Option<BTreeSet<String>> {
    if *schema == Value::Bool(true) {
        return None;
    }
    let mut names = BTreeSet::new();
    collect(document, schema, &mut names, &mut Vec::new()).then_some(names)
}

/// Whether the schema is closed, all its parts included; each is looked at once.
fn collect<'a>(
    document: &'a Value,
    schema: &'a Value,
    names: &mut BTreeSet<String>,
    seen: &mut Vec<&'a Value>,
) -> bool {
    if seen.iter().any(|other| std::ptr::eq(*other, schema)) {
        return true;
    }
    seen.push(schema);
    let lets_in = |word: &str| schema.get(word).is_some_and(|value| *value != Value::Bool(false));
    if ["additionalProperties", "unevaluatedProperties", "patternProperties"].into_iter().any(lets_in) {
        return false;
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    names.extend(properties.into_iter().flat_map(Map::keys).cloned());
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    names.extend(required.filter_map(Value::as_str).map(str::to_owned));
    let referred = schema.get("$ref").and_then(|reference| resolve(document, reference.as_str()?));
    combined(schema).chain(referred).all(|part| collect(document, part, names, seen))
}

/// The schemas that a schema is combined of, all about the same value.
fn combined(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["allOf", "anyOf", "oneOf"];
    let listed = lists.into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
    let branches = ["if", "then", "else"].into_iter().filter_map(|word| schema.get(word));
    let dependent = schema.get("dependentSchemas").and_then(Value::as_object);
    listed.chain(branches).chain(dependent.into_iter().flat_map(Map::values))
}

/// What a schema is combined of, and the schemas of what its value holds, but for its named properties.
pub(super) fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let held = ["items", "additionalProperties", "unevaluatedProperties", "contains"];
    let held = held.into_iter().filter_map(|word| schema.get(word));
    let listed = schema.get("prefixItems").and_then(Value::as_array).into_iter().flatten();
    let by_pattern = schema.get("patternProperties").and_then(Value::as_object);
    combined(schema).chain(held).chain(listed).chain(by_pattern.into_iter().flat_map(Map::values))
}

/// The schema itself, or what its `$ref` inside the document stands for.
pub(super) fn follow<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..MAX_REFERENCES {
        match schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| resolve(document, Some(reference)?))
        {
            Some(target) => schema = target,
            None => return schema,
        }
    }
    schema
}

fn resolve<'a>(document: &'a Value, reference: impl Into<Option<&'a str>>) -> Option<&'a Value> {
    let pointer = reference.into()?.strip_prefix('#')?;
    document.pointer(pointer)
}
