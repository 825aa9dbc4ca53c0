//! The fields of a document while they are read, and notes on what is wrong with them.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::document::{Typed, typed};
use crate::error::pointer_token;
use crate::{Violation, Violations, nearest};

/// The fields of a template while they are read: what is taken is known, what is left over is not.
pub(super) struct Fields {
    left: Map<String, Value>,
    known: Vec<&'static str>,
    pub(super) violations: Violations,
    warnings: Violations,
}

impl Fields {
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self {
            left: fields,
            known: Vec::new(),
            violations: Violations::default(),
            warnings: Violations::default(),
        }
    }

    /// Takes a field as it is; `null` is absent.
    pub(super) fn raw(&mut self, field: &'static str) -> Option<Value> {
        self.known.push(field);
        self.left.remove(field).filter(|value| !value.is_null())
    }

    /// Takes a field as a type; absent where it is none, with a violation.
    pub(super) fn take<T: DeserializeOwned>(&mut self, field: &'static str) -> Option<T> {
        let value = self.raw(field)?;
        self.typed(value, &format!("/{field}"))
    }

    /// A part as a type, with notes on what is wrong and what was not read.
    pub(super) fn typed<T: DeserializeOwned>(&mut self, value: Value, pointer: &str) -> Option<T> {
        let Typed { result, ignored } = typed(value, pointer);
        for pointer in ignored {
            self.warnings.push(Violation::new(pointer, "is unknown and was not read"));
        }
        result.map_err(|violation| self.violations.push(violation)).ok()
    }

    /// Takes a text that must be there and say something.
    pub(super) fn required(&mut self, field: &'static str, what: &str) -> String {
        let pointer = format!("/{field}");
        let Some(value) = self.raw(field) else {
            self.violations.push(Violation::new(pointer, "is missing").expected(what));
            return String::new();
        };
        match self.typed::<String>(value, &pointer) {
            Some(text) if text.trim().is_empty() => {
                self.violations.push(Violation::new(pointer, "is empty").expected(what));
                text
            }
            text => text.unwrap_or_default(),
        }
    }

    pub(super) fn wrong(&mut self, pointer: impl Into<String>, problem: impl Into<String>, expected: &str) {
        self.violations.push(Violation::new(pointer, problem).expected(expected));
    }

    /// The names of all fields that were asked for.
    #[cfg(test)]
    pub(super) fn known(self) -> Vec<&'static str> {
        self.known
    }

    /// What is wrong, and what nobody read.
    pub(super) fn notes(mut self) -> (Violations, Violations) {
        for field in self.left.keys() {
            let warning = Violation::new(format!("/{}", pointer_token(field)), "is unknown and was not read");
            self.warnings.push(match nearest(field, self.known.iter().copied()) {
                Some(nearest) => warning.expected(format!("did you mean `{nearest}`?")),
                None => warning,
            });
        }
        (self.violations, self.warnings)
    }
}

/// A scalar as text; `null` is the empty text, as an unset default in the wild.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
