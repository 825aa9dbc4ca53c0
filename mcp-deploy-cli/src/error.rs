//! What ends a command early: how it is told on stderr, and the exit code.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;

use mcp_deploy_core::{Error as CoreError, Failure, Violations, causes};
use serde::Serialize;

#[cfg(feature = "authoring")]
use crate::commands::authoring::AuthoringError;
use crate::output::{Format, talk};

/// A result whose error is [`Error`], unless said otherwise.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What ends a command early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The verbs that failed, each on its own name or backend.
    #[error("{} verbs failed", .0.len())]
    Verbs(Vec<CoreError>),
    /// The server has no tool of this name.
    #[error("`{deployment}` has no tool `{tool}`; {alternative}")]
    ToolNotFound { tool: String, deployment: String, alternative: String },
    /// The tool ran and answered that it failed; its answer is on stdout.
    #[error("the tool `{0}` answered that it failed")]
    ToolFailed(String),
    /// What only authors of templates meet.
    #[cfg(feature = "authoring")]
    #[error(transparent)]
    Authoring(#[from] AuthoringError),
    /// The program's own input and output.
    #[error("failed to {operation}")]
    Io { operation: &'static str, source: io::Error },
    /// The HTTP API cannot be served.
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Serve(#[from] mcp_deploy_http::ServeError),
    /// Whoever read stdout has read enough.
    #[error("stdout is closed")]
    ClosedPipe,
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl From<CoreError> for Error {
    fn from(error: CoreError) -> Self {
        Self::Verbs(vec![error])
    }
}

impl Error {
    /// The exit code; of several errors that of the first.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Verbs(errors) => errors.first().map_or(1, exit_code),
            #[cfg(feature = "authoring")]
            Self::Authoring(error) => error.exit_code(),
            Self::ToolNotFound { .. } => 4,
            Self::ToolFailed(_) | Self::Io { .. } => 1,
            #[cfg(feature = "serve")]
            Self::Serve(error) => match error {
                mcp_deploy_http::ServeError::Settings(_) => 3,
                mcp_deploy_http::ServeError::Bind { .. } => 5,
                _ => 1,
            },
            Self::ClosedPipe => 0,
            Self::Interrupted => 130,
        }
    }

    /// Tells it on stderr: as JSON, one object for each error, where the output is JSON.
    pub(crate) fn tell(&self, format: Format) {
        for report in self.reports() {
            match format {
                Format::Json => talk(&report.json()),
                _ => talk(&report.text()),
            }
        }
    }

    fn reports(&self) -> Vec<Report<'_>> {
        match self {
            Self::Verbs(errors) => errors.iter().map(Report::of_verb).collect(),
            #[cfg(feature = "authoring")]
            Self::Authoring(error) => error.reports(),
            Self::ToolNotFound { .. } => vec![Report::new("tool_not_found", self)],
            Self::ToolFailed(_) => vec![Report::new("tool_failed", self)],
            Self::Io { .. } => vec![Report::new("io", self)],
            #[cfg(feature = "serve")]
            Self::Serve(error) => vec![Report::new("serve", error)],
            Self::ClosedPipe | Self::Interrupted => Vec::new(),
        }
    }
}

/// The exit code of an error's kind, as `--help` lists them.
pub(crate) fn exit_code(error: &CoreError) -> u8 {
    match error {
        CoreError::Invalid { .. } => 3,
        CoreError::TemplateNotFound { .. }
        | CoreError::NotFound { .. }
        | CoreError::BackendNotFound { .. } => 4,
        CoreError::Conflict { .. } | CoreError::Superseded { .. } => 5,
        CoreError::Unavailable { .. } => 6,
        CoreError::Denied { .. } => 7,
        CoreError::Failed { .. } | CoreError::Timeout { .. } => 8,
        CoreError::Unsupported { .. } => 9,
        _ => 1,
    }
}

/// Which command helps, where the error itself knows no way out.
fn hint(error: &CoreError) -> Option<String> {
    let hint = match error {
        CoreError::TemplateNotFound { nearest: None, .. } => {
            "`mcp-deploy templates list` lists them; a directory is written like `./my-template`"
        }
        CoreError::NotFound { nearest: None, .. } => "`mcp-deploy list` lists the deployments",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// An error as it is told.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<&'a Violations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(code: &'static str, error: &dyn StdError) -> Self {
        Self {
            code,
            message: error.to_string(),
            causes: causes(error),
            violations: None,
            failure: None,
            hint: None,
        }
    }

    pub(crate) fn of_verb(error: &'a CoreError) -> Self {
        Self {
            violations: match error {
                CoreError::Invalid { violations } => Some(violations),
                _ => None,
            },
            failure: match error {
                CoreError::Failed { failure, .. } => Some(failure),
                _ => None,
            },
            hint: error.hint().or_else(|| hint(error)),
            ..Self::new(error.code(), error)
        }
    }

    /// The same in other words.
    #[cfg(feature = "authoring")]
    pub(crate) fn saying(self, message: String) -> Self {
        Self { message, ..self }
    }

    /// The same with a way out.
    #[cfg(feature = "authoring")]
    pub(crate) fn hint(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }

    fn json(&self) -> String {
        serde_json::json!({ "error": self }).to_string()
    }

    fn text(&self) -> String {
        let Self { code: _, message, causes, violations: _, failure, hint } = self;
        let mut text = format!("error: {message}");
        for cause in causes {
            write!(text, "\n  caused by: {cause}").expect(STRING);
        }
        if let Some(failure) = failure {
            for (title, lines) in [("last log lines", &failure.log_tail), ("events", &failure.events)] {
                if !lines.is_empty() {
                    write!(text, "\n  {title}:\n    {}", lines.join("\n    ")).expect(STRING);
                }
            }
        }
        if let Some(hint) = hint {
            write!(text, "\n\nhint: {hint}").expect(STRING);
        }
        // A server's log lines could steer the terminal.
        text.replace(|c: char| c.is_control() && c != '\n', " ")
    }
}

const STRING: &str = "writing to a String does not fail";

#[cfg(test)]
mod tests {
    use mcp_deploy_core::FailureReason;

    use super::*;

    fn crash() -> CoreError {
        let failure = Failure::new(FailureReason::CrashLoop, "the server ended with code 3")
            .exit_code(3)
            .log_tail(vec!["reading config".to_owned(), "no such key".to_owned()]);
        CoreError::Failed { name: "demo-one".parse().unwrap(), failure: Box::new(failure), recovery: None }
    }

    #[test]
    fn a_failure_is_told_with_its_evidence_and_the_way_out() {
        let expected = "\
error: `demo-one` failed: crash_loop: the server ended with code 3
  last log lines:
    reading config
    no such key

hint: the last log lines say why the server ended; check its configuration";
        assert_eq!(Report::of_verb(&crash()).text(), expected);
    }

    #[test]
    fn log_lines_do_not_steer_the_terminal() {
        let failure =
            Failure::new(FailureReason::CrashLoop, "ended").log_tail(vec!["\u{1b}]0;owned\u{7}".to_owned()]);
        let error = CoreError::Failed {
            name: "demo-one".parse().unwrap(),
            failure: Box::new(failure),
            recovery: None,
        };
        assert!(Report::of_verb(&error).text().contains("\n     ]0;owned "));
    }

    #[test]
    fn as_json_it_has_the_code_and_the_whole_failure() {
        let json: serde_json::Value = serde_json::from_str(&Report::of_verb(&crash()).json()).unwrap();
        assert_eq!(json["error"]["code"], "failed");
        assert_eq!(json["error"]["failure"]["exit_code"], 3);
        assert_eq!(json["error"]["violations"], serde_json::Value::Null);
    }

    #[test]
    fn causes_are_told_once() {
        let error = CoreError::backend("mock", "read its state", io::Error::other("disk on fire"));
        assert_eq!(
            Report::of_verb(&error).text(),
            "error: mock failed to read its state\n  caused by: disk on fire"
        );
    }

    #[test]
    fn each_kind_has_its_exit_code_and_the_first_of_several_counts() {
        let unsupported = CoreError::Unsupported { backend: "mock", feature: "exposure".to_owned() };
        assert_eq!(Error::Verbs(vec![crash(), unsupported]).exit_code(), 8);
        assert_eq!(Error::from(CoreError::invalid("", "wrong")).exit_code(), 3);
        assert_eq!(Error::ClosedPipe.exit_code(), 0);
    }
}
