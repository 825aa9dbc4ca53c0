//! The report of trials as a file of JUnit XML, in the shape that Jenkins reads.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use mcp_deploy_core::{Error as CoreError, TestReport, TestStep, Verdict, one_line};
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite, XmlString};
use tempfile::NamedTempFile;

use super::test::Outcome;
use crate::error::{Error, Result};

/// A file that is there whole, with the report, or as it was before.
pub(super) struct ReportFile {
    path: PathBuf,
    written: NamedTempFile,
}

impl ReportFile {
    /// Makes sure that the file can be written. Until then another one holds its place in the directory.
    pub(super) fn at(path: PathBuf) -> Result<Self> {
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            let source = io::Error::new(ErrorKind::InvalidInput, format!("`{}` is no file", path.display()));
            return Err(unwritable(source));
        }
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let written = new_file_in(directory).map_err(|error| {
            let shown = directory.display();
            let reason = match error.kind() {
                ErrorKind::NotFound => format!("there is no `{shown}`"),
                kind => format!("`{shown}`: {kind}"),
            };
            unwritable(io::Error::new(error.kind(), reason))
        })?;
        Ok(Self { path, written })
    }

    /// Writes the report.
    pub(super) fn write(self, outcomes: &[Outcome]) -> Result<()> {
        let Self { path, mut written } = self;
        written.write_all(xml(outcomes)?.as_bytes()).map_err(unwritable)?;
        written.persist(path).map(drop::<File>).map_err(|error| unwritable(error.error))
    }
}

/// A new file with the rights of any other.
#[cfg(unix)]
fn new_file_in(directory: &Path) -> io::Result<NamedTempFile> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(directory)
}

#[cfg(not(unix))]
fn new_file_in(directory: &Path) -> io::Result<NamedTempFile> {
    NamedTempFile::new_in(directory)
}

fn unwritable(source: io::Error) -> Error {
    Error::Io { operation: "write the JUnit report", source }
}

fn xml(outcomes: &[Outcome]) -> Result<String> {
    let report = report(outcomes);
    let xml = report.to_string().map_err(|error| unwritable(io::Error::other(error)))?;
    // The schema by which Jenkins' xUnit plugin checks a report has this attribute for a suite, not for all of them.
    Ok(xml.replacen(&format!(" skipped=\"{}\"", report.skipped), "", 1))
}

/// A suite for each template, with a case for each step.
fn report(outcomes: &[Outcome]) -> Report {
    let mut report = Report::new("mcp-deploy test");
    report.set_time(outcomes.iter().filter_map(|outcome| Some(outcome.tried.as_ref().ok()?.duration)).sum());
    for Outcome { named, tried } in outcomes {
        report.add_test_suite(match tried {
            Ok(report) => tried_suite(report),
            Err(error) => refused_suite(named, error),
        });
    }
    report
}

fn tried_suite(report: &TestReport) -> TestSuite {
    let TestReport { template_id, template_version, backend, deployment_name, .. } = report;
    let TestReport { passed: _, interrupted: _, duration, steps, log_tail, left_over, .. } = report;
    let mut suite = TestSuite::new(template_id.as_str());
    suite.set_time(*duration);
    for (name, value) in [
        ("template_version", template_version.as_str()),
        ("backend", backend),
        ("deployment_name", deployment_name.as_str()),
    ] {
        suite.add_property(Property::new(name, text(value)));
    }
    suite.add_test_cases(steps.iter().map(|step| case(template_id.as_str(), step)));
    if !log_tail.is_empty() {
        suite.set_system_out(text(&log_tail.join("\n")));
    }
    if let Some(left_over) = left_over {
        suite.set_system_err(text(left_over));
    }
    suite
}

fn case(suite: &str, TestStep { name, verdict, duration }: &TestStep) -> TestCase {
    let status = match verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed { why, hint } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let hint = hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            status.set_type("failed").set_message(text(why)).set_description(text(&format!("{why}{hint}")));
            status
        }
        Verdict::Skipped { why } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(text(why));
            status
        }
    };
    let mut case = TestCase::new(text(name), status);
    case.set_classname(format!("mcp-deploy.{suite}")).set_time(*duration);
    case
}

/// A template that could not be tried is a case that met an error.
fn refused_suite(named: &str, error: &CoreError) -> TestSuite {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    let message = one_line(error);
    status.set_type(error.code()).set_message(text(&message)).set_description(text(&message));
    let mut case = TestCase::new("template", status);
    case.set_classname("mcp-deploy");
    let mut suite = TestSuite::new(text(named));
    suite.add_test_case(case);
    suite
}

/// A text without the two characters that XML cannot hold and that `XmlString` lets through.
fn text(text: &str) -> XmlString {
    XmlString::new(text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_report_is_xml_whatever_a_server_says() {
        let step = |name: &str, verdict| TestStep {
            name: name.to_owned(),
            verdict,
            duration: Duration::from_millis(7),
        };
        let why = "it is `<a b=\"c\">]]>&\u{1b}[2J\u{0}\u{fffe}`".to_owned();
        let report = TestReport {
            template_id: "demo".parse().unwrap(),
            template_version: "1.0.0".to_owned(),
            backend: "mock".to_owned(),
            deployment_name: "test-demo-x7k2q".parse().unwrap(),
            passed: false,
            interrupted: false,
            duration: Duration::from_millis(1234),
            steps: vec![
                step("deploy", Verdict::Passed),
                step("call say_hello", Verdict::Failed { why, hint: Some("try again".to_owned()) }),
                step("list", Verdict::Skipped { why: "no need".to_owned() }),
            ],
            log_tail: vec!["listening & more".to_owned()],
            left_over: Some("`test-demo-x7k2q` may still be there".to_owned()),
        };
        let tried = Outcome { named: "demo".to_owned(), tried: Ok(report) };
        let error = CoreError::invalid("/tests/0", "is no test");
        let refused = Outcome { named: "./wrong".to_owned(), tried: Err(error) };
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="mcp-deploy test" tests="4" failures="1" errors="1" time="1.234">
    <testsuite name="demo" tests="3" skipped="1" errors="0" failures="1" time="1.234">
        <properties>
            <property name="template_version" value="1.0.0"/>
            <property name="backend" value="mock"/>
            <property name="deployment_name" value="test-demo-x7k2q"/>
        </properties>
        <testcase name="deploy" classname="mcp-deploy.demo" time="0.007"/>
        <testcase name="call say_hello" classname="mcp-deploy.demo" time="0.007">
            <failure message="it is `&lt;a b=&quot;c&quot;&gt;]]&gt;&amp;REPLACED`" type="failed">it is `&lt;a b=&quot;c&quot;&gt;]]&gt;&amp;REPLACED`
hint: try again</failure>
        </testcase>
        <testcase name="list" classname="mcp-deploy.demo" time="0.007">
            <skipped message="no need"/>
        </testcase>
        <system-out>listening &amp; more</system-out>
        <system-err>`test-demo-x7k2q` may still be there</system-err>
    </testsuite>
    <testsuite name="./wrong" tests="1" skipped="0" errors="1" failures="0">
        <testcase name="template" classname="mcp-deploy">
            <error message="`/tests/0` is no test" type="invalid">`/tests/0` is no test</error>
        </testcase>
    </testsuite>
</testsuites>
"#;
        assert_eq!(xml(&[tried, refused]).unwrap(), expected.replace("REPLACED", "\u{fffd}"));
    }
}
