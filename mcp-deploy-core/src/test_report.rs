//! What a trial of a template found.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::{DeploymentName, TemplateId};

/// What a trial of a template found, step by step. No value of a secret is in it, whatever the server answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestReport {
    /// The template.
    pub template_id: TemplateId,
    /// Its version.
    pub template_version: String,
    /// The backend on which it was tried.
    pub backend: String,
    /// The throw-away name under which it was deployed.
    pub deployment_name: DeploymentName,
    /// Whether it did all that it promises: no step failed, and nobody stopped the trial.
    pub passed: bool,
    /// Whether the trial was stopped before its end.
    pub interrupted: bool,
    /// How long it took.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The steps, in their order.
    pub steps: Vec<TestStep>,
    /// The last lines that the server wrote, where a step failed.
    pub log_tail: Vec<String>,
    /// What is still there against all intention, and how it is removed.
    pub left_over: Option<String>,
}

/// One step of a trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestStep {
    /// What was tried: a verb of the manager, or a call of a tool.
    pub name: String,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How long it took.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It went as it should.
    Passed,
    /// It did not.
    Failed {
        /// What happened instead.
        why: String,
        /// What to do about it, where there is something to say.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// It was not tried.
    Skipped {
        /// What kept it from being tried.
        why: String,
    },
}

impl TestReport {
    /// What came of it, as a phrase.
    pub fn summary(&self) -> String {
        let (failed, all) = (self.failures().count(), self.steps.len());
        match (failed, self.interrupted) {
            (0, false) => "passed".to_owned(),
            (0, true) => "stopped before its end".to_owned(),
            (failed, false) => format!("{failed} of {all} steps failed"),
            (failed, true) => format!("{failed} of {all} steps failed, and it was stopped before its end"),
        }
    }

    /// The steps that failed.
    pub fn failures(&self) -> impl Iterator<Item = &TestStep> {
        self.steps.iter().filter(|step| step.verdict.is_failed())
    }
}

impl Verdict {
    /// Whether it is one of a step that failed.
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// The word, as it stands in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// In whole milliseconds.
fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
