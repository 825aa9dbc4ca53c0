//! Reports of trials, as people read them.

use std::time::Duration;

use mcp_deploy_core::{TestReport, TestStep, Verdict};

use crate::output::{Show, lines};

impl Show for TestReport {
    fn table(&self, _wide: bool) -> String {
        let Self { template_id, template_version, backend, deployment_name, steps, .. } = self;
        let mut told = vec![format!("{template_id} {template_version} on {backend}, as `{deployment_name}`")];
        let width = steps.iter().map(|step| step.name.chars().count()).max().unwrap_or_default();
        told.extend(steps.iter().flat_map(|step| of_step(step, width)));
        if !self.log_tail.is_empty() {
            told.push("  last log lines:".to_owned());
            told.extend(self.log_tail.iter().map(|line| format!("    {line}")));
        }
        told.extend(self.left_over.iter().map(|left| format!("  warning: {left}")));
        told.push(format!("  {}, in {}", self.summary(), took(self.duration)));
        // What a server says could steer the terminal.
        lines(told.into_iter().map(|line| line.replace(char::is_control, " ")))
    }

    fn names(&self) -> Vec<&str> {
        vec![self.deployment_name.as_str()]
    }
}

impl Show for Vec<&TestReport> {
    fn table(&self, wide: bool) -> String {
        self.iter().map(|report| report.table(wide)).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.iter().flat_map(|report| report.names()).collect()
    }
}

/// The mark of a step, which reads without colour, and below it why it failed.
fn of_step(TestStep { name, verdict, duration }: &TestStep, width: usize) -> Vec<String> {
    const BELOW: &str = "           ";
    let (mark, beside) = match verdict {
        Verdict::Passed => ("ok", took(*duration)),
        Verdict::Failed { .. } => ("FAILED", took(*duration)),
        Verdict::Skipped { why } => ("skipped", why.clone()),
    };
    let mut told = vec![format!("  {mark:<7}  {name:<width$}  {beside}")];
    if let Verdict::Failed { why, hint } = verdict {
        told.extend(why.lines().map(|line| format!("{BELOW}{line}")));
        told.extend(hint.iter().map(|hint| format!("{BELOW}hint: {hint}")));
    }
    told
}

fn took(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ ..10_000 => format!("{millis} ms"),
        _ => format!("{} s", duration.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_without_colour_and_steers_no_terminal() {
        let step = |name: &str, verdict| TestStep {
            name: name.to_owned(),
            verdict,
            duration: Duration::from_millis(7),
        };
        let failed =
            Verdict::Failed { why: "it is `\u{1b}[2J`\nand more".to_owned(), hint: Some("try".to_owned()) };
        let report = TestReport {
            template_id: "demo".parse().unwrap(),
            template_version: "1.0.0".to_owned(),
            backend: "mock".to_owned(),
            deployment_name: "test-demo-x7k2q".parse().unwrap(),
            passed: false,
            interrupted: false,
            duration: Duration::from_secs(61),
            steps: vec![
                step("deploy", Verdict::Passed),
                step("call say_hello", failed),
                step("list", Verdict::Skipped { why: "no need".to_owned() }),
            ],
            log_tail: vec!["listening".to_owned()],
            left_over: Some("`test-demo-x7k2q` may still be there".to_owned()),
        };
        let expected = "\
demo 1.0.0 on mock, as `test-demo-x7k2q`
  ok       deploy          7 ms
  FAILED   call say_hello  7 ms
           it is ` [2J`
           and more
           hint: try
  skipped  list            no need
  last log lines:
    listening
  warning: `test-demo-x7k2q` may still be there
  1 of 3 steps failed, in 61 s
";
        assert_eq!(report.table(false), expected);
    }
}
