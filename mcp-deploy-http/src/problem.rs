//! What goes wrong, as a problem document (RFC 9457).

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use mcp_deploy_core::{DeploymentName, Error, Failure, Violation, Violations, one_line};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a problem document.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// How long a client is told to wait where the platform cannot be reached, in seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// An error as it is told to the client.
#[derive(Debug)]
pub(crate) enum Problem {
    /// One of the manager's.
    Of(Error),
    /// The request itself is none that can be answered.
    Request { status: StatusCode, code: &'static str, detail: String },
    /// The platform has not answered in time.
    Late { after: Duration },
    /// As much as may be is under way already.
    Busy { detail: &'static str },
    /// The client asks more often than it may.
    TooOften { wait: Duration },
    /// The client has not shown a token that is valid.
    Unauthorized { detail: &'static str },
    /// The resource has other methods.
    Method { allowed: String },
}

/// What went wrong (RFC 9457, "Problem Details for HTTP APIs").
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// Always `about:blank`: what kind of problem it is, `code` says.
    r#type: &'static str,
    /// The words of the status.
    title: &'static str,
    /// The status.
    status: u16,
    /// What kind of problem it is: a stable word.
    code: &'static str,
    /// What happened, for people.
    detail: String,
    /// The id of the request, where one stands behind it; with it the server's log tells more.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// What to do about it, where there is something to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Everything that is wrong with a request or a template; their pointers begin with `/query`, `/path` or
    /// `/headers` where they do not lead into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<Violations>,
    /// Why the user's own server does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    /// What became of the revision that ran before a deploy that failed; null where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[expect(clippy::option_option, reason = "left out by most problems, and null in some")]
    recovery: Option<Option<String>>,
    /// The deployment that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment_name: Option<DeploymentName>,
}

impl Problem {
    pub(crate) fn request(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self::Request { status, code, detail: detail.into() }
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Of(error) => error.code(),
            Self::Request { code, .. } => code,
            Self::Late { .. } => "deadline_exceeded",
            Self::Busy { .. } => "busy",
            Self::TooOften { .. } => "rate_limited",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Method { .. } => "method_not_allowed",
        }
    }

    /// The document. Of what happened inside it holds the words that are meant for users; the causes are logged.
    pub(crate) fn document(&self, request_id: Option<&str>) -> ProblemDocument {
        let status = self.status_code();
        let mut document = ProblemDocument {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code: self.code(),
            detail: self.detail(),
            request_id: request_id.map(str::to_owned),
            hint: None,
            violations: None,
            failure: None,
            recovery: None,
            deployment_name: None,
        };
        let Self::Of(error) = self else { return document };
        document.hint = error.hint();
        match error {
            Error::Invalid { violations } => document.violations = Some(violations.clone()),
            Error::Failed { name, failure, recovery } => {
                document.deployment_name = Some(name.clone());
                document.failure = Some((**failure).clone());
                document.recovery = Some(recovery.as_ref().map(ToString::to_string));
            }
            Error::Timeout { name, recovery, .. } => {
                document.deployment_name = Some(name.clone());
                document.recovery = Some(recovery.as_ref().map(ToString::to_string));
            }
            _ => {}
        }
        document
    }

    fn detail(&self) -> String {
        match self {
            Self::Of(Error::Invalid { violations }) if violations.len() > 1 => {
                format!("{} rules are broken", violations.len())
            }
            // What the user's own server said is no internal of ours.
            Self::Of(error @ Error::Server { .. }) => one_line(error),
            Self::Of(error) => error.to_string(),
            Self::Request { detail, .. } => detail.clone(),
            Self::Late { after } => format!("the platform has not answered within {} s", after.as_secs_f32()),
            Self::Busy { detail } | Self::Unauthorized { detail } => (*detail).to_owned(),
            Self::TooOften { wait } => format!("too many requests; ask again in {} s", seconds(*wait)),
            Self::Method { allowed } => format!("this resource has the methods {allowed}"),
        }
    }

    pub(crate) fn response(&self, request_id: Option<&str>) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status_code());
        if let Some((name, value)) = self.header() {
            response.insert_header((name, value));
        }
        // Said before, it is kept by `json`.
        response.content_type(MEDIA_TYPE);
        response.json(self.document(request_id))
    }

    pub(crate) fn header(&self) -> Option<(HeaderName, String)> {
        match self {
            Self::Of(Error::Unavailable { .. }) | Self::Late { .. } | Self::Busy { .. } => {
                Some((RETRY_AFTER, RETRY_AFTER_SECONDS.to_owned()))
            }
            Self::TooOften { wait } => Some((RETRY_AFTER, seconds(*wait).to_string())),
            Self::Unauthorized { .. } => Some((WWW_AUTHENTICATE, "Bearer realm=\"mcp-deploy\"".to_owned())),
            Self::Method { allowed } => Some((ALLOW, allowed.clone())),
            _ => None,
        }
    }

    /// Logs what the client is not told.
    pub(crate) fn log(&self) {
        match self {
            Self::Of(error) if self.status_code().is_server_error() => {
                tracing::warn!(code = self.code(), error = %one_line(error), "a request failed");
            }
            _ => tracing::debug!(code = self.code(), detail = %self.detail(), "a request is refused"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Of(error) => status(error),
            Self::Request { status, .. } => *status,
            Self::Late { .. } | Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooOften { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Of(error)
    }
}

impl From<Violations> for Problem {
    fn from(violations: Violations) -> Self {
        Self::Of(violations.into())
    }
}

impl From<Violation> for Problem {
    fn from(violation: Violation) -> Self {
        Violations::from(violation).into()
    }
}

/// Whole seconds, as `Retry-After` has them (RFC 9110, 10.2.3).
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Error::TemplateNotFound { .. } | Error::NotFound { .. } | Error::BackendNotFound { .. } => {
            StatusCode::NOT_FOUND
        }
        Error::Conflict { .. } | Error::Superseded { .. } | Error::NotListening { .. } => {
            StatusCode::CONFLICT
        }
        Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Error::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        Error::Unsupported { .. } => StatusCode::NOT_IMPLEMENTED,
        // The platform, or the user's own server, is at fault.
        _ => StatusCode::BAD_GATEWAY,
    }
}
