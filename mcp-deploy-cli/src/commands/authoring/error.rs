//! What ends a command of authors early, besides what ends any command.

use std::path::PathBuf;

use mcp_deploy_core::Error as CoreError;

use super::test::Outcome;
use crate::error::{Report, exit_code};

/// What ends a command of authors early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Templates that were checked break rules; which, is on stdout.
    #[error("rules are broken by {broken} of {checked} template{}", if *.checked == 1 { "" } else { "s" })]
    BrokenTemplates { broken: usize, checked: usize },
    /// What would be written is there already; it was not touched.
    #[error("`{}` is there already", .0.display())]
    Exists(PathBuf),
    /// The trials that did not pass.
    #[error("{} trials did not pass", .0.len())]
    NotPassed(Vec<NotPassed>),
}

/// Why the trial of a template did not pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPassed {
    /// It could not be tried.
    #[error("`{named}` was not tried: {error}")]
    Refused { named: String, error: CoreError },
    /// It does not do what it promises; the report says what.
    #[error("the trial of `{named}` did not pass: {summary}")]
    Failed { named: String, summary: String },
}

impl NotPassed {
    /// Why a trial did not pass; `None` where it did, or was stopped before anything failed.
    pub(super) fn of(Outcome { named, tried }: Outcome) -> Option<Self> {
        match tried {
            Err(error) => Some(Self::Refused { named, error }),
            Ok(report) if report.failures().next().is_some() => {
                Some(Self::Failed { named, summary: report.summary() })
            }
            Ok(_) => None,
        }
    }

    fn report(&self) -> Report<'_> {
        match self {
            Self::Refused { error, .. } => Report::of_verb(error).saying(self.to_string()),
            Self::Failed { .. } => Report::new("test_failed", self),
        }
    }
}

impl Error {
    /// The exit code; of several trials that of the first.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::BrokenTemplates { .. } => 3,
            Self::Exists(_) => 5,
            Self::NotPassed(trials) => match trials.first() {
                Some(NotPassed::Refused { error, .. }) => exit_code(error),
                _ => 8,
            },
        }
    }

    pub(crate) fn reports(&self) -> Vec<Report<'_>> {
        match self {
            Self::BrokenTemplates { .. } => vec![Report::new("invalid", self)],
            Self::Exists(_) => {
                let hint = "choose another name or another `--directory`, or move it away";
                vec![Report::new("conflict", self).hint(hint)]
            }
            Self::NotPassed(trials) => trials.iter().map(NotPassed::report).collect(),
        }
    }
}
