//! `templates show`: one template and the configuration that it takes.

use mcp_deploy_core::{Catalog, Property, Request, Source, Template, missing};
use serde_json::Value;

use super::list::Sourced;
use crate::commands::find_template;
use crate::error::Result;
use crate::output::{Format, Show, details, header, or_dash, show, table};

pub(super) fn run(named: &str, catalog: &Catalog, format: Format) -> Result<()> {
    let (template, source) = find_template(named, catalog)?;
    show(&Sourced { template: &template, source: source.as_deref() }, format)
}

impl Show for Sourced<'_> {
    fn table(&self, _wide: bool) -> String {
        let Self { template, source } = self;
        let transport = &template.transport;
        let tools: Vec<&str> = template.tools.iter().map(|tool| tool.name.as_str()).collect();
        let about = details([
            ("ID", template.id.to_string()),
            ("NAME", template.name.clone()),
            ("VERSION", template.version.clone()),
            ("DESCRIPTION", template.description.clone()),
            ("IMAGE", or_dash(template.written_image.as_ref())),
            ("SOURCE", or_dash(source.map(told))),
            ("TRANSPORT", format!("{}, port {}, path {}", transport.kind, transport.port, transport.path)),
            ("TOOLS", tools.join(", ")),
        ]);
        match configuration(template) {
            rows if rows.is_empty() => about,
            rows => {
                let first = header(["CONFIGURATION", "VARIABLE", "TYPE", "DEFAULT", "DESCRIPTION"]);
                format!("{about}\n{}", table(first, rows))
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        vec![self.template.id.as_str()]
    }
}

/// A commit in full: there is room for it.
fn told(source: &Source) -> String {
    match source {
        Source::Repository { repository, commit: Some(commit) } => format!("{repository} at {commit}"),
        other => other.to_string(),
    }
}

/// A row for each property of the configuration.
fn configuration(template: &Template) -> Vec<Vec<String>> {
    let schema = &template.config_schema;
    let missing = missing(template, &Request::default());
    let defaults = schema.defaults();
    let row = |(key, property): (&String, &Property)| {
        let default = template.default_config.get(key).or_else(|| defaults.get(key));
        vec![
            key.clone(),
            property.env.clone(),
            kind(&schema.as_value()["properties"][key]),
            match default {
                Some(default) => default.to_string(),
                None if missing.contains(&key.as_str()) => "(required)".to_owned(),
                None => "-".to_owned(),
            },
            or_dash(property.description.as_ref()),
        ]
    };
    schema.properties().iter().map(row).collect()
}

/// The type of a property, or its choices.
fn kind(schema: &Value) -> String {
    let choices = schema["enum"].as_array().map(|choices| {
        let choices: Vec<String> = choices.iter().map(plain).collect();
        choices.join("|")
    });
    choices.unwrap_or_else(|| match &schema["type"] {
        Value::Null => "-".to_owned(),
        written => plain(written),
    })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
