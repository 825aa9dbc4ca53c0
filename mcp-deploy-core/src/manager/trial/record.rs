//! The steps of a trial as they come to their end, or are stopped.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::discretion::Discretion;
use crate::{DeploymentSpec, Error, TestReport, TestStep, Verdict, one_line};

/// Why a step was left out after one was stopped.
const STOPPED: &str = "the trial was stopped";

/// Why a step failed, before it is known whether all of it may be told.
#[derive(Debug)]
pub(super) struct Why {
    why: String,
    hint: Option<String>,
}

impl Why {
    pub(super) fn of(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None }
    }
}

impl From<&Error> for Why {
    fn from(error: &Error) -> Self {
        Self { why: one_line(error), hint: error.hint() }
    }
}

/// What was tried so far.
pub(super) struct Record<'a, S> {
    began: Instant,
    steps: Vec<TestStep>,
    log_tail: Vec<String>,
    left_over: Option<String>,
    discretion: Discretion,
    stop: Pin<&'a mut S>,
    interrupted: bool,
    cut: bool,
}

impl<'a, S: Future<Output = ()>> Record<'a, S> {
    pub(super) fn new(stop: Pin<&'a mut S>, discretion: Discretion) -> Self {
        Self {
            began: Instant::now(),
            steps: Vec::new(),
            log_tail: Vec::new(),
            left_over: None,
            discretion,
            stop,
            interrupted: false,
            cut: false,
        }
    }

    /// Tries something, unless the trial is stopped before or meanwhile.
    pub(super) async fn step<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<T, Why>>,
    ) -> Option<T> {
        self.step_with_grace(name, Duration::ZERO, work).await
    }

    /// The same, of something that may go on for a while when the trial is stopped.
    pub(super) async fn step_with_grace<T>(
        &mut self,
        name: &str,
        grace: Duration,
        work: impl Future<Output = Result<T, Why>>,
    ) -> Option<T> {
        // What was stopped before is not even begun.
        self.interrupted |= !self.interrupted && self.stop.as_mut().now_or_never().is_some();
        if self.interrupted {
            self.skip(name, STOPPED);
            return None;
        }
        let began = Instant::now();
        let mut work = pin!(work);
        let outcome = tokio::select! {
            biased;
            () = poll_fn(|context| self.stop.as_mut().poll(context)) => None,
            outcome = &mut work => Some(outcome),
        };
        let Some(outcome) = outcome else {
            self.interrupted = true;
            self.cut = !grace.is_zero() && timeout(grace, work).await.is_err();
            let why = "the trial was stopped here".to_owned();
            self.push(name, began, Verdict::Skipped { why });
            return None;
        };
        self.ended(name, began, outcome)
    }

    /// Does something that nobody may stop.
    pub(super) async fn step_to_its_end<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<T, Why>>,
    ) -> Option<T> {
        let began = Instant::now();
        let outcome = work.await;
        self.ended(name, began, outcome)
    }

    /// Leaves something out.
    pub(super) fn skip(&mut self, name: &str, why: &str) {
        let why = if self.interrupted { STOPPED } else { why };
        self.push(name, Instant::now(), Verdict::Skipped { why: why.to_owned() });
    }

    /// Leaves several things out, for one reason.
    pub(super) fn skip_all(&mut self, names: &[&str], why: &str) {
        for name in names {
            self.skip(name, why);
        }
    }

    /// Keeps the last lines that the server wrote.
    pub(super) fn logs(&mut self, began: Instant, lines: Vec<String>) {
        let verdict = match lines.as_slice() {
            [] => Verdict::Skipped { why: "there are no lines of the server".to_owned() },
            _ => Verdict::Passed,
        };
        self.push("logs", began, verdict);
        self.log_tail = lines.into_iter().map(|line| self.discretion.told(&line)).collect();
    }

    pub(super) fn left_over(&mut self, left: String) {
        self.left_over = Some(left);
    }

    pub(super) fn has_failures(&self) -> bool {
        self.steps.iter().any(|step| step.verdict.is_failed())
    }

    /// Whether what may go on for a while was cut off in the end.
    pub(super) fn was_cut(&self) -> bool {
        self.cut
    }

    pub(super) fn report(self, spec: &DeploymentSpec, backend: &str) -> TestReport {
        let passed = !self.has_failures() && !self.interrupted;
        let Self { began, steps, log_tail, left_over, discretion: _, stop: _, interrupted, cut: _ } = self;
        TestReport {
            template_id: spec.template.id.clone(),
            template_version: spec.template.version.clone(),
            backend: backend.to_owned(),
            deployment_name: spec.name.clone(),
            passed,
            interrupted,
            duration: began.elapsed(),
            steps,
            log_tail,
            left_over,
        }
    }

    fn ended<T>(&mut self, name: &str, began: Instant, outcome: Result<T, Why>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.push(name, began, Verdict::Passed);
                Some(value)
            }
            Err(Why { why, hint }) => {
                let hint = hint.map(|hint| self.discretion.told(&hint));
                self.push(name, began, Verdict::Failed { why: self.discretion.told(&why), hint });
                None
            }
        }
    }

    fn push(&mut self, name: &str, began: Instant, verdict: Verdict) {
        self.steps.push(TestStep { name: name.to_owned(), verdict, duration: began.elapsed() });
    }
}
