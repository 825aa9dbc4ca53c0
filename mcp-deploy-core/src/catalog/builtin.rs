//! The templates that come with the program.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::Value;

use super::found::{Found, Known, Looked};
use super::source::{Source, SourceReport, Summary};
use crate::{Template, TemplateId, parse_document};

/// Ids, templates, and the tests beside them.
const TEXTS: [(&str, &str, &str); 2] = [
    (
        "demo",
        include_str!("../../templates/demo/template.json"),
        include_str!("../../templates/demo/tests.json"),
    ),
    (
        "file-server",
        include_str!("../../templates/file-server/template.json"),
        include_str!("../../templates/file-server/tests.json"),
    ),
];

const GOOD: &str = "a test parses every built-in template";

/// What a list tells of one, which is read without the rest: most commands need no more.
#[derive(Deserialize)]
struct Described {
    version: String,
    description: String,
    category: Option<String>,
    docker_image: String,
    docker_tag: String,
}

/// All of them; described once, and each parsed when somebody needs the whole.
static TEMPLATES: LazyLock<Vec<Arc<Found>>> = LazyLock::new(|| {
    let source = Arc::new(Source::BuiltIn);
    let found = |(id, template, _): (&str, &str, &str)| {
        let Described { version, description, category, docker_image, docker_tag } =
            serde_json::from_str(template).expect(GOOD);
        let id = id.parse().expect(GOOD);
        let image = Some(format!("{docker_image}:{docker_tag}").parse().expect(GOOD));
        let summary = Summary { id, version, description, category, image, source: Arc::clone(&source) };
        let known = Ok(Known::unread(summary));
        Arc::new(Found { path: PathBuf::new(), place: "the built-in one".to_owned(), known })
    };
    TEXTS.into_iter().map(found).collect()
});

/// The whole of one.
pub(super) fn template(id: &TemplateId) -> Template {
    let (id, template, tests) = TEXTS.into_iter().find(|(known, ..)| *known == id.as_str()).expect(GOOD);
    let mut document = parse_document(template, id).expect(GOOD);
    let tests: Value = serde_json::from_str(tests).expect(GOOD);
    document["tests"] = tests;
    Template::from_value(document, Some(id)).expect(GOOD)
}

/// What the program has.
pub(super) fn look() -> Looked {
    let report = SourceReport { source: Source::BuiltIn, templates: 0, fetched_at: None, problem: None };
    Looked { source: Arc::new(Source::BuiltIn), found: TEMPLATES.clone(), report }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::dockerfile::{Dockerfile, Findings};

    fn directory(template: &Template) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(template.id.as_str())
    }

    #[test]
    fn every_built_in_template_is_good_and_described() {
        for found in look().found {
            let template = found.template().unwrap();
            assert!(template.warnings.is_empty(), "{}: {}", template.id, template.warnings);
            assert!(!template.tools.is_empty(), "{}", template.id);
            let summary = &found.known.as_ref().unwrap().summary;
            assert_eq!(
                serde_json::to_value(summary).unwrap(),
                serde_json::to_value(Summary::of(&template, &summary.source)).unwrap()
            );
            for file in ["README.md", "Dockerfile", ".dockerignore", "tests.json", "server/Cargo.toml"] {
                assert!(directory(&template).join(file).is_file(), "{} has no {file}", template.id);
            }
        }
    }

    #[test]
    fn every_built_in_image_keeps_the_contract_and_needs_no_other_builder() {
        for found in look().found {
            let template = found.template().unwrap();
            let text = fs::read_to_string(directory(&template).join("Dockerfile")).unwrap();
            let dockerfile = Dockerfile::parse(&text).unwrap();
            assert_eq!(dockerfile.check(&template), Findings::default(), "{}", template.id);
            assert!(dockerfile.needs_buildkit().is_empty(), "{}", template.id);
        }
    }

    #[test]
    fn every_tool_of_a_built_in_template_is_tried_by_its_tests() {
        for found in look().found {
            let template = found.template().unwrap();
            for tool in &template.tools {
                let is_tried = template.tests.iter().any(|test| test.tool == tool.name);
                assert!(is_tried, "{}: {}", template.id, tool.name);
            }
        }
    }
}
