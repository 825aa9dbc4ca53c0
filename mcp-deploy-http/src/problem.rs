//! What goes wrong, as a problem document (RFC 9457).

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use mcp_deploy_core::{Error, Violation, Violations, one_line};
use serde_json::{Value, json};

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

impl Problem {
    pub(crate) fn request(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self::Request { status, code, detail: detail.into() }
    }

    fn code(&self) -> &'static str {
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
    pub(crate) fn document(&self, request_id: Option<&str>) -> Value {
        let status = self.status_code();
        let mut document = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": self.code(),
            "detail": self.detail(),
        });
        if let Some(request_id) = request_id {
            document["request_id"] = request_id.into();
        }
        let Self::Of(error) = self else { return document };
        if let Some(hint) = error.hint() {
            document["hint"] = hint.into();
        }
        match error {
            Error::Invalid { violations } => document["violations"] = json!(violations),
            Error::Failed { name, failure, recovery } => {
                document["deployment_name"] = json!(name);
                document["failure"] = json!(failure);
                document["recovery"] = recovery.as_ref().map(ToString::to_string).into();
            }
            Error::Timeout { name, recovery, .. } => {
                document["deployment_name"] = json!(name);
                document["recovery"] = recovery.as_ref().map(ToString::to_string).into();
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
        response.content_type("application/problem+json").body(self.document(request_id).to_string())
    }

    fn header(&self) -> Option<(HeaderName, String)> {
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
        Error::Conflict { .. } | Error::Superseded { .. } => StatusCode::CONFLICT,
        Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Error::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        Error::Unsupported { .. } => StatusCode::NOT_IMPLEMENTED,
        // The platform, or the user's own server, is at fault.
        _ => StatusCode::BAD_GATEWAY,
    }
}
