//! `templates validate`: templates and the Dockerfiles beside them, with everything that is wrong.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use mcp_deploy_core::{
    Catalog, Dockerfile, Error as CoreError, Finding, TEMPLATE_FILE_NAMES, Template, Violation, read_text,
};
use serde::Serialize;

use super::AuthoringError;
use crate::error::Result;
use crate::output::{Format, Show, lines, show};

#[derive(Args)]
pub(crate) struct Options {
    /// Files of templates, their directories, or directories of templates
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(super) fn run(Options { paths }: &Options, format: Format) -> Result<()> {
    let checked: Vec<Checked> = paths
        .iter()
        .flat_map(|path| Catalog::check(path))
        .map(|(path, template)| check(path, template))
        .collect();
    show(&checked, format)?;
    match checked.iter().filter(|checked| !checked.violations.is_empty()).count() {
        0 => Ok(()),
        broken => Err(AuthoringError::BrokenTemplates { broken, checked: checked.len() }.into()),
    }
}

/// What a check of one template found.
#[derive(Serialize)]
struct Checked {
    /// The template's file, or what was named where there is none.
    path: PathBuf,
    /// Absent where the file is too broken to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    violations: Vec<Note>,
    warnings: Vec<Note>,
}

/// What is said about one place of one file.
#[derive(Serialize)]
struct Note {
    /// The file's name.
    file: String,
    /// The line, in a Dockerfile.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The place as a JSON pointer, in a template.
    #[serde(skip_serializing_if = "String::is_empty")]
    pointer: String,
    problem: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
}

impl Note {
    fn of_template(file: &str, violation: &Violation) -> Self {
        let Violation { pointer, problem, expected } = violation.clone();
        Self { file: file.to_owned(), line: None, pointer, problem, expected }
    }

    fn of_dockerfile(finding: Finding) -> Self {
        let Finding { line, problem, expected } = finding;
        Self { file: "Dockerfile".to_owned(), line: Some(line), pointer: String::new(), problem, expected }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, pointer, problem, expected } = self;
        if let Some(line) = line {
            write!(f, "{file}:{line}: ")?;
        } else if !pointer.is_empty() {
            write!(f, "`{pointer}` ")?;
        }
        f.write_str(problem)?;
        expected.as_ref().map_or(Ok(()), |expected| write!(f, "; {expected}"))
    }
}

fn check(path: PathBuf, template: Result<Arc<Template>, CoreError>) -> Checked {
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut checked = Checked { path, id: None, version: None, violations: Vec::new(), warnings: Vec::new() };
    let template = match template {
        Ok(template) => {
            checked.id = Some(template.id.to_string());
            checked.version = Some(template.version.clone());
            checked.warnings.extend(template.warnings.iter().map(|it| Note::of_template(&file, it)));
            Some(template)
        }
        Err(CoreError::Invalid { violations }) => {
            checked.violations.extend(violations.iter().map(|it| Note::of_template(&file, it)));
            None
        }
        Err(error) => {
            let violation = Violation::new("", error.to_string());
            checked.violations.push(Note::of_template(&file, &violation));
            None
        }
    };
    // A file of another name says nothing about the directory that it is in.
    if TEMPLATE_FILE_NAMES.contains(&file.as_str()) {
        let dockerfile = checked.path.with_file_name("Dockerfile");
        if dockerfile.exists() {
            check_dockerfile(&dockerfile, template.as_deref(), &mut checked);
        }
    }
    checked
}

/// Of a Dockerfile beside a template that is broken only its own syntax can be checked.
fn check_dockerfile(path: &Path, template: Option<&Template>, checked: &mut Checked) {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) => {
            let violation = Violation::new("", error.to_string());
            checked.violations.push(Note::of_template("Dockerfile", &violation));
            return;
        }
    };
    match Dockerfile::parse(&text) {
        Ok(dockerfile) => {
            let findings = template.map(|template| dockerfile.check(template)).unwrap_or_default();
            checked.violations.extend(findings.violations.into_iter().map(Note::of_dockerfile));
            checked.warnings.extend(findings.warnings.into_iter().map(Note::of_dockerfile));
        }
        Err(error) => checked.violations.extend(error.findings.into_iter().map(Note::of_dockerfile)),
    }
}

impl Checked {
    /// The verdict, and below it everything that was found.
    fn text(&self) -> String {
        let Self { path, id, version, violations, warnings } = self;
        let path = path.display();
        let verdict = match (id, version) {
            _ if !violations.is_empty() => format!("{path} is broken"),
            (Some(id), Some(version)) => format!("{path}: `{id}` {version} is a good template"),
            _ => format!("{path} is a good template"),
        };
        let violations = violations.iter().map(|violation| format!("  {violation}"));
        let warnings = warnings.iter().map(|warning| format!("  warning: {warning}"));
        lines([verdict].into_iter().chain(violations).chain(warnings))
    }
}

impl Show for Vec<Checked> {
    fn table(&self, _wide: bool) -> String {
        self.iter().map(Checked::text).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.iter().filter_map(|checked| checked.id.as_deref()).collect()
    }
}
