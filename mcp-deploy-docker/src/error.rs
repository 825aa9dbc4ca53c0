//! What a daemon answers, sorted into what a caller can act on.

use bollard::errors::Error as Bollard;
use mcp_deploy_core::{DeploymentName, Error};

use crate::names::BACKEND;

/// The public error of an operation that failed.
pub(crate) fn sorted(operation: &str, error: Bollard) -> Error {
    match &error {
        Bollard::DockerResponseServerError { status_code: 403, message } => {
            Error::Denied { backend: BACKEND, action: format!("{operation}: {message}") }
        }
        Bollard::IOError { .. }
        | Bollard::HyperLegacyError { .. }
        | Bollard::HyperResponseError { .. }
        | Bollard::RequestTimeoutError
        | Bollard::SocketNotFoundError { .. } => {
            Error::Unavailable { backend: BACKEND, source: error.into() }
        }
        _ => Error::backend(BACKEND, operation, error),
    }
}

/// The public error of a step on a container of a deployment, which somebody else may have removed meanwhile.
pub(crate) fn sorted_of(name: &DeploymentName, operation: &str, error: Bollard) -> Error {
    if is_not_found(&error) { absent(name) } else { sorted(operation, error) }
}

/// There is no such deployment.
pub(crate) fn absent(name: &DeploymentName) -> Error {
    Error::NotFound { name: name.clone(), backend: BACKEND, nearest: None }
}

/// The HTTP status of the daemon's refusal, and its words.
pub(crate) fn refusal(error: &Bollard) -> Option<(u16, &str)> {
    match error {
        Bollard::DockerResponseServerError { status_code, message } => Some((*status_code, message)),
        _ => None,
    }
}

pub(crate) fn is_not_found(error: &Bollard) -> bool {
    refusal(error).is_some_and(|(status, _)| status == 404)
}

/// A name that is taken, or a container that is already so.
pub(crate) fn is_conflict(error: &Bollard) -> bool {
    refusal(error).is_some_and(|(status, _)| status == 409)
}

/// Whether a container could not start because the network that it was made for is not there any more.
pub(crate) fn is_network_gone(text: &str) -> bool {
    text.contains("network") && text.contains("not found")
}

/// Whether a container could not start because its port on the host is taken.
pub(crate) fn is_port_taken(text: &str) -> bool {
    text.contains("port is already allocated") || text.contains("address already in use")
}
