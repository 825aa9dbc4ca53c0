//! The sources of a configuration, merged: later ones win, objects are merged key by key.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::pointer_token;
use crate::schema::is_env_name;
use crate::{Request, Template, Violation, Violations};

/// A configuration from all sources, and the variables that are none of its properties.
pub(super) struct Merged {
    pub(super) configuration: Map<String, Value>,
    pub(super) passed_on: BTreeMap<String, String>,
}

pub(super) fn configuration(template: &Template, request: &Request, violations: &mut Violations) -> Merged {
    let schema = &template.config_schema;
    let mut configuration = schema.defaults();
    merge(&mut configuration, template.default_config.clone());
    merge(&mut configuration, request.file.clone());

    let mut passed_on = BTreeMap::new();
    for (name, value) in &request.environment {
        let carried = schema.properties().iter().find(|(_, property)| property.env == *name);
        if let Some((key, _)) = carried {
            configuration.insert(key.clone(), schema.coerce(&[key], value));
        } else if let Some(violation) = problem_of_variable(name, value, template.transport.port) {
            violations.push(violation);
        } else {
            passed_on.insert(name.clone(), value.clone());
        }
    }
    for (path, text) in &request.set {
        let whole_key = schema.properties().contains_key(path);
        let keys: Vec<&str> = if whole_key { vec![path] } else { path.split('.').collect() };
        let value = schema.coerce(&keys, text);
        if let Err(violation) = set(&mut configuration, &keys, value) {
            violations.push(violation);
        }
    }
    merge(&mut configuration, request.configuration.clone());
    Merged { configuration, passed_on }
}

fn problem_of_variable(name: &str, value: &str, port: u16) -> Option<Violation> {
    let pointer = format!("/environment/{}", pointer_token(name));
    if !is_env_name(name) {
        return Some(
            Violation::new(pointer, "is no name of an environment variable")
                .expected("letters, digits and `_`"),
        );
    }
    (name == "PORT" && value != port.to_string()).then(|| {
        Violation::new(pointer, "cannot be changed")
            .expected(format!("the template's server listens on {port}"))
    })
}

fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Sets the value at a path, making the objects on the way.
fn set(into: &mut Map<String, Value>, path: &[&str], value: Value) -> Result<(), Violation> {
    let mut pointer = "/configuration".to_owned();
    let mut object = into;
    let Some((last, way)) = path.split_last() else {
        return Ok(());
    };
    for key in way {
        pointer.push('/');
        pointer.push_str(&pointer_token(key));
        let inner = object.entry((*key).to_owned()).or_insert_with(|| Value::Object(Map::new()));
        object = inner
            .as_object_mut()
            .ok_or_else(|| Violation::new(&*pointer, "is no object, so nothing inside it can be set"))?;
    }
    object.insert((*last).to_owned(), value);
    Ok(())
}
