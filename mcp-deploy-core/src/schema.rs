//! A template's `config_schema`: compiled once, asked often.

mod coerce;
mod complaint;
mod keys;
mod property;

use std::collections::BTreeMap;
use std::fmt;

use jsonschema::Validator;
use serde_json::{Map, Value};

#[cfg(test)]
pub(crate) use self::property::Extensions;
pub use self::property::{Property, VolumeMount};
pub(crate) use self::property::{is_env_name, names_a_secret};
use crate::error::first_key;
use crate::{Violation, Violations};

/// What joins the items of an array, unless the template says otherwise.
const DEFAULT_SEPARATOR: &str = ",";

/// The schema of a template's configuration: JSON Schema, draft 2020-12 or 7, whole. Nothing is ever fetched.
pub struct ConfigSchema {
    document: Value,
    validator: Validator,
    properties: BTreeMap<String, Property>,
}

impl ConfigSchema {
    /// Compiles a schema.
    ///
    /// # Errors
    ///
    /// Every rule that it breaks, pointers relative to the schema: an invalid schema, a `$ref` that leaves the
    /// document, a property whose `sensitive` value would be an argument, two properties for one variable.
    pub fn compile(document: Value) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        if !(document.is_object() || document.is_boolean()) {
            violations.push(Violation::new("", "is no schema").expected("an object"));
            return Err(violations);
        }
        let validator = jsonschema::options().offline().should_validate_formats(true).build(&document);
        if let Err(error) = &validator {
            complaint::of_schema(&document, error, &mut violations);
        }
        let properties = property::read_all(&document, &mut violations);
        match validator {
            Ok(validator) => violations.into_result(Self { document, validator, properties }),
            Err(_) => Err(violations),
        }
    }

    /// The schema as it was written.
    pub fn as_value(&self) -> &Value {
        &self.document
    }

    /// The properties at the top, by name.
    pub fn properties(&self) -> &BTreeMap<String, Property> {
        &self.properties
    }

    /// The property of a key; one made from the key alone where the schema lets unknown keys in.
    pub fn property(&self, key: &str) -> Property {
        self.properties.get(key).cloned().unwrap_or_else(|| Property::unknown(key))
    }

    /// The names of the required properties at the top that a configuration lacks.
    pub(crate) fn missing(&self, configuration: &Map<String, Value>) -> Vec<&str> {
        let required = self.document.get("required").and_then(Value::as_array).into_iter().flatten();
        required.filter_map(Value::as_str).filter(|key| !configuration.contains_key(*key)).collect()
    }

    /// The defaults of the properties at the top, and of those inside objects that have some.
    pub fn defaults(&self) -> Map<String, Value> {
        defaults(&self.document, &self.document)
    }

    /// `text` as the type that the schema gives to the value at `path`; text that is none stays text, for
    /// the validation to say so.
    pub fn coerce(&self, path: &[&str], text: &str) -> Value {
        let separator =
            path.first().map_or_else(|| DEFAULT_SEPARATOR.to_owned(), |key| self.property(key).separator);
        coerce::coerce(&self.document, path, text, &separator)
    }

    /// Every rule that a configuration breaks, with pointers into it. Values of sensitive properties are
    /// not in the messages.
    pub fn validate(&self, configuration: &Map<String, Value>) -> Violations {
        let mut violations = Violations::default();
        keys::unknown(&self.document, &self.document, configuration, "", &mut violations);
        let configuration = Value::Object(configuration.clone());
        for error in self.validator.iter_errors(&configuration) {
            let pointer = error.instance_path().as_str();
            let sensitive = self.sensitive_key(pointer);
            for violation in complaint::of_value(&error, sensitive, &self.properties) {
                violations.push(violation);
            }
        }
        violations
    }

    fn sensitive_key(&self, pointer: &str) -> bool {
        let key = first_key(pointer);
        // An error about the whole, or an unknown key, may quote any value.
        key.is_empty() || self.property(&key).sensitive
    }
}

impl fmt::Debug for ConfigSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigSchema").field("properties", &self.properties).finish_non_exhaustive()
    }
}

/// `text` as the type that a JSON Schema gives to the value at `path`; text that is none stays text. Items of an
/// array are separated by `,`.
///
/// ```
/// let schema = serde_json::json!({"properties": {"count": {"type": "integer"}}});
/// assert_eq!(mcp_deploy_core::coerce(&schema, &["count"], "3"), 3);
/// assert_eq!(mcp_deploy_core::coerce(&schema, &["count"], "many"), "many");
/// ```
pub fn coerce(schema: &Value, path: &[&str], text: &str) -> Value {
    coerce::coerce(schema, path, text, DEFAULT_SEPARATOR)
}

/// Defaults inside objects count where the objects are written in place: behind a `$ref` there may be circles.
fn defaults(document: &Value, schema: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(default) =
            property.get("default").or_else(|| keys::follow(document, property).get("default"))
        {
            found.insert(key.clone(), default.clone());
            continue;
        }
        let inside = defaults(document, property);
        if !inside.is_empty() {
            found.insert(key.clone(), inside.into());
        }
    }
    found
}

#[cfg(test)]
mod tests;
