//! `templates list` and `show`; what authors use is in files of its own.

mod new;
mod scaffold;
mod schema;
mod validate;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::{Catalog, Property, Request, Template, Templates, missing};
use serde_json::Value;

use super::{completions, read_template};
use crate::error::Result;
use crate::output::{Format, Show, details, header, or_dash, show, table, talk};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the templates: your directories' and the built-in ones
    #[command(visible_alias = "ls")]
    List,
    /// Show a template and the configuration that it takes
    Show(ShowOptions),
    /// Check templates, and the Dockerfiles beside them; everything that is wrong is listed
    Validate(validate::Options),
    /// Write a new template: a server that runs, its Dockerfile and its tests
    New(new::Options),
    /// Print the JSON Schema of a template's file, for editors
    Schema,
}

#[derive(Args)]
pub(crate) struct ShowOptions {
    /// The template: its id, its directory or its file
    #[arg(add = ArgValueCandidates::new(completions::template_ids))]
    template: String,
}

pub(crate) fn run(command: &Command, catalog: &Catalog, format: Format) -> Result<()> {
    match command {
        Command::List => list(catalog, format),
        Command::Show(ShowOptions { template: named }) => show(&*read_template(named, catalog)?, format),
        Command::Validate(options) => validate::run(options, format),
        Command::New(options) => new::run(options, format),
        Command::Schema => schema::run(format),
    }
}

/// Shows the good ones, and tells of the broken ones beside them.
fn list(catalog: &Catalog, format: Format) -> Result<()> {
    let Templates { templates, broken } = catalog.list();
    for broken in broken {
        talk(&format!("warning: `{}` is left out: {}", broken.path.display(), broken.error));
    }
    let templates: Vec<&Template> = templates.values().map(|template| &**template).collect();
    show(&templates, format)
}

impl Show for Vec<&Template> {
    fn table(&self, wide: bool) -> String {
        let mut first = header(["ID", "VERSION", "DESCRIPTION"]);
        if wide {
            first.splice(2..2, header(["CATEGORY", "IMAGE"]));
        }
        let row = |template: &&Template| {
            let mut row =
                vec![template.id.to_string(), template.version.clone(), template.description.clone()];
            if wide {
                let image = or_dash(template.written_image.as_ref());
                row.splice(2..2, [or_dash(template.category.as_ref()), image]);
            }
            row
        };
        table(first, self.iter().map(row))
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|template| template.id.as_str()).collect()
    }
}

impl Show for Template {
    fn table(&self, _wide: bool) -> String {
        let transport = &self.transport;
        let tools: Vec<&str> = self.tools.iter().map(|tool| tool.name.as_str()).collect();
        let about = details([
            ("ID", self.id.to_string()),
            ("NAME", self.name.clone()),
            ("VERSION", self.version.clone()),
            ("DESCRIPTION", self.description.clone()),
            ("IMAGE", or_dash(self.written_image.as_ref())),
            ("TRANSPORT", format!("{}, port {}, path {}", transport.kind, transport.port, transport.path)),
            ("TOOLS", tools.join(", ")),
        ]);
        match configuration(self) {
            rows if rows.is_empty() => about,
            rows => {
                let first = header(["CONFIGURATION", "VARIABLE", "TYPE", "DEFAULT", "DESCRIPTION"]);
                format!("{about}\n{}", table(first, rows))
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        vec![self.id.as_str()]
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
