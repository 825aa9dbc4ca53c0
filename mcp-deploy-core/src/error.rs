//! What can go wrong, in the few kinds that a caller can act on.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::{Deployment, DeploymentName, Failure, Recovery, Status};

/// A result whose error is [`Error`], unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a verb did not do what was asked.
///
/// `Display` is a lower-case fragment without the source; walk [`StdError::source`] for the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request or the template breaks rules; all of them are listed.
    #[error("{}", .violations.summary())]
    Invalid {
        /// Every rule that is broken.
        violations: Violations,
    },
    /// No source of the catalog has a template with this id.
    #[error("no template `{id}`{}", nearest_phrase(.nearest.as_ref()))]
    TemplateNotFound {
        /// The id that was asked for.
        id: String,
        /// The known id that is most like it.
        nearest: Option<String>,
    },
    /// The backend runs no deployment of this name.
    #[error("no deployment `{name}` on {backend}{}", nearest_phrase(.nearest.as_ref()))]
    NotFound {
        /// The name that was asked for.
        name: DeploymentName,
        /// Where it was looked for.
        backend: &'static str,
        /// The known name that is most like it.
        nearest: Option<String>,
    },
    /// Something that is not ours is in the way; it was not touched.
    #[error("`{name}` on {backend} is in the way: {reason}")]
    Conflict {
        /// The name or the port that is taken.
        name: String,
        /// Where.
        backend: &'static str,
        /// Who holds it, as far as that is known.
        reason: String,
    },
    /// The platform cannot be reached just now; trying again may help.
    #[error("{backend} cannot be reached")]
    Unavailable {
        /// Which backend.
        backend: &'static str,
        /// What the connection said.
        #[source]
        source: BoxError,
    },
    /// The platform refused us.
    #[error("{backend} denied {action}")]
    Denied {
        /// Which backend.
        backend: &'static str,
        /// The verb and its object, as in `create deployments in mcp-servers`.
        action: String,
    },
    /// The platform accepted the deployment, and it does not work.
    #[error("`{name}` failed: {failure}{}", recovery_phrase(.recovery.as_ref()))]
    Failed {
        /// The deployment.
        name: DeploymentName,
        /// The cause, with the evidence.
        failure: Box<Failure>,
        /// What became of the revision that ran before, where there was one.
        recovery: Option<Recovery>,
    },
    /// Another deploy of the same name came after this one, before its server had answered.
    #[error(
        "`{name}` was deployed again by somebody else before it answered: revision {revision} runs there now"
    )]
    Superseded {
        /// The deployment.
        name: DeploymentName,
        /// The revision that is there now.
        revision: u64,
    },
    /// The deployment did not get there in time; it may still.
    #[error("`{name}` did not become {awaited} within {}{}", seconds(*.after), recovery_phrase(.recovery.as_ref()))]
    Timeout {
        /// The deployment.
        name: DeploymentName,
        /// What was being waited for, as in `ready` or `an MCP server that answers`.
        awaited: String,
        /// How long it was waited for.
        after: Duration,
        /// What was seen last.
        last_seen: Option<String>,
        /// What became of the revision that ran before, where there was one.
        recovery: Option<Recovery>,
    },
    /// The backend cannot enforce a part of the spec, so it touched nothing.
    #[error("{backend} does not support {feature}")]
    Unsupported {
        /// Which backend.
        backend: &'static str,
        /// The part, or the parts.
        feature: String,
    },
    /// The backend's name is unknown, or this program was built without it.
    #[error("no backend `{name}`: {reason}")]
    BackendNotFound {
        /// The name that was asked for.
        name: String,
        /// Which ones there are, or which feature brings it.
        reason: String,
    },
    /// Nothing of the deployment listens that could be asked.
    #[error("`{name}` on {backend} is {status}, and nothing listens")]
    NotListening {
        /// The deployment.
        name: DeploymentName,
        /// Where it runs.
        backend: &'static str,
        /// How it stands.
        status: Status,
    },
    /// The server could be reached and its answer to an MCP request is an error.
    #[error("the MCP server answered with an error")]
    Server {
        /// What it said.
        #[source]
        source: BoxError,
    },
    /// Anything else that a backend met.
    #[error("{backend} failed to {operation}")]
    Backend {
        /// Which backend.
        backend: &'static str,
        /// What it was doing.
        operation: String,
        /// What it met.
        #[source]
        source: BoxError,
    },
}

/// Any error, boxed.
pub type BoxError = Box<dyn StdError + Send + Sync>;

impl Error {
    /// A stable word for the kind: the same in JSON, problem documents, logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::TemplateNotFound { .. } => "template_not_found",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::Unavailable { .. } => "unavailable",
            Self::Denied { .. } => "denied",
            Self::Failed { .. } => "failed",
            Self::Superseded { .. } => "superseded",
            Self::Timeout { .. } => "timeout",
            Self::Unsupported { .. } => "unsupported",
            Self::BackendNotFound { .. } => "backend_not_found",
            Self::NotListening { .. } => "not_listening",
            Self::Server { .. } => "server_error",
            Self::Backend { .. } => "backend",
        }
    }

    /// Whether the same call may succeed later with nothing changed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout { .. })
    }

    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { failure, .. } => failure.hint.clone(),
            Self::Conflict { .. } => Some("choose another, or remove what holds this one".to_owned()),
            Self::Unavailable { .. } => Some("check that the platform runs and try again".to_owned()),
            Self::Timeout { name, last_seen, .. } => Some(match last_seen {
                Some(seen) => format!("last seen: {seen}; look at the logs of `{name}`, or wait longer"),
                None => format!("look at the logs of `{name}`, or wait longer"),
            }),
            Self::Superseded { name, .. } => {
                Some(format!("look at what runs as `{name}` now, and deploy again if it should be yours"))
            }
            Self::NotListening { status: Status::Stopped, .. } => Some("`start` starts it".to_owned()),
            Self::NotListening { name, .. } => Some(format!("look at the status of `{name}`, or wait")),
            Self::Unsupported { .. } => Some("drop that part, or choose another backend".to_owned()),
            _ => None,
        }
    }

    /// The error of a single broken rule.
    pub fn invalid(pointer: impl Into<String>, problem: impl Into<String>) -> Self {
        Violations::from(Violation::new(pointer, problem)).into()
    }

    /// A deployment that did not get there in time, with nothing to go back to.
    pub(crate) fn timeout(
        name: &DeploymentName,
        awaited: &str,
        after: Duration,
        last_seen: Option<String>,
    ) -> Self {
        Self::Timeout { name: name.clone(), awaited: awaited.to_owned(), after, last_seen, recovery: None }
    }

    /// A deployment that cannot be connected to: nothing of it listens.
    pub fn not_listening(backend: &'static str, deployment: &Deployment) -> Self {
        Self::NotListening { name: deployment.name.clone(), backend, status: deployment.status }
    }

    /// Anything a backend met while it tried to `operation`.
    pub fn backend(backend: &'static str, operation: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Backend { backend, operation: operation.into(), source: source.into() }
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Self::Invalid { violations }
    }
}

fn nearest_phrase(nearest: Option<&String>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

fn recovery_phrase(recovery: Option<&Recovery>) -> String {
    recovery.map_or_else(String::new, |recovery| format!("; {recovery}"))
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

/// The known text that is most like `wanted`, where one is like it at all: a few letters differ, or one is the
/// beginning of the other.
///
/// ```
/// use mcp_deploy_core::nearest;
///
/// assert_eq!(nearest("demmo", ["demo", "file-server"]), Some("demo"));
/// assert_eq!(nearest("file", ["demo", "file-server"]), Some("file-server"));
/// assert_eq!(nearest("xyz", ["demo", "file-server"]), None);
/// ```
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const SHORTEST_BEGINNING: usize = 3;
    let wanted = wanted.to_lowercase();
    let distance = |known: &str| {
        let lower = known.to_lowercase();
        let distance = strsim::damerau_levenshtein(&wanted, &lower);
        let begins = wanted.len().min(lower.len()) >= SHORTEST_BEGINNING
            && (lower.starts_with(&wanted) || wanted.starts_with(&lower));
        (distance <= 1 + known.len() / 4 || begins).then_some(distance)
    };
    known
        .into_iter()
        .filter_map(|known| Some((distance(known)?, known)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// `1 character`, `2 characters`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// One broken rule: where, what is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Violation {
    /// Where, as a JSON pointer (RFC 6901) into the document that was checked; empty for the whole.
    pub pointer: String,
    /// What is wrong, as a phrase that follows the place.
    pub problem: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

impl Violation {
    /// A broken rule at `pointer`.
    pub fn new(pointer: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), problem: problem.into(), expected: None }
    }

    /// Says what would be right.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "`{}` ", self.pointer)?;
        }
        f.write_str(&self.problem)?;
        match &self.expected {
            Some(expected) => write!(f, "; {expected}"),
            None => Ok(()),
        }
    }
}

/// Broken rules, in the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Whether no rule is broken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rules are broken.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }

    /// Adds one.
    pub fn push(&mut self, violation: Violation) {
        self.0.push(violation);
    }

    /// Adds all of another list, their pointers below `prefix`.
    pub fn extend_under(&mut self, prefix: &str, others: Self) {
        self.0.extend(others.0.into_iter().map(|mut violation| {
            violation.pointer.insert_str(0, prefix);
            violation
        }));
    }

    /// Keeps those for which `keep` holds.
    pub fn retain(&mut self, keep: impl FnMut(&Violation) -> bool) {
        self.0.retain(keep);
    }

    /// `value` when no rule is broken, else the violations.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    fn summary(&self) -> String {
        match self.0.as_slice() {
            [one] => one.to_string(),
            all => {
                let lines: Vec<String> = all.iter().map(|violation| format!("\n  {violation}")).collect();
                format!("{} rules are broken:{}", all.len(), lines.concat())
            }
        }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

impl From<Violation> for Violations {
    fn from(violation: Violation) -> Self {
        Self(vec![violation])
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// `token` as one part of a JSON pointer: `~` and `/` are escaped (RFC 6901, section 3).
pub(crate) fn pointer_token(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// The key at the top of the document that a JSON pointer leads into; empty for the whole.
pub(crate) fn first_key(pointer: &str) -> String {
    pointer.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~")
}

/// The causes of an error, the nearest first; one that only repeats what stands above it is left out.
pub fn causes(error: &dyn StdError) -> Vec<String> {
    let mut told = error.to_string();
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !told.ends_with(&message) {
            causes.push(message.clone());
            told = message;
        }
        source = cause.source();
    }
    causes
}

/// An error and its [`causes`], in one line.
pub fn one_line(error: &dyn StdError) -> String {
    causes(error).into_iter().fold(error.to_string(), |line, cause| line + ": " + &cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_is_in_the_message() {
        let mut violations = Violations::default();
        violations.push(Violation::new("/name", "is 51 characters long").expected("at most 50"));
        assert_eq!(Error::from(violations.clone()).to_string(), "`/name` is 51 characters long; at most 50");
        violations.push(Violation::new("/configuration/lgo_level", "is unknown"));
        insta::assert_snapshot!(Error::from(violations), @r"
        2 rules are broken:
          `/name` is 51 characters long; at most 50
          `/configuration/lgo_level` is unknown
        ");
    }

    #[test]
    fn the_source_is_left_to_the_chain() {
        let error = Error::backend("mock", "list deployments", "disk on fire");
        assert_eq!(error.to_string(), "mock failed to list deployments");
        assert_eq!(error.source().unwrap().to_string(), "disk on fire");
    }

    #[test]
    fn errors_can_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
    }
}
