//! The templates that come with the program.

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::{Template, parse_document};

/// Ids, templates, and the tests beside them.
const TEXTS: [(&str, &str, &str); 2] = [
    (
        "demo",
        include_str!("../../templates/demo/template.json"),
        include_str!("../../templates/demo/tests.json"),
    ),
    ("file-server", include_str!("../../templates/file-server/template.json"), "[]"),
];

const GOOD: &str = "a test parses every built-in template";

static TEMPLATES: LazyLock<Vec<Arc<Template>>> = LazyLock::new(|| {
    let parse = |(id, template, tests): (&str, &str, &str)| {
        let mut document = parse_document(template, id).expect(GOOD);
        let tests: Value = serde_json::from_str(tests).expect(GOOD);
        document["tests"] = tests;
        Arc::new(Template::from_value(document, Some(id)).expect(GOOD))
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
            for file in ["README.md", "Dockerfile"] {
                assert!(directory.join(file).is_file(), "{} has no {file}", template.id);
            }
        }
    }
}
