//! What the API server answers, sorted into what a caller can act on.

use std::error::Error as StdError;

use kube::Error as Kube;
use kube::core::Status;
use kube::runtime::watcher;
use mcp_deploy_core::{DeploymentName, Error, Violation, Violations, causes};

use crate::names::BACKEND;
use crate::status::refusal;

/// The public error of an operation that failed.
pub(crate) fn sorted(operation: &str, error: Kube) -> Error {
    match error {
        Kube::Api(status) => refused(operation, *status),
        Kube::Service(source) if is_untrusted(&*source) => {
            Error::backend(BACKEND, "trust the certificate of the API server", source)
        }
        Kube::Service(_) | Kube::HyperError(_) | Kube::ReadEvents(_) => {
            Error::Unavailable { backend: BACKEND, source: error.into() }
        }
        Kube::Auth(source) => Error::Denied {
            backend: BACKEND,
            action: format!("us: no credentials could be had: {}", mcp_deploy_core::one_line(&source)),
        },
        error => Error::backend(BACKEND, operation, error),
    }
}

/// The public error of a watch that broke; most such are mended by going on.
pub(crate) fn sorted_watch(operation: &str, error: watcher::Error) -> Error {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => sorted(operation, error),
        // The history is too short: the state comes again.
        watcher::Error::WatchError(status) => {
            Error::Unavailable { backend: BACKEND, source: Kube::Api(status).into() }
        }
        watcher::Error::NoResourceVersion => Error::backend(BACKEND, operation, error),
    }
}

/// The public error of a step on a deployment, which somebody else may have removed meanwhile.
pub(crate) fn sorted_of(name: &DeploymentName, operation: &str, error: Kube) -> Error {
    match code(&error) {
        Some(404) => absent(name),
        Some(403) if is_rule(&error) => {
            Error::Failed { name: name.clone(), failure: Box::new(refusal(&words(&error))), recovery: None }
        }
        _ => sorted(operation, error),
    }
}

/// There is no such deployment.
pub(crate) fn absent(name: &DeploymentName) -> Error {
    Error::NotFound { name: name.clone(), backend: BACKEND, nearest: None }
}

/// Something of the name is not ours.
pub(crate) fn foreign(kind: &str, name: &str, namespace: &str) -> Error {
    Error::Conflict {
        name: name.to_owned(),
        backend: BACKEND,
        reason: format!("there is a {kind} of this name in `{namespace}` that is not ours"),
    }
}

/// The HTTP status of a refusal.
pub(crate) fn code(error: &Kube) -> Option<u16> {
    match error {
        Kube::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Whether a namespace is not there, which is told like the absence of an object in it.
pub(crate) fn is_namespace_absent(error: &Kube) -> bool {
    code(error) == Some(404) && words(error).starts_with("namespaces ")
}

/// A refusal that no permission mends: by a quota, or by an admission rule.
fn is_rule(error: &Kube) -> bool {
    let words = words(error);
    ["exceeded quota", "failed quota", "violates PodSecurity", "admission webhook", "denied the request"]
        .iter()
        .any(|known| words.contains(known))
}

fn words(error: &Kube) -> String {
    match error {
        Kube::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}

fn refused(operation: &str, status: Status) -> Error {
    match status.code {
        401 => Error::Denied {
            backend: BACKEND,
            action:
                "us: the credentials are not valid, or no longer; log in again, or make a new token with \
                     `mcp-deploy setup kubernetes`"
                    .to_owned(),
        },
        403 => Error::Denied { backend: BACKEND, action: denied(&status) },
        422 => invalid(operation, status),
        // 410: the history is too short, and the state comes again.
        410 | 429 | 500..=599 => {
            Error::Unavailable { backend: BACKEND, source: Kube::Api(status.boxed()).into() }
        }
        _ => Error::backend(BACKEND, operation, status.message),
    }
}

/// Which verb on what, from the API server's words: `deployments.apps is forbidden: User "x" cannot list resource
/// "deployments" in API group "apps" in the namespace "y"`.
fn denied(status: &Status) -> String {
    let words = status.message.as_str();
    let Some((_, action)) = words.split_once(" cannot ") else { return words.to_owned() };
    let who = words.split_once("User \"").and_then(|(_, rest)| rest.split_once('"')).map(|(who, _)| who);
    let action = action.replace("resource ", "").replace(['"', '`'], "");
    let hint = "`mcp-deploy setup kubernetes` prints the role that is needed";
    match who {
        Some(who) => format!("`{who}` to {action}; {hint}"),
        None => format!("us to {action}; {hint}"),
    }
}

/// What the API server finds wrong, each with its place in the object that was sent.
fn invalid(operation: &str, status: Status) -> Error {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let mut violations = Violations::default();
    for cause in causes {
        let pointer: String = cause.field.replace('[', ".").replace(']', "").replace('.', "/");
        violations.push(Violation::new(format!("/{pointer}"), format!("is refused: {}", cause.message)));
    }
    if violations.is_empty() { Error::backend(BACKEND, operation, status.message) } else { violations.into() }
}

fn is_untrusted(error: &(dyn StdError + 'static)) -> bool {
    let told = causes(error);
    told.iter().any(|cause| cause.contains("certificate") || cause.contains("UnknownIssuer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, message: &str) -> Kube {
        Kube::Api(Status { code, ..Status::failure(message, "") }.boxed())
    }

    #[test]
    fn what_is_denied_says_which_verb_on_what() {
        let words = "deployments.apps is forbidden: User \"system:serviceaccount:a:b\" cannot list resource \
                     \"deployments\" in API group \"apps\" in the namespace \"y\"";
        insta::assert_snapshot!(
            sorted("list deployments", status(403, words)),
            @"kubernetes denied `system:serviceaccount:a:b` to list deployments in API group apps in the namespace y; `mcp-deploy setup kubernetes` prints the role that is needed"
        );
    }

    #[test]
    fn what_a_rule_refuses_is_a_failure_of_the_deployment() {
        let name = "demo".parse().unwrap();
        let words = "configmaps \"x\" is forbidden: exceeded quota: q, requested: count/configmaps=1";
        let Error::Failed { failure, .. } = sorted_of(&name, "apply", status(403, words)) else { panic!() };
        assert_eq!(failure.reason.as_str(), "quota");
    }

    #[test]
    fn what_may_pass_is_retryable() {
        for code in [410, 429, 500, 503, 504] {
            assert!(sorted("list", status(code, "slow down")).is_retryable(), "{code}");
        }
        assert!(!sorted("list", status(401, "Unauthorized")).is_retryable());
    }
}
