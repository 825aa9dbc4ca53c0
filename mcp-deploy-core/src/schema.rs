//! A template's `config_schema`: compiled once, asked often.

mod coerce;
mod complaint;
mod keys;

use std::collections::BTreeMap;
use std::fmt;

use jsonschema::Validator;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::document::{Typed, typed};
use crate::error::pointer_token;
use crate::{Violation, Violations};

/// What joins the items of an array, unless the template says otherwise.
const DEFAULT_SEPARATOR: &str = ",";

/// Endings of names whose values are taken for secrets, unless the template says `sensitive: false`.
pub(crate) const SECRET_ENDINGS: [&str; 4] = ["_TOKEN", "_PASSWORD", "_SECRET", "_KEY"];

/// The schema of a template's configuration: JSON Schema, draft 2020-12 or 7, whole. Nothing is ever fetched.
pub struct ConfigSchema {
    document: Value,
    validator: Validator,
    properties: BTreeMap<String, Property>,
    takes_unknown_keys: bool,
}

/// What a template says about one property beside its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The environment variable that carries it: `env_mapping`, or the name in upper snake case.
    pub env: String,
    /// What joins the items of an array: `env_separator`, default `,`.
    pub separator: String,
    /// Whether its value is a secret.
    pub sensitive: bool,
    /// Whether its value is a path of the host, to be mounted, and where.
    pub volume_mount: Option<VolumeMount>,
    /// The argument that carries it as well, as in `--log-level`.
    pub command_arg: Option<String>,
    /// What it is for, in the author's words.
    pub description: Option<String>,
}

/// Where a host path of the configuration is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeMount {
    /// Below `/mnt`, under its last part.
    BelowMnt,
    /// At this path.
    At(String),
}

/// The words of ours in a property's schema.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Extensions {
    env_mapping: Option<String>,
    env_separator: Option<String>,
    sensitive: Option<bool>,
    volume_mount: Option<Value>,
    command_arg: Option<Value>,
    description: Option<String>,
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
            violations.push(complaint::of_schema(error));
        }
        let properties = properties(&document, &mut violations);
        let takes_unknown_keys = keys::allowed(&document, &document).is_none();
        match validator {
            Ok(validator) => {
                violations.into_result(Self { document, validator, properties, takes_unknown_keys })
            }
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
        self.properties.get(key).cloned().unwrap_or_else(|| Property::of(key, Extensions::default(), None))
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

    /// Whether a key is one that the schema does not know and would let in.
    pub fn takes_unknown_keys(&self) -> bool {
        self.takes_unknown_keys
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
        let key = pointer.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~");
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

/// Whether a name is that of a secret.
pub(crate) fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether a text can name an environment variable on every platform.
pub(crate) fn is_env_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

impl Property {
    fn of(key: &str, extensions: Extensions, schema: Option<&Value>) -> Self {
        let Extensions { env_mapping, env_separator, sensitive, volume_mount, command_arg, description } =
            extensions;
        let env = env_mapping.unwrap_or_else(|| upper_snake_case(key));
        let sensitive = sensitive.unwrap_or_else(|| {
            names_a_secret(&env) || names_a_secret(key) || schema.is_some_and(sensitive_inside)
        });
        Self {
            sensitive,
            separator: env_separator.unwrap_or_else(|| DEFAULT_SEPARATOR.to_owned()),
            volume_mount: match volume_mount {
                Some(Value::Bool(true)) => Some(VolumeMount::BelowMnt),
                Some(Value::String(path)) => Some(VolumeMount::At(path)),
                _ => None,
            },
            command_arg: match command_arg {
                Some(Value::Bool(true)) => Some(format!("--{}", key.replace('_', "-"))),
                Some(Value::String(flag)) => Some(flag),
                _ => None,
            },
            env,
            description,
        }
    }
}

/// `logLevel`, `log-level` and `log_level` as `LOG_LEVEL`.
fn upper_snake_case(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    let mut after_lower = false;
    for c in key.chars() {
        if c.is_ascii_uppercase() && after_lower {
            name.push('_');
        }
        name.push(if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
        after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    name
}

/// Whether something inside an object or an array is marked as sensitive: then the whole is.
fn sensitive_inside(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => object.iter().any(|(key, value)| match (key.as_str(), value) {
            ("sensitive", Value::Bool(sensitive)) => *sensitive,
            ("default" | "enum" | "const" | "examples", _) => false,
            (_, value) => sensitive_inside(value),
        }),
        Value::Array(items) => items.iter().any(sensitive_inside),
        _ => false,
    }
}

fn properties(document: &Value, violations: &mut Violations) -> BTreeMap<String, Property> {
    let mut properties = BTreeMap::new();
    let mut carriers: BTreeMap<String, String> = BTreeMap::new();
    for (key, schema) in document.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let pointer = format!("/properties/{}", pointer_token(key));
        let Typed { result, .. } =
            typed(if schema.is_object() { schema.clone() } else { Map::new().into() }, &pointer);
        let extensions: Extensions = match result {
            Ok(extensions) => extensions,
            Err(violation) => {
                violations.push(violation);
                continue;
            }
        };
        let property = Property::of(key, extensions, Some(schema));
        check_property(&property, schema, &pointer, violations);
        if let Some(other) = carriers.insert(property.env.clone(), key.clone()) {
            let problem = format!("is carried by `{}`, and so is `{other}`", property.env);
            violations
                .push(Violation::new(pointer, problem).expected("each property has a variable of its own"));
        }
        properties.insert(key.clone(), property);
    }
    properties
}

fn check_property(property: &Property, schema: &Value, pointer: &str, violations: &mut Violations) {
    let Property { env, separator, sensitive, volume_mount, command_arg, description: _ } = property;
    if !is_env_name(env) {
        let problem = format!("would be carried by `{env}`, which is no name of an environment variable");
        violations.push(Violation::new(pointer, problem).expected("set `env_mapping`"));
    }
    if separator.is_empty() {
        violations.push(Violation::new(format!("{pointer}/env_separator"), "is empty"));
    }
    if *sensitive && command_arg.is_some() {
        violations.push(
            Violation::new(format!("{pointer}/command_arg"), "would show a secret in the arguments")
                .expected("leave it to the environment, or say `sensitive: false`"),
        );
    }
    if *sensitive && volume_mount.is_some() {
        violations.push(
            Violation::new(format!("{pointer}/volume_mount"), "would show a secret as a mount")
                .expected("a path is no secret: say `sensitive: false`"),
        );
    }
    if let Some(flag) = command_arg
        && (!flag.starts_with('-') || flag.contains(|c: char| c.is_whitespace() || c == '='))
    {
        violations.push(
            Violation::new(format!("{pointer}/command_arg"), format!("is `{flag}`"))
                .expected("a flag as in `--log-level`, or `true`"),
        );
    }
    if let Some(VolumeMount::At(path)) = volume_mount
        && !path.starts_with('/')
    {
        violations.push(
            Violation::new(format!("{pointer}/volume_mount"), format!("is `{path}`"))
                .expected("`true`, or an absolute path inside the container"),
        );
    }
    for (word, fits) in [("volume_mount", volume_mount.is_some()), ("command_arg", command_arg.is_some())] {
        if let Some(value) = schema.get(word)
            && !fits
            && !matches!(value, Value::Bool(false) | Value::Null)
        {
            violations.push(
                Violation::new(format!("{pointer}/{word}"), "is neither a boolean nor a text")
                    .expected("`true`, `false` or a text"),
            );
        }
    }
}

fn defaults(document: &Value, schema: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let property = keys::follow(document, property);
        if let Some(default) = property.get("default") {
            found.insert(key.clone(), default.clone());
        } else if !std::ptr::eq(property, schema) && property.get("$ref").is_none() {
            let inside = defaults(document, property);
            if !inside.is_empty() {
                found.insert(key.clone(), inside.into());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
