//! `templates list`: the good ones, and beside them what is broken or hidden.

use mcp_deploy_core::{
    Broken, Catalog, Hidden, Overview, Source, SourceReport, Summary, Template, Templates,
};
use serde::Serialize;

use crate::commands::{freshen, warn_of_broken, warn_of_sources};
use crate::error::Result;
use crate::output::{Format, Show, header, json, or_dash, print, show, table, talk, yaml};

/// A template, and where it comes from.
#[derive(Serialize)]
pub(super) struct Sourced<'a> {
    #[serde(flatten)]
    pub(super) template: &'a Template,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<&'a Source>,
}

pub(super) fn run(catalog: &Catalog, format: Format) -> Result<()> {
    freshen(catalog);
    match format {
        Format::Json => print(&(whole(&catalog.list(), |all| json(&all))? + "\n")),
        Format::Yaml => print(&whole(&catalog.list(), |all| yaml(&all))?),
        // What these show is known without reading any template of a repository.
        Format::Table | Format::Wide | Format::Name => {
            let Overview { templates, broken, hidden, sources } = catalog.overview();
            tell(&broken, &hidden, &sources);
            show(&templates, format)
        }
    }
}

fn whole(listed: &Templates, written: impl Fn(Vec<Sourced<'_>>) -> Result<String>) -> Result<String> {
    tell(&listed.broken, &listed.hidden, &listed.sources);
    let sourced = |template| Sourced { template, source: listed.source(&template.id) };
    written(listed.templates.values().map(|template| sourced(template)).collect())
}

fn tell(broken: &[Broken], hidden: &[Hidden], sources: &[SourceReport]) {
    warn_of_sources(sources);
    warn_of_broken(broken);
    for Hidden { id, place, by } in hidden {
        talk(&format!("note: `{id}`: {place} is hidden by {by}"));
    }
}

impl Show for Vec<Summary> {
    fn table(&self, wide: bool) -> String {
        let mut first = header(["ID", "VERSION", "DESCRIPTION"]);
        if wide {
            first.splice(2..2, header(["CATEGORY", "IMAGE", "SOURCE"]));
        }
        let row = |template: &Summary| {
            let Summary { id, version, description, category, image, source } = template;
            let mut row = vec![id.to_string(), version.clone(), description.clone()];
            if wide {
                let more = [or_dash(category.as_ref()), or_dash(image.as_ref()), source.to_string()];
                row.splice(2..2, more);
            }
            row
        };
        table(first, self.iter().map(row))
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|template| template.id.as_str()).collect()
    }
}
