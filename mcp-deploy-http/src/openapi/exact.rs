//! Which fields an answer has, and which of them may be null.
//!
//! A derived schema lets every optional field be absent and be null. What serde writes is one of both: a field is
//! there, and maybe null, unless it is left out where it is empty.

use std::collections::BTreeMap;

use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, RefOr, Schema, Type};

use super::operation::Named;
use super::words;

/// The fields with a `skip_serializing_if`.
const LEFT_OUT: [(&str, &[&str]); 12] = [
    ("Deployment", &["drift"]),
    ("Exposure", &["host", "class", "tls_secret", "issuer"]),
    ("McpReport", &["authorization_required"]),
    ("Peer", &["cidr", "namespace", "host", "ports"]),
    ("Problem", &["request_id", "hint", "violations", "failure", "recovery", "deployment_name"]),
    ("ResourceAmounts", &["cpu", "memory", "pids"]),
    (
        "Template",
        &[
            "author",
            "category",
            "tags",
            "documentation_url",
            "source_url",
            "docker_image",
            "pull_policy",
            "command",
            "args",
            "environment_variables",
            "volumes",
            "mounts",
            "default_config",
            "tools",
            "tests",
            "health",
            "autoscaling",
            "placement",
            "exposure",
            "mock",
        ],
    ),
    ("Tool", &["description"]),
    ("ToolAnswer", &["structured"]),
    ("ToolTest", &["arguments", "contains", "equals", "fails"]),
    ("Violation", &["expected"]),
    ("Volume", &["size", "storage_class"]),
];

/// Left out by some problems, and null in others: see `ProblemDocument`.
const OFTEN_NULL: (&str, &str) = ("Problem", "recovery");

const ABSENT: &str = "absent";

/// The schemas by name, those of answers made exact.
pub(super) fn made(schemas: Vec<Named>) -> BTreeMap<String, RefOr<Schema>> {
    let mut schemas: BTreeMap<String, RefOr<Schema>> = schemas.into_iter().collect();
    for (name, schema) in &mut schemas {
        words::tell(schema, ABSENT);
        let RefOr::T(Schema::Object(object)) = schema else { continue };
        let left_out = LEFT_OUT.iter().find(|(known, _)| known == name).map_or(&[][..], |(_, fields)| fields);
        for (field, property) in &mut object.properties {
            words::tell(property, if left_out.contains(&field.as_str()) { ABSENT } else { "null" });
        }
        // In a body a field may be left out, and null counts as absent.
        if !name.ends_with("Body") {
            make_exact(name, object, left_out);
        }
    }
    schemas
}

fn make_exact(name: &str, object: &mut Object, left_out: &[&str]) {
    object.required =
        object.properties.keys().filter(|field| !left_out.contains(&field.as_str())).cloned().collect();
    for property in object.properties.values_mut() {
        // A default says what an absent field means.
        match property {
            RefOr::T(Schema::Object(property)) => property.default = None,
            RefOr::Ref(reference) => reference.default = None,
            RefOr::T(_) => {}
        }
    }
    for field in left_out.iter().filter(|field| (name, **field) != OFTEN_NULL) {
        let schema = object.properties.get_mut(*field).expect("it is a field of the type");
        never_null(schema);
    }
}

fn never_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => drop_null(&mut object.schema_type),
        RefOr::T(Schema::Array(array)) => drop_null(&mut array.schema_type),
        RefOr::T(Schema::OneOf(one_of)) => {
            one_of.items.retain(|item| !is_null(item));
            if one_of.items.len() == 1
                && let Some(only) = one_of.items.pop()
            {
                *schema = only;
            }
        }
        _ => {}
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}

fn drop_null(schema_type: &mut SchemaType) {
    if let SchemaType::Array(types) = schema_type {
        types.retain(|kind| *kind != Type::Null);
        if let [only] = types.as_slice() {
            *schema_type = SchemaType::Type(only.clone());
        }
    }
}
