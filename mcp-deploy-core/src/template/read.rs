//! From the fields of a document to a [`Template`], with everything that is wrong at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fields::{Fields, scalar};
use super::{Template, tool_tests, tools, transport, volumes};
use crate::error::{first_key, pointer_token};
use crate::resolve::MAX_REPLICAS;
use crate::schema::is_env_name;
use crate::{ConfigSchema, ImageRef, Resources, TemplateId, Violation, Violations};

/// Fields that deploying does not need and that are kept as they are.
const METADATA: [&str; 8] = [
    "$schema",
    "capabilities",
    "examples",
    "has_image",
    "license",
    "origin",
    "tool_discovery",
    "tool_endpoint",
];

/// Reads all fields.
pub(super) fn template(
    fields: Map<String, Value>,
    fallback_id: Option<&str>,
) -> Result<Template, Violations> {
    let mut fields = Fields::new(fields);
    let template = take_all(&mut fields, fallback_id);
    let (violations, warnings) = fields.notes();
    violations.into_result(Template { warnings, ..template })
}

/// The names of the fields that are read.
#[cfg(test)]
pub(super) fn known_fields() -> Vec<&'static str> {
    let mut fields = Fields::new(Map::new());
    take_all(&mut fields, None);
    fields.known()
}

fn take_all(fields: &mut Fields, fallback_id: Option<&str>) -> Template {
    let id = id(fields, fallback_id);
    let config_schema = config_schema(fields);
    let default_config: Map<String, Value> = fields.take("default_config").unwrap_or_default();
    if let Some(schema) = &config_schema {
        check_defaults(schema, &default_config, &mut fields.violations);
    }
    let transport = transport::transport(fields);
    let (volumes, mounts) = volumes::volumes(fields);
    let template = Template {
        // What follows the first violation is never seen.
        id: id.unwrap_or_else(placeholder_id),
        name: fields.required("name", "the server's name for people"),
        description: fields.required("description", "what the server does, in a sentence"),
        version: fields.required("version", "the template's version, as in `1.0.0`"),
        author: fields.take("author"),
        category: fields.take("category"),
        tags: fields.take("tags").unwrap_or_default(),
        documentation_url: fields.take("documentation_url"),
        source_url: fields.take("source_url"),
        written_image: image(fields),
        pull_policy: fields.take("pull_policy"),
        environment_variables: environment(fields, transport.port),
        transport,
        command: words(fields, "command"),
        args: words(fields, "args"),
        volumes,
        mounts,
        config_schema: config_schema.unwrap_or_else(any_schema),
        default_config,
        tools: tools::tools(fields),
        tests: Vec::new(),
        health: fields.take("health"),
        resources: resources(fields),
        replicas: replicas(fields),
        autoscaling: fields.take("autoscaling"),
        placement: fields.take("placement"),
        security: fields.take("security").unwrap_or_default(),
        network: fields.take("network").unwrap_or_default(),
        restart: fields.take("restart").unwrap_or_default(),
        stateless: fields.take("stateless").unwrap_or_default(),
        exposure: fields.take("exposure"),
        mock: fields.raw("mock"),
        metadata: METADATA
            .into_iter()
            .filter_map(|field| Some((field.to_owned(), fields.raw(field)?)))
            .collect(),
        warnings: Violations::default(),
        directory: None,
    };
    Template { tests: tool_tests::tool_tests(fields, &template.tools), ..template }
}

fn placeholder_id() -> TemplateId {
    "unnamed".parse().expect("it follows the rules of an id")
}

fn any_schema() -> ConfigSchema {
    ConfigSchema::compile(Value::Object(Map::new())).expect("the empty schema is valid")
}

fn id(fields: &mut Fields, fallback: Option<&str>) -> Option<TemplateId> {
    let (id, place) = match (fields.take::<String>("id"), fallback) {
        (Some(id), _) => (id, "is"),
        (None, Some(name)) => (name.to_owned(), "is not given, and its place is named"),
        (None, None) => {
            fields.wrong("/id", "is missing", "a name such as `file-server`");
            return None;
        }
    };
    match id.parse() {
        Ok(id) => Some(id),
        Err(error) => {
            let problem = format!("{place} `{id}`, which {}", error.broken_rules().join(", "));
            fields.violations.push(Violation::new("/id", problem));
            None
        }
    }
}

fn image(fields: &mut Fields) -> Option<ImageRef> {
    let image: Option<String> = fields.take("docker_image");
    let tag: Option<String> = fields.take("docker_tag");
    let image = match image?.parse::<ImageRef>() {
        Ok(image) => image,
        Err(error) => {
            fields.violations.push(Violation::new("/docker_image", format!("is wrong: {error}")));
            return None;
        }
    };
    // What is written inside the reference is kept exactly.
    match tag {
        Some(tag) if image.tag().is_none() && image.digest().is_none() => match image.with_tag(&tag) {
            Ok(image) => Some(image),
            Err(error) => {
                fields.violations.push(Violation::new("/docker_tag", format!("is wrong: {error}")));
                None
            }
        },
        _ => Some(image),
    }
}

/// A command or its arguments: a list of scalars, or one text without spaces.
fn words(fields: &mut Fields, field: &'static str) -> Vec<String> {
    let pointer = format!("/{field}");
    let items = match fields.raw(field) {
        None => return Vec::new(),
        Some(Value::String(text)) if text.contains(char::is_whitespace) => {
            fields.wrong(
                pointer,
                format!("is the text `{text}`"),
                "a list with an item for each word; no shell splits it",
            );
            return Vec::new();
        }
        Some(Value::Array(items)) => items,
        Some(other) => vec![other],
    };
    let mut words = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match scalar(&item) {
            Some(word) if !word.contains('\0') => words.push(word),
            _ => fields.wrong(format!("{pointer}/{index}"), "is no text", "a text, a number or a boolean"),
        }
    }
    words
}

fn environment(fields: &mut Fields, port: u16) -> BTreeMap<String, String> {
    let variables: Map<String, Value> = fields.take("environment_variables").unwrap_or_default();
    let mut environment = BTreeMap::new();
    for (name, value) in variables {
        let pointer = format!("/environment_variables/{}", pointer_token(&name));
        if !is_env_name(&name) {
            fields.wrong(pointer, "is no name of an environment variable", "letters, digits and `_`");
            continue;
        }
        match scalar(&value) {
            Some(value) if name == "PORT" && value != port.to_string() => {
                let problem = format!("is `{value}`, and the transport's port is {port}");
                fields.wrong(pointer, problem, "set `transport.port`; `PORT` follows it");
            }
            Some(value) if !value.contains('\0') => {
                environment.insert(name, value);
            }
            _ => fields.wrong(pointer, "is no text", "a text, a number or a boolean"),
        }
    }
    environment
}

fn config_schema(fields: &mut Fields) -> Option<ConfigSchema> {
    let document = fields.raw("config_schema").unwrap_or_else(|| Value::Object(Map::new()));
    match ConfigSchema::compile(document) {
        Ok(schema) => Some(schema),
        Err(violations) => {
            fields.violations.extend_under("/config_schema", violations);
            None
        }
    }
}

/// The defaults have to keep the schema; what is still missing is for the user to give.
fn check_defaults(schema: &ConfigSchema, default_config: &Map<String, Value>, violations: &mut Violations) {
    let mut merged = schema.defaults();
    merged.extend(default_config.clone());
    let mut found = schema.validate(&merged);
    found.retain(|violation| {
        let key = first_key(&violation.pointer);
        default_config.contains_key(&key) || merged.contains_key(&key)
    });
    violations.extend_under("/default_config", found);
}

fn resources(fields: &mut Fields) -> Resources {
    let resources: Resources = fields.take("resources").unwrap_or_default();
    let Resources { limits, requests } = &resources;
    if let (Some(limit), Some(request)) = (limits.memory, requests.memory)
        && request > limit
    {
        fields.wrong(
            "/resources/requests/memory",
            format!("is {request}"),
            &format!("at most the limit, {limit}"),
        );
    }
    if let (Some(limit), Some(request)) = (limits.cpu, requests.cpu)
        && request > limit
    {
        fields.wrong(
            "/resources/requests/cpu",
            format!("is {request}"),
            &format!("at most the limit, {limit}"),
        );
    }
    resources
}

fn replicas(fields: &mut Fields) -> u32 {
    let replicas = fields.take("replicas").unwrap_or(1);
    if replicas > MAX_REPLICAS {
        fields.wrong("/replicas", format!("is {replicas}"), &format!("at most {MAX_REPLICAS}"));
    }
    replicas
}
