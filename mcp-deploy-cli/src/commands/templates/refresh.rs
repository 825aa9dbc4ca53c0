//! `templates refresh`: fetches the repositories now.

use mcp_deploy_core::{Catalog, Source, SourceReport};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::output::{Format, Show, header, or_dash, show, table, talk};

/// What became of a repository.
#[derive(Serialize)]
struct Refreshed {
    repository: String,
    commit: Option<String>,
    #[serde(flatten)]
    report: SourceReport,
}

pub(super) fn run(catalog: &Catalog, format: Format) -> Result<()> {
    let outcomes = catalog.refresh();
    if outcomes.is_empty() {
        talk("note: there is no repository to fetch; `MCP_TEMPLATES_REPO` names some");
    }
    let refreshed = |report: SourceReport| match report.source.clone() {
        Source::Repository { repository, commit } => Some(Refreshed { repository, commit, report }),
        _ => None,
    };
    let refreshed: Vec<_> = catalog.overview().sources.into_iter().filter_map(refreshed).collect();
    show(&refreshed, format)?;
    let errors: Vec<_> = outcomes.into_iter().filter_map(std::result::Result::err).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::Verbs(errors)) }
}

impl Show for Vec<Refreshed> {
    fn table(&self, _wide: bool) -> String {
        let row = |Refreshed { repository, commit, report }: &Refreshed| {
            let fetched_at = report.fetched_at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            vec![
                repository.clone(),
                or_dash(commit.as_ref()),
                report.templates.to_string(),
                or_dash(fetched_at),
            ]
        };
        table(header(["REPOSITORY", "COMMIT", "TEMPLATES", "FETCHED AT"]), self.iter().map(row))
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|refreshed| refreshed.repository.as_str()).collect()
    }
}
