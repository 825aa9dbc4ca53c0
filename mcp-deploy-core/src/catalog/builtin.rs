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
    use super::*;

    #[test]
    fn every_built_in_template_is_good_and_described() {
        for template in templates() {
            assert!(template.warnings.is_empty(), "{}: {}", template.id, template.warnings);
            assert!(!template.tools.is_empty(), "{}", template.id);
            let directory =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(template.id.as_str());
            for file in ["README.md", "Dockerfile", ".dockerignore", "tests.json", "server/Cargo.toml"] {
                assert!(directory.join(file).is_file(), "{} has no {file}", template.id);
            }
        }
    }

    #[test]
    fn every_tool_of_a_built_in_template_is_tried_by_its_tests() {
        for template in templates() {
            let directory =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(template.id.as_str());
            let tests = std::fs::read_to_string(directory.join("tests.json")).unwrap();
            let tests: Vec<serde_json::Value> = serde_json::from_str(&tests).unwrap();
            for tool in &template.tools {
                let tried = tests.iter().any(|test| test["tool"] == *tool.name);
                assert!(tried, "{}: {}", template.id, tool.name);
            }
        }
    }
}
