//! How a configuration reaches the server: environment, secrets, arguments, mounts.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use serde_json::Value;

use super::merge::Merged;
use crate::error::pointer_token;
use crate::schema::names_a_secret;
use crate::template::is_host_path;
use crate::{Mount, Property, REDACTED, Secrets, Template, Violation, Violations, VolumeMount};

/// The parts of a spec that a configuration makes.
pub(super) struct Carried {
    pub(super) env: BTreeMap<String, String>,
    pub(super) secrets: Secrets,
    pub(super) args: Vec<String>,
    pub(super) mounts: Vec<Mount>,
    /// The configuration as reports show it.
    pub(super) shown: BTreeMap<String, Value>,
}

pub(super) fn carry(template: &Template, merged: Merged, violations: &mut Violations) -> Carried {
    let mut carried = Carried {
        env: BTreeMap::new(),
        secrets: Secrets::default(),
        args: template.args.clone(),
        mounts: template.mounts.clone(),
        shown: BTreeMap::new(),
    };
    for (name, value) in template.environment_variables.clone().into_iter().chain(merged.passed_on) {
        let secret = names_a_secret(&name);
        let pointer = format!("/environment/{}", pointer_token(&name));
        carried.variable(name, value, secret, &pointer, violations);
    }
    for (key, value) in merged.configuration {
        let property = template.config_schema.property(&key);
        let pointer = format!("/configuration/{}", pointer_token(&key));
        let shown = if property.sensitive { Value::String(REDACTED.to_owned()) } else { value.clone() };
        carried.shown.insert(key, shown);
        carried.property(template, property, value, &pointer, violations);
        let port = template.transport.port.to_string();
        if carried.env.remove("PORT").is_some_and(|value| value != port) {
            let violation = Violation::new(pointer, "cannot be changed: it is carried by `PORT`");
            violations.push(violation.expected(format!("the template's server listens on {port}")));
        }
    }
    carried.env.insert("PORT".to_owned(), template.transport.port.to_string());
    carried
}

impl Carried {
    fn property(
        &mut self,
        template: &Template,
        property: Property,
        mut value: Value,
        pointer: &str,
        violations: &mut Violations,
    ) {
        let Property { env, separator, sensitive, volume_mount, command_arg, description: _ } = property;
        if let Some(at) = &volume_mount {
            self.mount(template, at, &mut value, pointer, violations);
        }
        let text = match text(&value, &separator) {
            Ok(Some(text)) => text,
            Ok(None) => return,
            Err(problem) => {
                violations.push(
                    Violation::new(pointer, problem).expected("set another `env_separator` in the template"),
                );
                return;
            }
        };
        if let Some(flag) = command_arg {
            self.args.push(format!("{flag}={text}"));
        }
        self.variable(env, text, sensitive, pointer, violations);
    }

    fn variable(
        &mut self,
        name: String,
        value: String,
        secret: bool,
        pointer: &str,
        violations: &mut Violations,
    ) {
        if value.contains('\0') {
            violations.push(Violation::new(pointer, "contains a NUL, which no environment can carry"));
        } else if secret {
            self.env.remove(&name);
            self.secrets.0.insert(name, SecretString::from(value));
        } else {
            self.secrets.0.remove(&name);
            self.env.insert(name, value);
        }
    }

    /// Mounts the host paths of a value, and puts the paths inside in their place.
    fn mount(
        &mut self,
        template: &Template,
        at: &VolumeMount,
        value: &mut Value,
        pointer: &str,
        violations: &mut Violations,
    ) {
        match value {
            Value::String(path) => match self.mount_one(template, at, path) {
                Ok(inside) => *path = inside,
                Err(problem) => {
                    violations
                        .push(Violation::new(pointer, problem).expected("an absolute path of the host"));
                }
            },
            Value::Array(paths) => {
                for (index, path) in paths.iter_mut().enumerate() {
                    self.mount(template, at, path, &format!("{pointer}/{index}"), violations);
                }
            }
            // Another type breaks the schema, or is `null`: there is nothing to mount.
            _ => {}
        }
    }

    /// The path inside of a host path, mounted unless it lies under one of the template's own volumes.
    fn mount_one(&mut self, template: &Template, at: &VolumeMount, path: &str) -> Result<String, String> {
        let (host_path, read_only) = match path.strip_suffix(":ro") {
            Some(path) => (path, true),
            None => (path.strip_suffix(":rw").unwrap_or(path), false),
        };
        if !is_host_path(host_path) {
            return Err(format!("is `{host_path}`"));
        }
        if host_path.split(['/', '\\']).any(|part| part == "..") {
            return Err(format!("is `{host_path}`, which climbs with `..`"));
        }
        if template.volumes.iter().any(|volume| lies_under(host_path, &volume.path)) {
            return Ok(host_path.to_owned());
        }
        let taken: BTreeSet<&str> = self.mounts.iter().map(|mount| mount.path.as_str()).collect();
        let wanted = match at {
            VolumeMount::At(path) => path.trim_end_matches('/').to_owned(),
            VolumeMount::BelowMnt => {
                let last =
                    host_path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
                format!("/mnt/{}", if last.is_empty() { "root" } else { last })
            }
        };
        let mut inside = wanted.clone();
        let mut count = 1;
        while taken.contains(inside.as_str()) {
            count += 1;
            inside = format!("{wanted}-{count}");
        }
        self.mounts.push(Mount { host_path: host_path.to_owned(), path: inside.clone(), read_only });
        Ok(inside)
    }
}

fn lies_under(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A value as an environment carries it: scalars as they are, arrays of scalars joined, the rest as JSON;
/// `null` is not carried.
fn text(value: &Value, separator: &str) -> Result<Option<String>, String> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Null => Ok(None),
        Value::Array(items) => {
            let Some(items) = items.iter().map(scalar).collect::<Option<Vec<String>>>() else {
                return Ok(Some(value.to_string()));
            };
            if items.iter().any(|item| item.contains(separator)) {
                return Err(format!("has an item that contains the separator `{separator}`"));
            }
            Ok(Some(items.join(separator)))
        }
        Value::Object(_) => Ok(Some(value.to_string())),
        value => Ok(scalar(value)),
    }
}
