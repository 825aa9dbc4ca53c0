//! The validator's errors in our words: what is wrong, and what would be right.

use std::collections::BTreeMap;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::{Property, keys};
use crate::error::{count, pointer_token};
use crate::{Violation, Violations};

/// What is wrong with a schema: all that the schema of schemas finds, or what kept it from being compiled.
pub(super) fn of_schema(document: &Value, error: &ValidationError<'_>, violations: &mut Violations) {
    if let Kind::Referencing(reason) = error.kind() {
        let violation = Violation::new("", format!("has a `$ref` that leads nowhere: {reason}"));
        violations.push(
            violation.expected("references inside the document, as in `#/$defs/name`; nothing is fetched"),
        );
        return;
    }
    let before = violations.len();
    if let Ok(rules) = jsonschema::meta::validator_for(document) {
        for error in rules.iter_errors(document) {
            violations.push(of_rule(&error));
        }
    }
    if violations.len() == before {
        violations.push(of_rule(error));
    }
}

fn of_rule(error: &ValidationError<'_>) -> Violation {
    let (problem, expected) = wording(error, false);
    let violation =
        Violation::new(error.instance_path().as_str(), format!("is no valid JSON Schema: {problem}"));
    if expected.is_empty() { violation } else { violation.expected(expected) }
}

/// What is wrong with a value; without the value itself where it is `sensitive`.
pub(super) fn of_value(
    error: &ValidationError<'_>,
    sensitive: bool,
    properties: &BTreeMap<String, Property>,
) -> Vec<Violation> {
    let pointer = error.instance_path().as_str();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known: Vec<&str> =
                if pointer.is_empty() { properties.keys().map(String::as_str).collect() } else { Vec::new() };
            unexpected.iter().map(|key| keys::unknown_key(pointer, key, known.iter().copied())).collect()
        }
        Kind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let violation = Violation::new(format!("{pointer}/{}", pointer_token(key)), "is missing");
            let description = properties.get(key).filter(|_| pointer.is_empty());
            vec![match description.and_then(|property| property.description.as_deref()) {
                Some(description) => {
                    violation.expected(format!("it is required: {}", description.trim_end_matches('.')))
                }
                None => violation.expected("it is required"),
            }]
        }
        _ => {
            let (problem, expected) = wording(error, sensitive);
            let violation = Violation::new(pointer, problem);
            vec![if expected.is_empty() { violation } else { violation.expected(expected) }]
        }
    }
}

/// The problem, as a phrase that follows the place, and what would be right.
fn wording(error: &ValidationError<'_>, sensitive: bool) -> (String, String) {
    let found =
        if sensitive { "is not accepted".to_owned() } else { format!("is {}", shown(error.instance())) };
    let expected = match error.kind() {
        Kind::Enum { options } => {
            let options =
                options.as_array().map_or_else(Vec::new, |options| options.iter().map(shown).collect());
            format!("one of {}", options.join(", "))
        }
        Kind::Constant { expected_value } => shown(expected_value),
        Kind::Type { kind } => format!("expected {}", types(kind)),
        Kind::Minimum { limit } => format!("at least {limit}"),
        Kind::Maximum { limit } => format!("at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("at least {}", count(*limit, "character")),
        Kind::MaxLength { limit } => format!("at most {}", count(*limit, "character")),
        Kind::MinItems { limit } => format!("at least {}", count(*limit, "item")),
        Kind::MaxItems { limit } => format!("at most {}", count(*limit, "item")),
        Kind::MinProperties { limit } => format!("at least {limit} entries"),
        Kind::MaxProperties { limit } => format!("at most {limit} entries"),
        Kind::UniqueItems => "items that differ".to_owned(),
        Kind::Pattern { pattern } => format!("a text that matches `{pattern}`"),
        Kind::Format { format } => format!("a text in the format `{format}`"),
        Kind::FalseSchema => "nothing may stand here".to_owned(),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            format!("one of these forms: {}", forms(context, sensitive))
        }
        Kind::OneOfMultipleValid { .. } => {
            return ("fits more than one of the allowed forms".to_owned(), "exactly one".to_owned());
        }
        Kind::Not { .. } => "not of the form that the schema excludes".to_owned(),
        Kind::PropertyNames { .. } => "other names of its entries".to_owned(),
        _ if sensitive => format!("what `{}` asks for", error.kind().keyword()),
        _ => return (format!("is wrong: {error}"), String::new()),
    };
    (found, expected)
}

/// What each form would have wanted.
fn forms(context: &[Vec<ValidationError<'static>>], sensitive: bool) -> String {
    let forms: Vec<String> = context
        .iter()
        .map(|errors| {
            let wants: Vec<String> = errors
                .iter()
                .map(|error| match error.kind() {
                    Kind::Required { property } => {
                        format!("with `{}`", property.as_str().unwrap_or_default())
                    }
                    _ => wording(error, sensitive).1,
                })
                .collect();
            wants.join(" and ")
        })
        .collect();
    forms.join("; or ")
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => format!("{} {kind}", article(&kind.to_string())),
        TypeKind::Multiple(kinds) => kinds
            .iter()
            .map(|kind| format!("{} {kind}", article(&kind.to_string())))
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'i', 'o']) { "an" } else { "a" }
}

/// A value as people write it, cut where it is long.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
