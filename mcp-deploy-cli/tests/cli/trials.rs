//! Trials of templates, as a person meets them.

use std::fs;
#[cfg(unix)]
use std::io::{BufRead, BufReader};
#[cfg(unix)]
use std::path::PathBuf;
#[cfg(unix)]
use std::process::{Child, Command, Stdio};
#[cfg(unix)]
use std::time::Duration;

use quick_junit::Report;
use serde_json::Value;

use crate::{Program, check, text};

#[test]
fn templates_are_tried() {
    check("test");
}

#[test]
fn the_report_of_trials_is_whole_in_a_file_and_on_stdout() {
    let program = Program::new();
    let file = program.home.path().join("report.xml");
    fs::write(&file, "before").unwrap();
    let greeter = "tests/cmd/test.in/greeter";
    let tried =
        program.run(&["test", greeter, "nope", "demo", "-o", "json", "--junit", file.to_str().unwrap()]);
    assert_eq!(tried.status.code(), Some(8));
    let reports: Value = serde_json::from_slice(&tried.stdout).unwrap();
    assert_eq!((&reports[0]["passed"], &reports[1]["passed"]), (&Value::Bool(false), &Value::Bool(true)));
    let errors: Vec<Value> =
        text(&tried.stderr).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let codes: Vec<&Value> = errors.iter().map(|error| &error["error"]["code"]).collect();
    assert_eq!(codes, ["test_failed", "template_not_found"]);

    let report = Report::deserialize_from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let suites: Vec<(&str, usize, usize)> =
        report.test_suites.iter().map(|suite| (suite.name.as_str(), suite.failures, suite.errors)).collect();
    assert_eq!(suites, [("greeter", 1, 0), ("nope", 0, 1), ("demo", 0, 0)]);
    let cases: Vec<&str> = report.test_suites[2].test_cases.iter().map(|case| case.name.as_str()).collect();
    let steps = reports[1]["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap());
    assert_eq!(cases, steps.collect::<Vec<_>>());
    // Nothing else is in the directory: no deployment, and no half of a report.
    assert_eq!(program.json(&["list", "-o", "json"]), Value::Array(Vec::new()));
    assert_eq!(fs::read_dir(program.home.path()).unwrap().count(), 3);
}

#[cfg(unix)]
#[test]
fn a_trial_that_is_interrupted_removes_what_it_has_deployed() {
    for signal in ["-INT", "-TERM"] {
        let program = Program::new();
        let trial = Trial::start(&program, "{slow_start_ms: 60000}");
        trial.interrupt(signal);
        let ended = trial.child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130), "{}", text(&ended.stderr));
        assert!(text(&ended.stderr).contains("interrupted: what was deployed is removed"));
        let report = text(&ended.stdout);
        assert!(report.contains("skipped  start") && report.contains("ok       delete"), "{report}");
        assert!(report.contains("stopped before its end") && trial.file.is_file(), "{report}");
        assert_eq!(program.json(&["list", "-o", "json"]), Value::Array(Vec::new()));
    }
}

#[cfg(unix)]
#[test]
fn a_removal_that_takes_too_long_is_given_up_at_the_second_ctrl_c() {
    let program = Program::new();
    let mut trial = Trial::start(&program, "{slow_start_ms: 60000, unavailable_calls: 1000000}");
    trial.interrupt("-INT");
    let mut told = BufReader::new(trial.child.stderr.take().unwrap()).lines().map(Result::unwrap);
    told.find(|line| line.starts_with("interrupted: ")).unwrap();
    trial.interrupt("-INT");
    assert!(told.any(|line| line.contains("given up; `mcp-deploy list` shows what is left")));
    assert_eq!(trial.child.wait().unwrap().code(), Some(130));
    assert!(!trial.file.exists());
}

/// A trial that goes on until somebody stops it.
#[cfg(unix)]
struct Trial {
    child: Child,
    file: PathBuf,
}

#[cfg(unix)]
impl Trial {
    /// Starts the trial of a template that the mock simulates so, and waits until it has deployed.
    fn start(program: &Program, mock: &str) -> Self {
        let template = program.home.path().join("slow.yaml");
        let file = program.home.path().join("report.xml");
        fs::write(&template, format!("{{id: slow, name: S, description: S., version: '1', mock: {mock}}}"))
            .unwrap();
        let arguments = ["test", template.to_str().unwrap(), "--junit", file.to_str().unwrap()];
        let mut command = program.command(&arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let state = program.home.path().join("mock.json");
        while !fs::read_to_string(&state).is_ok_and(|state| state.contains("test-slow-")) {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, file }
    }

    fn interrupt(&self, signal: &str) {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
    }
}
