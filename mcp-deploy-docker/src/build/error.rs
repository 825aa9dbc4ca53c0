//! Why an image is not built, sorted into what a caller can act on.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use mcp_deploy_core::{DockerfileError, Error};

use super::ignore::PatternError;
use crate::names::BACKEND;

/// Why an image is not built.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error("`{}` holds no Dockerfile; an image is built from one beside `template.json`", .directory.display())]
    NoDockerfile { directory: PathBuf },
    #[error("`{}` cannot be read: {source}; leave it out by a line in `.dockerignore`, or make it readable", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Ignore(#[from] PatternError),
    #[error("{}", too_large(.directory, *.bytes, *.most, .largest))]
    TooLarge { directory: PathBuf, bytes: u64, most: u64, largest: Vec<(u64, PathBuf)> },
    #[error("{}", needs_buildkit(.needs, .command))]
    NeedsBuildKit { needs: Vec<(usize, String)>, command: String },
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    #[error("the daemon refuses the Dockerfile: {words}")]
    Refused { words: String },
    #[error("a step failed")]
    Step { image: String, place: String, failure: StepFailure },
    #[error(transparent)]
    Docker(#[from] Error),
}

/// How a step ended.
#[derive(Debug, thiserror::Error)]
#[error("{words}{}", last_lines(.output))]
pub(super) struct StepFailure {
    pub(super) words: String,
    /// The last lines that it wrote.
    pub(super) output: Vec<String>,
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Docker(error) => error,
            BuildError::Dockerfile(error) => error.into(),
            BuildError::Step { image, place, failure } => {
                Self::backend(BACKEND, format!("build `{image}` at {place}"), failure)
            }
            BuildError::NeedsBuildKit { .. } => {
                Self::Unsupported { backend: BACKEND, feature: error.to_string() }
            }
            error => Self::invalid("", error.to_string()),
        }
    }
}

fn too_large(directory: &std::path::Path, bytes: u64, most: u64, largest: &[(u64, PathBuf)]) -> String {
    let mut text = format!(
        "the context `{}` has {}, and at most {} are sent; leave out by `.dockerignore` what the image does not \
         need, or raise `--max-context`; the largest files:",
        directory.display(),
        shown(bytes),
        shown(most),
    );
    for (bytes, path) in largest {
        write!(text, "\n    {:>9}  {}", shown(*bytes), path.display()).expect(STRING);
    }
    text
}

fn needs_buildkit(needs: &[(usize, String)], command: &str) -> String {
    let mut text = String::from("a Dockerfile that needs BuildKit:");
    for (line, reason) in needs {
        write!(text, "\n    Dockerfile:{line}: {reason}").expect(STRING);
    }
    write!(text, "\n  this builds it:\n    {command}").expect(STRING);
    text
}

fn last_lines(output: &[String]) -> String {
    if output.is_empty() {
        return String::new();
    }
    format!("; its last lines:\n    {}", output.join("\n    "))
}

/// 1 MB is a million bytes.
fn shown(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

const STRING: &str = "writing to a String does not fail";
