use std::fs;

use super::files::READS;
use super::git_server::link;
use super::*;

fn write(directory: &Path, id: &str, text: &str) {
    fs::create_dir_all(directory.join(id)).unwrap();
    fs::write(directory.join(id).join("template.yaml"), text).unwrap();
}

fn yaml(name: &str) -> String {
    format!("name: {name}\ndescription: Greets.\nversion: '1'\n")
}

/// The templates that are not built in, as `id name`.
fn ours(catalog: &Catalog) -> Vec<String> {
    let templates = catalog.list().templates;
    let ours = templates.values().filter(|template| template.author.is_none() && template.category.is_none());
    ours.map(|template| format!("{} {}", template.id, template.name)).collect()
}

#[test]
fn a_change_on_disk_is_seen_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "alpha", &yaml("One"));
    let catalog = Catalog::new([directory.path().to_owned()]);
    assert_eq!(ours(&catalog), ["alpha One"]);
    write(directory.path(), "alpha", &yaml("Another"));
    write(directory.path(), "beta", &yaml("Two"));
    assert_eq!(ours(&catalog), ["alpha Another", "beta Two"]);
    fs::remove_dir_all(directory.path().join("alpha")).unwrap();
    assert_eq!(ours(&catalog), ["beta Two"]);
}

#[test]
fn what_has_not_changed_is_not_read_again() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "alpha", &yaml("One"));
    let catalog = Catalog::new([directory.path().to_owned()]);
    let first = catalog.get("alpha").unwrap();
    assert!(Arc::ptr_eq(&first, &catalog.get("alpha").unwrap()));
}

#[test]
fn a_broken_template_is_reported_beside_the_good_ones() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "alpha", &yaml("One"));
    write(directory.path(), "broken", "name: [");
    fs::create_dir(directory.path().join("no-template")).unwrap();
    let catalog = Catalog::new([directory.path().to_owned(), directory.path().join("absent")]);
    assert_eq!(ours(&catalog), ["alpha One"]);
    let masked = |text: String| text.replace(&directory.path().display().to_string(), "DIR");
    let lines = catalog
        .list()
        .broken
        .into_iter()
        .map(|Broken { path, error, .. }| format!("{}: {error}", path.display()));
    insta::assert_snapshot!(masked(lines.collect::<Vec<_>>().join("\n")), @"
    DIR/broken/template.yaml: `DIR/broken/template.yaml` is neither JSON nor YAML (line 1, column 7)
    DIR/absent: there is no `DIR/absent`
    ");
    insta::assert_snapshot!(masked(catalog.get("broken").unwrap_err().to_string()), @"`DIR/broken/template.yaml` is neither JSON nor YAML (line 1, column 7)");
}

#[test]
fn a_template_of_ones_own_wins_over_a_built_in_one() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "demo", &yaml("Mine"));
    assert_eq!(Catalog::new([directory.path().to_owned()]).get("demo").unwrap().name, "Mine");
}

#[test]
fn a_broken_template_of_ones_own_is_not_replaced_by_a_built_in_one() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "demo", "name: [");
    let catalog = Catalog::new([directory.path().to_owned()]);
    assert!(matches!(catalog.get("demo"), Err(Error::Invalid { .. })));
    assert!(
        catalog.list().templates.keys().any(|id| id.as_str() == "demo"),
        "it hides the built-in one from lists"
    );
}

#[test]
fn a_file_that_comes_first_is_seen_when_it_is_added() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "alpha", &yaml("One"));
    let catalog = Catalog::new([directory.path().to_owned()]);
    assert_eq!(ours(&catalog), ["alpha One"]);
    fs::write(directory.path().join("alpha/template.json"), yaml("Two")).unwrap();
    assert_eq!(ours(&catalog), ["alpha Two"]);
}

#[test]
fn an_unknown_id_names_the_nearest() {
    let error = Catalog::default().get("dmeo").unwrap_err();
    assert_eq!(error.to_string(), "no template `dmeo`; did you mean `demo`?");
}

#[test]
fn a_template_is_loaded_from_a_file_or_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "alpha", &yaml("One"));
    let home = directory.path().join("alpha");
    assert_eq!(Catalog::load(&home).unwrap().id.as_str(), "alpha");
    assert_eq!(Catalog::load(&home.join("template.yaml")).unwrap().id.as_str(), "alpha");
    fs::write(home.join("weather.yaml"), yaml("Weather")).unwrap();
    assert_eq!(Catalog::load(&home.join("weather.yaml")).unwrap().id.as_str(), "weather");
    let complaint = |path: &Path| {
        let error = Catalog::load(path).unwrap_err().to_string();
        error.replace(&directory.path().display().to_string(), "DIR")
    };
    insta::assert_snapshot!(complaint(directory.path()), @"`DIR` holds none of `template.json`, `template.yaml`, `template.yml`");
    insta::assert_snapshot!(complaint(&home.join("absent")), @"there is no `DIR/alpha/absent`");
    fs::write(home.join("latin"), b"name: \xff").unwrap();
    insta::assert_snapshot!(complaint(&home.join("latin")), @"`DIR/alpha/latin` is no text in UTF-8");
}

#[test]
fn a_template_knows_the_directory_of_its_file() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "alpha", &yaml("One"));
    let home = directory.path().join("alpha");
    let catalog = Catalog::new([directory.path().to_owned()]);
    assert_eq!(catalog.get("alpha").unwrap().directory, Some(home.clone()));
    assert_eq!(Catalog::load(&home.join("template.yaml")).unwrap().directory, Some(home));
    assert_eq!(catalog.get("demo").unwrap().directory, None);
}

#[test]
fn a_huge_file_is_refused_before_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("template.json");
    // Sparse: it has 50 MB and takes no room.
    fs::File::create(&file).unwrap().set_len(50_000_000).unwrap();
    let error = Catalog::load(&file).unwrap_err().to_string();
    assert!(error.ends_with("has 50 MB; at most 1 MiB is read"), "{error}");
}

#[test]
fn a_template_is_found_at_any_of_the_usual_depths() {
    let directory = tempfile::tempdir().unwrap();
    for place in [
        "alpha",
        "templates/beta",
        "data/tools/gamma",
        "a/b/c/delta",
        "a/b/c/d/too-deep",
        "alpha/inside-another",
        ".hidden/x",
        "node_modules/y",
        "target/z",
    ] {
        write(directory.path(), place, &yaml("It"));
    }
    let found = ["alpha It", "beta It", "delta It", "gamma It"];
    assert_eq!(ours(&Catalog::new([directory.path().to_owned()])), found);
    let one = Catalog::new([directory.path().join("alpha")]);
    assert_eq!(ours(&one), ["alpha It"], "the source itself may be a template");
}

#[test]
fn a_clash_of_ids_is_resolved_by_the_order_of_sources_and_shown() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(one.path(), "alpha", &yaml("First"));
    write(one.path(), "twin", &format!("id: alpha\n{}", yaml("Twin")));
    write(two.path(), "alpha", &yaml("Second"));
    write(two.path(), "demo", &yaml("Mine"));
    let catalog = Catalog::new([one.path().to_owned(), two.path().to_owned()]);
    assert_eq!(ours(&catalog), ["alpha First", "demo Mine"]);
    let Templates { hidden, broken, sources, .. } = catalog.list();
    assert!(broken.is_empty());
    let lines = hidden.iter().map(|Hidden { id, place, by }| format!("{id} at {place} by {by}"));
    let lines = lines.collect::<Vec<_>>().join("\n");
    let lines =
        lines.replace(&*one.path().to_string_lossy(), "ONE").replace(&*two.path().to_string_lossy(), "TWO");
    insta::assert_snapshot!(lines, @r"
    alpha at `ONE/twin/template.yaml` by `ONE/alpha/template.yaml`
    alpha at `TWO/alpha/template.yaml` by `ONE/alpha/template.yaml`
    demo at the built-in one by `TWO/demo/template.yaml`
    ");
    assert_eq!(sources.iter().map(|source| source.templates).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn a_template_knows_its_source() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "alpha", &yaml("One"));
    let templates = Catalog::new([directory.path().to_owned()]).list();
    let source = |id: &str| templates.source(&id.parse().unwrap()).unwrap().clone();
    assert_eq!(source("alpha"), Source::Directory { path: directory.path().to_owned() });
    assert_eq!(source("demo"), Source::BuiltIn);
}

#[test]
fn a_link_that_leaves_the_source_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    for id in ["alpha", "beta", "gamma"] {
        write(&root, id, &yaml("It"));
    }
    write(directory.path(), "outside", &yaml("It"));
    link("../outside", &root.join("delta"));
    link("/no/such/file", &root.join("beta/data"));
    link("../alpha/template.yaml", &root.join("gamma/inside"));
    let catalog = Catalog::new([root]);
    assert_eq!(ours(&catalog), ["alpha It", "gamma It"]);
    let masked = |text: String| text.replace(&directory.path().display().to_string(), "DIR");
    let lines = catalog.list().broken.into_iter().map(|broken| format!("{}: {}", broken.place, broken.error));
    insta::assert_snapshot!(masked(lines.collect::<Vec<_>>().join("\n")), @r"
    `DIR/root/beta/template.yaml`: `data` is a symbolic link that leads out of its source
    `DIR/root/delta`: `DIR/root/delta` is a symbolic link that leads out of its source
    ");
}

#[test]
fn nothing_is_read_twice() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "alpha", &yaml("One"));
    write(directory.path(), "broken", "name: [");
    let catalog = Catalog::new([directory.path().to_owned()]);
    let reads = |look: &dyn Fn()| {
        let before = READS.get();
        look();
        READS.get() - before
    };
    assert_eq!(reads(&|| drop(catalog.get("broken").unwrap_err())), 2, "each file once");
    assert_eq!(
        reads(&|| drop((catalog.list(), catalog.overview(), catalog.get("alpha"), catalog.get("broken")))),
        0
    );
    write(directory.path(), "alpha", &yaml("Another"));
    assert_eq!(reads(&|| drop(catalog.list())), 1, "what has changed");
}

#[test]
fn repositories_need_a_place_for_their_copies() {
    let settings = Settings { template_repositories: vec!["/srv/x".parse().unwrap()], ..Settings::default() };
    let error = Catalog::from_settings(&settings).unwrap_err().to_string();
    assert_eq!(
        error,
        "`/templates_cache` is missing: the directory that copies of `template_repositories` are kept in; `MCP_TEMPLATES_CACHE` names it"
    );
}

/// A directory of one template, with these tests beside it.
fn tested(tests: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let template = yaml("One") + "id: alpha\ntools: [{name: greet}]\n";
    fs::write(directory.path().join("template.yaml"), template).unwrap();
    fs::write(directory.path().join("tests.json"), tests).unwrap();
    directory
}

#[test]
fn the_tests_beside_a_template_are_its_own_and_are_read_again_when_they_change() {
    let parent = tempfile::tempdir().unwrap();
    write(parent.path(), "alpha", &yaml("One"));
    let catalog = Catalog::new([parent.path().to_owned()]);
    assert!(catalog.get("alpha").unwrap().tests.is_empty());
    fs::write(parent.path().join("alpha/tests.json"), r#"[{"tool": "greet", "equals": null}]"#).unwrap();
    let template = catalog.get("alpha").unwrap();
    assert_eq!(
        (&*template.tests[0].tool, &template.tests[0].equals),
        ("greet", &Some(serde_json::Value::Null))
    );
}

#[test]
fn what_is_wrong_with_template_and_tests_is_told_at_once() {
    let directory = tested("[{]");
    let file = directory.path().join("template.yaml");
    fs::write(&file, "id: alpha\nname: One\nversion: '1'\n").unwrap();
    let error = Catalog::load(directory.path()).unwrap_err().to_string();
    assert!(
        error.contains("tests.json` is not JSON") && error.contains("`/description` is missing"),
        "{error}"
    );
    fs::write(&file, yaml("One") + "id: alpha\ntests: []\n").unwrap();
    fs::write(directory.path().join("tests.json"), "[]").unwrap();
    let error = Catalog::load(directory.path()).unwrap_err().to_string();
    assert!(
        error.starts_with("`/tests` is given, and `") && error.ends_with("keep one of the two"),
        "{error}"
    );
}

#[test]
fn tests_of_another_template_beside_a_file_are_not_taken_for_its_own() {
    let directory = tested("[{]");
    let other = directory.path().join("other.yaml");
    fs::write(&other, yaml("Other") + "id: other\n").unwrap();
    assert!(Catalog::load(&other).unwrap().tests.is_empty());
}

#[test]
fn tests_are_as_bounded_as_a_template() {
    let directory = tested(&format!("[{}]", " ".repeat(2_000_000)));
    let error = Catalog::load(directory.path()).unwrap_err().to_string();
    assert!(error.ends_with("has 3 MB; at most 1 MiB is read"), "{error}");
}

#[cfg(unix)]
#[test]
fn tests_that_lie_elsewhere_are_refused_and_no_pipe_is_waited_for() {
    let elsewhere = tested("[]");
    let directory = tested("[]");
    let file = directory.path().join("tests.json");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("tests.json"), &file).unwrap();
    let error = Catalog::load(directory.path()).unwrap_err().to_string();
    assert!(error.contains("is a link that leaves the template's directory"), "{error}");
    fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    let error = Catalog::load(directory.path()).unwrap_err().to_string();
    assert!(error.ends_with("tests.json` is no file"), "{error}");
}
