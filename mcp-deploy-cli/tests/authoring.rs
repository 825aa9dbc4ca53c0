//! Templates as their authors meet them: written, checked, described to editors.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const LANGUAGES: [&str; 3] = ["rust", "python", "typescript"];

/// Runs `templates` with these arguments, in a directory.
fn templates(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-deploy"));
    command.arg("templates").args(arguments).current_dir(directory).env("HOME", directory);
    command.env("MCP_SETTINGS", "").env("XDG_CONFIG_HOME", directory).env("COLUMNS", "100");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What `templates validate -o json` prints, and its exit code.
fn validate(directory: &Path, paths: &[&str]) -> (Value, Option<i32>) {
    let checked = templates(directory, &[&["validate", "-o", "json"], paths].concat());
    let results = serde_json::from_slice(&checked.stdout).unwrap();
    (results, checked.status.code())
}

/// All files below a directory, by their paths in it.
fn files_below(directory: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                files.insert(path.strip_prefix(directory).unwrap().to_owned());
            }
        }
    }
    files
}

#[test]
fn a_new_template_of_every_language_is_whole_and_keeps_the_contract() {
    let home = tempfile::tempdir().unwrap();
    for language in LANGUAGES {
        let name = format!("my-{language}");
        let written = templates(home.path(), &["new", &name, "--lang", language, "-o", "json"]);
        assert!(written.status.success(), "{}", text(&written.stderr));

        let directory = home.path().join(&name);
        let scaffold = Path::new(env!("CARGO_MANIFEST_DIR")).join("scaffold").join(language);
        let without_in = |path: PathBuf| PathBuf::from(path.to_str().unwrap().trim_end_matches(".in"));
        let expected: BTreeSet<PathBuf> = files_below(&scaffold).into_iter().map(without_in).collect();
        assert_eq!(files_below(&directory), expected, "{language}");
        let listed: Value = serde_json::from_slice(&written.stdout).unwrap();
        assert_eq!(listed["files"].as_array().unwrap().len(), expected.len());
        for file in expected {
            let text = fs::read_to_string(directory.join(&file)).unwrap();
            assert!(!text.contains("{{id}}") && !text.contains("{{name}}") && !text.contains("{{version}}"));
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{}", file.display());
        }
        let template = fs::read_to_string(directory.join("template.json")).unwrap();
        assert!(
            template.contains(&format!("\"id\": \"{name}\""))
                && template.contains(&format!("\"My {language}\""))
        );

        let (results, code) = validate(home.path(), &[&name]);
        assert_eq!(code, Some(0));
        assert_eq!(results[0]["id"], name);
        assert_eq!(results[0]["violations"], Value::Array(Vec::new()), "{language}");
        assert_eq!(results[0]["warnings"], Value::Array(Vec::new()), "{language}");
    }
}

#[test]
fn what_is_there_already_is_not_touched() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("empty")).unwrap();
    fs::write(home.path().join("file"), "mine").unwrap();
    for name in ["empty", "file"] {
        let refused = templates(home.path(), &["new", name, "--lang", "rust"]);
        assert_eq!(refused.status.code(), Some(5));
        let error = text(&refused.stderr);
        assert!(error.starts_with(&format!("error: `{name}` is there already\n\nhint: ")), "{error}");
    }
    let entries: BTreeSet<_> =
        fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(entries, ["empty".into(), "file".into()].into());
    assert_eq!(fs::read_dir(home.path().join("empty")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(home.path().join("file")).unwrap(), "mine");
}

#[test]
fn a_template_is_written_where_it_is_wanted_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let refused = templates(home.path(), &["new", "demo-two", "--lang", "rust", "--directory", "nowhere"]);
    assert_eq!(refused.status.code(), Some(3));
    assert_eq!(text(&refused.stderr), "error: there is no directory `nowhere`\n");
    fs::create_dir(home.path().join("team")).unwrap();
    let written =
        templates(home.path(), &["new", "demo-two", "--lang", "rust", "--directory", "team", "-o", "name"]);
    assert_eq!(text(&written.stdout), "demo-two\n");
    assert!(home.path().join("team/demo-two/server/Cargo.toml").is_file());
    for name in ["Demo", "deploy", "a/b", "..", "x"] {
        let refused = templates(home.path(), &["new", name, "--lang", "rust"]);
        assert_eq!(refused.status.code(), Some(2), "{name}");
        assert!(text(&refused.stderr).contains("is no valid name"), "{}", text(&refused.stderr));
    }
}

#[cfg(unix)]
#[test]
fn others_may_read_what_is_written() {
    use std::os::unix::fs::PermissionsExt;

    let home = tempfile::tempdir().unwrap();
    assert!(templates(home.path(), &["new", "demo-two", "--lang", "rust"]).status.success());
    let plain = home.path().join("plain");
    fs::create_dir(&plain).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&home.path().join("demo-two")), mode(&plain));
}

#[test]
fn every_template_below_a_directory_is_checked_and_none_inside_another() {
    let home = tempfile::tempdir().unwrap();
    let template = r#"{"name": "X", "description": "X.", "version": "1"}"#;
    for directory in
        ["a-one", "group/b-two", "group/b-two/inner", "node_modules/c-three", ".git/d-four", "target/e-five"]
    {
        let directory = home.path().join(directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("template.json"), template).unwrap();
    }
    let (results, code) = validate(home.path(), &["."]);
    let ids: Vec<&str> = results.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!((ids.as_slice(), code), (["a-one", "b-two"].as_slice(), Some(0)));
}

#[test]
fn json_tells_the_file_and_the_place_of_everything_that_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("weather");
    fs::create_dir(&directory).unwrap();
    fs::write(
        directory.join("template.json"),
        r#"{"name": "W", "description": "W.", "version": "1", "tagz": []}"#,
    )
    .unwrap();
    fs::write(directory.join("Dockerfile"), "FROM a\nUSER root\nEXPOSE 8080\nHEALTHCHECK CMD x\nCMD x\n")
        .unwrap();
    let (results, code) = validate(home.path(), &["weather", "nowhere"]);
    assert_eq!(code, Some(3));
    let weather = &results[0];
    assert_eq!((&weather["path"], &weather["id"]), (&"weather/template.json".into(), &"weather".into()));
    assert_eq!(weather["violations"][0]["file"], "Dockerfile");
    assert_eq!(weather["violations"][0]["line"], 2);
    assert_eq!(weather["violations"][0]["expected"], "`USER 1000`");
    assert_eq!(weather["warnings"][0]["file"], "template.json");
    assert_eq!(weather["warnings"][0]["pointer"], "/tagz");
    assert_eq!(
        (&weather["warnings"][1]["line"], results[0]["warnings"].as_array().unwrap().len()),
        (&5.into(), 2)
    );
    assert_eq!(results[1]["violations"][0]["problem"], "there is no `nowhere`");
}

#[test]
fn the_schema_that_is_printed_is_the_one_that_new_templates_name() {
    let home = tempfile::tempdir().unwrap();
    let printed = templates(home.path(), &["schema"]);
    assert_eq!(text(&printed.stdout), fs::read_to_string("../mcp-deploy-core/template.schema.json").unwrap());
    let schema: Value = serde_json::from_slice(&printed.stdout).unwrap();
    for language in LANGUAGES {
        let template = fs::read_to_string(format!("scaffold/{language}/template.json")).unwrap();
        let template: Value = serde_json::from_str(&template).unwrap();
        assert_eq!(template["$schema"], schema["$id"]);
        for field in template.as_object().unwrap().keys() {
            assert!(schema["properties"][field].is_object(), "{field}");
        }
    }
}
