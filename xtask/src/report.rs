//! Steps that run one after another, and the table at the end: how each went and how long it took.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Runs every step even when one before it failed, and fails at the end.
#[derive(Debug, Default)]
pub(crate) struct Report {
    outcomes: Vec<Outcome>,
}

#[derive(Debug)]
struct Outcome {
    step: String,
    elapsed: Duration,
    error: Option<anyhow::Error>,
}

impl Report {
    pub(crate) fn step(&mut self, step: impl Into<String>, run: impl FnOnce() -> Result<()>) {
        let step = step.into();
        eprintln!("== {step}");
        let started = Instant::now();
        let error = run().err();
        self.outcomes.push(Outcome { step, elapsed: started.elapsed(), error });
    }

    /// Prints the table and, when a step failed, returns an error that names every such step.
    pub(crate) fn finish(self) -> Result<()> {
        eprint!("\n{}", table(&self.outcomes));
        let failed: Vec<&Outcome> = self.outcomes.iter().filter(|outcome| outcome.error.is_some()).collect();
        if failed.is_empty() {
            return Ok(());
        }

        eprintln!();
        for Outcome { step, error, .. } in &failed {
            eprintln!("{step}: {:#}", error.as_ref().expect("only failed steps are left"));
        }
        let names: Vec<&str> = failed.iter().map(|outcome| outcome.step.as_str()).collect();
        bail!("{} of {} steps failed: {}", failed.len(), self.outcomes.len(), names.join(", "));
    }
}

fn table(outcomes: &[Outcome]) -> String {
    let width = outcomes.iter().map(|outcome| outcome.step.len()).max().unwrap_or(0);
    let mut table = String::new();
    for Outcome { step, elapsed, error } in outcomes {
        let result = if error.is_some() { "FAILED" } else { "ok" };
        writeln!(table, "{step:<width$}  {:>7.1} s  {result}", elapsed.as_secs_f64())
            .expect("writing to a String does not fail");
    }
    table
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn the_table_shows_the_seconds_and_the_result_of_every_step() {
        let outcomes = [
            Outcome { step: "fmt".to_owned(), elapsed: Duration::from_millis(420), error: None },
            Outcome {
                step: "clippy".to_owned(),
                elapsed: Duration::from_secs(61),
                error: Some(anyhow!("a warning")),
            },
        ];
        assert_eq!(table(&outcomes), "fmt         0.4 s  ok\nclippy     61.0 s  FAILED\n");
    }

    #[test]
    fn a_failed_step_stops_no_other_and_is_named_at_the_end() {
        let mut report = Report::default();
        let mut last_step_ran = false;
        report.step("first", || Err(anyhow!("broken")));
        report.step("second", || Ok(()));
        report.step("third", || {
            last_step_ran = true;
            Err(anyhow!("broken too"))
        });

        let error = report.finish().unwrap_err();
        assert_eq!(error.to_string(), "2 of 3 steps failed: first, third");
        assert!(last_step_ran);
    }
}
