//! The template `demo` is what `templates new demo --lang rust` writes: the example of a template stays one.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What `demo` has more, or instead: who looks after it, and its image.
const OF_DEMO: [&str; 5] = ["category", "tags", "docker_image", "docker_tag", "description"];

#[test]
fn demo_is_the_scaffold_with_a_name_for_its_image() {
    let scaffold = Path::new(env!("CARGO_MANIFEST_DIR")).join("scaffold/rust");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mcp-deploy-core/templates/demo");

    let written: BTreeSet<PathBuf> = files(&scaffold)
        .into_iter()
        .map(|file| file.to_str().unwrap().trim_end_matches(".in").into())
        .collect();
    let mut there = files(&demo);
    // In the workspace it is also tried.
    assert!(there.remove(Path::new("server/tests/server.rs")));
    assert_eq!(there, written);

    for file in files(&scaffold) {
        let name = file.to_str().unwrap().trim_end_matches(".in");
        let text = fs::read_to_string(scaffold.join(&file)).unwrap();
        let text = text.replace("{{id}}", "demo").replace("{{name}}", "Demo").replace("{{version}}", "1.0.0");
        let found = fs::read_to_string(demo.join(name)).unwrap();
        match name {
            "template.json" => assert_eq!(without_what_is_of_demo(&found), without_what_is_of_demo(&text)),
            // The one goes on with the image that needs no Dockerfile, the other with what the tests need.
            "README.md" => assert_eq!(found.split_once("\nThis directory is what").unwrap().0, text),
            "server/Cargo.toml" => assert_eq!(found.split_once("\n[dev-dependencies]").unwrap().0, text),
            _ => assert_eq!(found, text, "{name}"),
        }
    }
}

/// The files of a directory and all below it, without what cargo makes.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                ahead.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found.retain(|path| !path.starts_with("server/target") && path != Path::new("server/Cargo.lock"));
    found
}

/// The lines of a template but those that may differ, at the top of the document.
fn without_what_is_of_demo(template: &str) -> Vec<&str> {
    let is_of_demo = |line: &str| OF_DEMO.iter().any(|key| line.starts_with(&format!("  \"{key}\":")));
    template.lines().filter(|line| !is_of_demo(line)).collect()
}
