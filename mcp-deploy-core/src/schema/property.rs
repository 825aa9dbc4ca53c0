//! What a template says about a property beside its schema.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{DEFAULT_SEPARATOR, keys};
use crate::document::typed;
use crate::error::pointer_token;
use crate::{Violation, Violations};

/// Endings of names whose values are taken for secrets, unless the template says `sensitive: false`.
const SECRET_ENDINGS: [&str; 4] = ["_TOKEN", "_PASSWORD", "_SECRET", "_KEY"];

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
pub(crate) struct Extensions {
    env_mapping: Option<String>,
    env_separator: Option<String>,
    sensitive: Option<bool>,
    volume_mount: Option<Value>,
    command_arg: Option<Value>,
    description: Option<String>,
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
    /// A property that no schema names.
    pub(super) fn unknown(key: &str) -> Self {
        Self::of(key, Extensions::default(), false)
    }

    fn of(key: &str, extensions: Extensions, secret_inside: bool) -> Self {
        let Extensions { env_mapping, env_separator, sensitive, volume_mount, command_arg, description } =
            extensions;
        let env = env_mapping.unwrap_or_else(|| upper_snake_case(key));
        let sensitive =
            sensitive.unwrap_or_else(|| names_a_secret(&env) || names_a_secret(key) || secret_inside);
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

/// Whether something inside an object or an array is a secret: then the whole is.
fn secret_inside<'a>(document: &'a Value, schema: &'a Value, seen: &mut Vec<&'a Value>) -> bool {
    let schema = keys::follow(document, schema);
    if seen.iter().any(|other| std::ptr::eq(*other, schema)) {
        return false;
    }
    seen.push(schema);
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut inside = properties
        .map(|(key, property)| (Some(key), property))
        .chain(keys::parts(schema).map(|part| (None, part)));
    inside.any(|(key, part)| match keys::follow(document, part).get("sensitive") {
        Some(Value::Bool(sensitive)) => *sensitive,
        _ => key.is_some_and(|key| names_a_secret(key)) || secret_inside(document, part, seen),
    })
}

/// Reads what the properties at the top say beside their schemas.
pub(super) fn read_all(document: &Value, violations: &mut Violations) -> BTreeMap<String, Property> {
    let mut properties = BTreeMap::new();
    let mut carriers: BTreeMap<String, String> = BTreeMap::new();
    for (key, schema) in document.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let pointer = format!("/properties/{}", pointer_token(key));
        let extensions = match typed(words(document, schema), &pointer).result {
            Ok(extensions) => extensions,
            Err(violation) => {
                violations.push(violation);
                continue;
            }
        };
        let property = Property::of(key, extensions, secret_inside(document, schema, &mut Vec::new()));
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

/// The words of a property, and those behind its `$ref`, which count less.
fn words(document: &Value, schema: &Value) -> Value {
    let mut words = keys::follow(document, schema).as_object().cloned().unwrap_or_default();
    words.extend(schema.as_object().cloned().unwrap_or_default());
    Value::Object(words)
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
