//! The template `demo` is what `templates new demo --lang rust` writes: the example of a template stays one.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `demo` has more, or instead: who looks after it, its version, and its image.
const OF_DEMO: [&str; 6] = ["category", "tags", "docker_image", "docker_tag", "description", "version"];

#[test]
fn demo_is_what_templates_new_writes_with_a_name_for_its_image() {
    let directory = tempfile::tempdir().unwrap();
    let mut new = Command::new(env!("CARGO_BIN_EXE_mcp-deploy"));
    new.args(["templates", "new", "demo", "--lang", "rust", "--directory"]).arg(directory.path());
    assert!(new.status().unwrap().success());
    let written = directory.path().join("demo");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mcp-deploy-core/templates/demo");

    let mut there = files(&demo);
    // In the workspace it is also tried.
    assert!(there.remove(Path::new("server/tests/server.rs")));
    assert_eq!(there, files(&written));

    for file in there {
        let expected = fs::read_to_string(written.join(&file)).unwrap();
        let found = fs::read_to_string(demo.join(&file)).unwrap();
        match file.to_str().unwrap() {
            "template.json" => {
                assert_eq!(without_what_is_of_demo(&found), without_what_is_of_demo(&expected));
            }
            // The one goes on with the image that needs no Dockerfile, the other with what the tests need.
            "README.md" => assert_eq!(found.split_once("\nThis directory is what").unwrap().0, expected),
            "server/Cargo.toml" => {
                let expected = expected.replace("\nversion = \"0.1.0\"\n", "\nversion = \"1.0.0\"\n");
                assert_eq!(found.split_once("\n[dev-dependencies]").unwrap().0, expected);
            }
            name => assert_eq!(found, expected, "{name}"),
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
