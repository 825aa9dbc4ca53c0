//! What the README says beside its tour.

use std::fs;

use crate::{Program, text};

#[test]
fn the_trial_of_the_readme_is_what_happens() {
    let tried = Program::new().run(&["test", "demo"]);
    let told = text(&tried.stderr).to_owned() + text(&tried.stdout);
    let readme = fs::read_to_string("../README.md").unwrap();
    let (_, shown) = readme.split_once("$ mcp-deploy test demo\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert_eq!(without_chance(&told), without_chance(shown));
}

/// Without the suffixes of names and the durations, which are others each time.
fn without_chance(text: &str) -> Vec<String> {
    let is_chance = |word: &&str| !word.starts_with("`test-") && word.parse::<u64>().is_err();
    text.lines().map(|line| line.split_whitespace().filter(is_chance).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_fields_that_the_readme_operates_with_reach_the_cluster() {
    let program = Program::new();
    let readme = fs::read_to_string("../README.md").unwrap();
    let (_, section) = readme.split_once("## Operating").unwrap();
    let fields = section.split("```yaml").nth(1).unwrap().split("```").next().unwrap();
    let file = program.home.path().join("template.yaml");
    fs::write(&file, format!("id: weather\nname: W\ndescription: W.\nversion: '1'\n{fields}")).unwrap();
    let rendered = program.run(&["render", file.to_str().unwrap(), "--name", "weather-one"]);
    assert!(!text(&rendered.stderr).contains("warning"), "{}", text(&rendered.stderr));
    let objects = text(&rendered.stdout);
    for expected in [
        "kind: HorizontalPodAutoscaler",
        "averageUtilization: 70",
        "maxReplicas: 6",
        "kubernetes.io/arch: amd64",
        "key: dedicated",
        "priorityClassName: mcp-servers",
        "name: registry-login",
    ] {
        assert!(objects.contains(expected), "{expected} is not in {objects}");
    }
}

#[test]
fn every_command_that_the_readme_names_is_there_with_its_options() {
    let program = Program::new();
    let readme = fs::read_to_string("../README.md").unwrap();
    let prose = || readme.split("```").step_by(2);
    let lines = prose().flat_map(str::lines).filter_map(|line| line.strip_prefix("    "));
    let spans = prose().flat_map(|prose| prose.split('`').skip(1).step_by(2)).chain(lines);
    let mut named = 0;
    for span in spans.filter(|span| span.starts_with("mcp-deploy ")) {
        let span = span.replace("--backend docker ", "").replace("--backend kubernetes ", "");
        let words: Vec<&str> = span.split_whitespace().skip(1).collect();
        if matches!(words[0], "build" | "help") {
            continue;
        }
        let is_verb = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase());
        let subcommands = if matches!(words[0], "templates" | "setup" | "token") { 2 } else { 1 };
        let mut command: Vec<&str> = words.iter().filter(is_verb).take(subcommands).copied().collect();
        command.push("--help");
        let help = program.run(&command);
        assert!(help.status.success(), "`{span}`: {}", text(&help.stderr));
        let options = words.iter().filter(|word| word.starts_with("--"));
        for option in options {
            assert!(text(&help.stdout).contains(option), "`{span}`: there is no {option}");
        }
        named += 1;
    }
    assert!(named > 20, "only {named} commands were found");
}
