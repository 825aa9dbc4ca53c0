//! What went wrong in a conversation over MCP, sorted into what a caller can act on, in words for people.

use std::error::Error as StdError;

use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpError;

use super::ProbeError;

/// What the transport fails with.
type HttpError = StreamableHttpError<reqwest::Error>;

/// Sorts what went wrong in a handshake.
pub(super) fn of_handshake(error: ClientInitializeError) -> ProbeError {
    if error.is_authorization_required() {
        return ProbeError::AuthorizationRequired;
    }
    match error {
        // What the older handshake met says more: every older server refuses the newer one.
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => of_handshake(*fallback),
        ClientInitializeError::JsonRpcError(error) => ProbeError::Server(error.to_string().into()),
        ClientInitializeError::TransportError { error, .. } => of_transport(&*error.error),
        error => ProbeError::NotMcp(error.to_string().into()),
    }
}

/// Sorts what went wrong after a handshake.
pub(super) fn of_request(error: ServiceError) -> ProbeError {
    match error {
        ServiceError::McpError(error) => ProbeError::Server(error.to_string().into()),
        ServiceError::TransportSend(error) => of_transport(&*error.error),
        ServiceError::TransportClosed => ProbeError::Unreachable("the connection was closed".into()),
        error => ProbeError::NotMcp(error.to_string().into()),
    }
}

fn of_transport(error: &(dyn StdError + Send + Sync + 'static)) -> ProbeError {
    let Some(error) = error.downcast_ref::<HttpError>() else {
        return ProbeError::NotMcp(error.to_string().into());
    };
    let text = in_words(error);
    match status(error, &text) {
        Some(403) if text.to_lowercase().contains("host") => ProbeError::HostRejected(text.into()),
        Some(421) => ProbeError::HostRejected(text.into()),
        Some(401 | 403) => ProbeError::AuthorizationRequired,
        Some(502..=504) => ProbeError::Unreachable(text.into()),
        None if is_unreachable(error) => ProbeError::Unreachable(text.into()),
        _ => ProbeError::NotMcp(text.into()),
    }
}

/// The HTTP status; the transport tells that of most refusals in its message alone.
fn status(error: &HttpError, text: &str) -> Option<u16> {
    if let HttpError::HttpStatus(error) = error {
        return Some(error.status);
    }
    let (_, rest) = text.split_once("HTTP ")?;
    rest.get(..3)?.parse().ok()
}

/// Whether the connection could not be made, or was cut.
fn is_unreachable(error: &HttpError) -> bool {
    match error {
        HttpError::Client(error) => !error.is_status() && !error.is_decode(),
        HttpError::Io(_) | HttpError::UnexpectedEndOfStream | HttpError::TransportChannelClosed => true,
        _ => false,
    }
}

fn in_words(error: &HttpError) -> String {
    match error {
        HttpError::Client(error) => innermost(error).to_string(),
        HttpError::UnexpectedContentType(Some(kind)) => {
            format!("it answers with `{kind}`, and MCP is JSON or an event stream")
        }
        HttpError::UnexpectedContentType(None) => "its answer has no content type".to_owned(),
        HttpError::UnexpectedServerResponse(answer) => format!("it answers `{}`", answer.trim()),
        error => error.to_string(),
    }
}

/// The cause that has no other: the others only say that a request failed.
fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost
}
