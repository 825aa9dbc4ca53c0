//! A Dockerfile as the builder reads it, and whether its image keeps the contract with the template.

mod buildkit;
mod contract;
mod read;
mod stages;
mod words;

use std::fmt;

use serde::Serialize;

use crate::{Error, Template, Violation, Violations};

/// A Dockerfile, taken apart into its instructions.
///
/// ```
/// use mcp_deploy_core::Dockerfile;
///
/// let dockerfile = Dockerfile::parse("FROM alpine:3\nRUN --mount=type=cache,target=/var/cache \\\n  apk add curl\n")?;
/// let run = &dockerfile.instructions()[1];
/// assert_eq!((run.line, run.keyword.as_str(), run.arguments.as_str()), (2, "RUN", "apk add curl"));
/// assert_eq!(dockerfile.needs_buildkit(), [(2, "`RUN --mount`".to_owned())]);
/// # Ok::<(), mcp_deploy_core::DockerfileError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    escape: char,
    syntax: Option<(usize, String)>,
    instructions: Vec<Instruction>,
}

/// One instruction, its continued lines joined and comments between them left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// The line on which it begins; the first is 1.
    pub line: usize,
    /// `FROM`, `RUN` and the like, in capitals.
    pub keyword: String,
    /// `--platform=…`, `--mount=…` and the like, in their order.
    pub flags: Vec<Flag>,
    /// What follows the keyword and its flags, as it is written.
    pub arguments: String,
    /// Whether it takes files or a script from the lines below it (`<<EOF`).
    pub heredoc: bool,
}

/// A flag of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Its name, without dashes.
    pub name: String,
    /// What follows `=`; empty where nothing does.
    pub value: String,
}

/// What is said about one line of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The line; the first is 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

/// What a check of a Dockerfile found, in the order of the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Where the image cannot keep the contract.
    pub violations: Vec<Finding>,
    /// What is unwise, or cannot be told from the Dockerfile alone.
    pub warnings: Vec<Finding>,
}

/// Why a text is no Dockerfile: everything that the builder would stop at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Violations::from(self))]
pub struct DockerfileError {
    /// The lines, and what is wrong with each.
    pub findings: Vec<Finding>,
}

impl Dockerfile {
    /// Takes a text apart: directives, comments, continued lines and here-documents as the builder does.
    ///
    /// # Errors
    ///
    /// Every line that no builder takes: an unknown instruction, one before `FROM`, one without arguments, a
    /// here-document without an end.
    pub fn parse(text: &str) -> Result<Self, DockerfileError> {
        read::dockerfile(text)
    }

    /// The instructions, in their order.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The lines that the classic builder cannot build and BuildKit can, each with what needs it.
    pub fn needs_buildkit(&self) -> Vec<(usize, String)> {
        buildkit::needs(self)
    }

    /// Holds it against what every backend expects of a template's image: it exposes the template's port, has a
    /// `HEALTHCHECK`, does not run as root, carries no secret, and says what runs. Nothing is built: what a base
    /// image brings is not known.
    pub fn check(&self, template: &Template) -> Findings {
        contract::check(self, template)
    }
}

impl Instruction {
    /// The value of a flag, where it is given.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|flag| flag.name == name).map(|flag| flag.value.as_str())
    }

    /// The words of the exec form, `["a", "b"]`; `None` in the shell form.
    pub fn exec_form(&self) -> Option<Vec<String>> {
        serde_json::from_str(&self.arguments).ok()
    }
}

impl Finding {
    /// Something about a line.
    pub fn new(line: usize, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into(), expected: None }
    }

    /// Says what would be right.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dockerfile:{}: {}", self.line, self.problem)?;
        self.expected.as_ref().map_or(Ok(()), |expected| write!(f, "; {expected}"))
    }
}

impl From<&DockerfileError> for Violations {
    fn from(error: &DockerfileError) -> Self {
        let mut violations = Self::default();
        for finding in &error.findings {
            violations.push(Violation::new("", finding.to_string()));
        }
        violations
    }
}

impl From<DockerfileError> for Error {
    fn from(error: DockerfileError) -> Self {
        Violations::from(&error).into()
    }
}

#[cfg(test)]
mod tests;
