//! The templates that come with the program.

use std::sync::{Arc, LazyLock};

use crate::Template;

const TEXTS: [(&str, &str); 2] = [
    ("demo", include_str!("../../templates/demo/template.json")),
    ("file-server", include_str!("../../templates/file-server/template.json")),
];

static TEMPLATES: LazyLock<Vec<Arc<Template>>> = LazyLock::new(|| {
    let parse = |(id, text): (&str, &str)| {
        Arc::new(Template::parse(text, id, Some(id)).expect("a test parses every built-in template"))
    };
    TEXTS.into_iter().map(parse).collect()
});

/// All of them; parsed once.
pub(super) fn templates() -> &'static [Arc<Template>] {
    &TEMPLATES
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
        for template in templates() {
            assert!(template.warnings.is_empty(), "{}: {}", template.id, template.warnings);
            assert!(!template.tools.is_empty(), "{}", template.id);
            for file in ["README.md", "Dockerfile", ".dockerignore", "tests.json", "server/Cargo.toml"] {
                assert!(directory(template).join(file).is_file(), "{} has no {file}", template.id);
            }
        }
    }

    #[test]
    fn every_built_in_image_keeps_the_contract_and_needs_no_other_builder() {
        for template in templates() {
            let text = fs::read_to_string(directory(template).join("Dockerfile")).unwrap();
            let dockerfile = Dockerfile::parse(&text).unwrap();
            assert_eq!(dockerfile.check(template), Findings::default(), "{}", template.id);
            assert!(dockerfile.needs_buildkit().is_empty(), "{}", template.id);
        }
    }

    #[test]
    fn every_tool_of_a_built_in_template_is_tried_by_its_tests() {
        for template in templates() {
            let tests = fs::read_to_string(directory(template).join("tests.json")).unwrap();
            let tests: Vec<serde_json::Value> = serde_json::from_str(&tests).unwrap();
            for tool in &template.tools {
                let tried = tests.iter().any(|test| test["tool"] == *tool.name);
                assert!(tried, "{}: {}", template.id, tool.name);
            }
        }
    }
}
