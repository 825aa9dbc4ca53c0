//! The problems that operations end with: one response for each status, whose examples the code itself makes.

use std::time::Duration;

use actix_web::ResponseError;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use mcp_deploy_core::{DeploymentName, Error, Failure, Recovery, Status, Violation, Violations};
use serde_json::json;
use utoipa::openapi::{ContentBuilder, Ref, Response};
use utoipa::{PartialSchema, ToSchema};

use super::operation::{Named, example, header, response};
use crate::problem::{MEDIA_TYPE, Problem, ProblemDocument};

/// Those of every operation: a page that may not call, an answer of a kind that is not wanted, another's host, a client
/// that asks too often.
pub(super) const OF_THE_SERVER: [StatusCode; 4] = [
    StatusCode::FORBIDDEN,
    StatusCode::NOT_ACCEPTABLE,
    StatusCode::MISDIRECTED_REQUEST,
    StatusCode::TOO_MANY_REQUESTS,
];

/// Those of every operation that wants a token.
pub(super) const OF_A_CLIENT: [StatusCode; 2] = [StatusCode::UNAUTHORIZED, StatusCode::UNPROCESSABLE_ENTITY];

/// Those of a request with a body.
pub(super) const OF_A_BODY: [StatusCode; 4] = [
    StatusCode::BAD_REQUEST,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
];

/// Those of whatever asks a platform about a deployment.
pub(super) const OF_A_PLATFORM: [StatusCode; 3] =
    [StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE];

/// What the headers say that a problem may have.
const HEADERS: [(HeaderName, &str); 3] = [
    (ALLOW, "The methods that there are."),
    (RETRY_AFTER, "How many seconds to wait before another try."),
    (WWW_AUTHENTICATE, "The scheme of the token (RFC 6750)."),
];

/// The response of a status, as an operation refers to it.
pub(super) fn reference(status: StatusCode) -> Ref {
    Ref::from_response_name(name(status))
}

/// All of them, by name.
pub(super) fn responses() -> Vec<(String, Response)> {
    let mut problems = problems();
    problems.sort_by_key(ResponseError::status_code);
    let same_status = |one: &Problem, other: &Problem| one.status_code() == other.status_code();
    problems.chunk_by(same_status).map(of_status).collect()
}

/// The schema of a problem, and those that it refers to.
pub(super) fn schemas() -> Vec<Named> {
    let mut schemas = vec![(ProblemDocument::name().into_owned(), ProblemDocument::schema())];
    ProblemDocument::schemas(&mut schemas);
    schemas
}

fn of_status(problems: &[Problem]) -> (String, Response) {
    let status = problems[0].status_code();
    let examples = problems.iter().map(|problem| {
        let document = problem.document(Some("6f1c2a0d9b3e4f58a7c6d5e4f3b2a190"));
        (problem.code(), example(json!(document)))
    });
    let schema = Ref::from_schema_name(ProblemDocument::name());
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let codes: Vec<&str> = problems.iter().map(Problem::code).collect();
    let description = format!("A problem of the code `{}`.", codes.join("`, `"));
    let response = response(&description).content(MEDIA_TYPE, content);
    let sent = HEADERS.iter().filter(|(name, _)| is_sent(name, problems));
    let response = sent.fold(response, |response, (name, says)| response.header(title(name), header(says)));
    (name(status), response.build())
}

fn is_sent(name: &HeaderName, problems: &[Problem]) -> bool {
    problems.iter().filter_map(Problem::header).any(|(sent, _)| sent == name)
}

/// The words of a status as a name, as in `NotFound`.
fn name(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or_default().split([' ', '-']).collect()
}

/// A header as documents write it, as in `Retry-After`.
fn title(name: &HeaderName) -> String {
    let word = |word: &str| match word {
        "www" => "WWW".to_owned(),
        word => word[..1].to_ascii_uppercase() + &word[1..],
    };
    name.as_str().split('-').map(word).collect::<Vec<_>>().join("-")
}

/// An example of each code.
fn problems() -> Vec<Problem> {
    let name: DeploymentName = "demo-one".parse().expect("it is a name");
    let backend = "docker";
    let mut violations = Violations::default();
    violations.push(Violation::new("/name", "is `Demo.1`").expected("2 to 50 characters `a-z 0-9 -`"));
    violations
        .push(Violation::new("/configuration/lgo_level", "is unknown").expected("did you mean `log_level`?"));
    let failure = Failure::of_exit(1).log_tail(vec!["KeyError: 'API_KEY'".to_owned()]);
    let errors = [
        Error::Invalid { violations },
        Error::TemplateNotFound { id: "demmo".to_owned(), nearest: Some("demo".to_owned()) },
        Error::NotFound { name: name.clone(), backend, nearest: Some("demo-two".to_owned()) },
        Error::BackendNotFound {
            name: "moon".to_owned(),
            reason: "there are `docker` and `mock`".to_owned(),
        },
        Error::Conflict {
            name: "demo-one".to_owned(),
            backend,
            reason: "the container was not made by mcp-deploy".to_owned(),
        },
        Error::Superseded { name: name.clone(), revision: 4 },
        Error::NotListening { name: name.clone(), backend, status: Status::Stopped },
        Error::Unavailable { backend, source: "connection refused".into() },
        Error::Denied { backend: "kubernetes", action: "create deployments in mcp-servers".to_owned() },
        Error::Failed { name: name.clone(), failure: Box::new(failure), recovery: Some(Recovery::Restored) },
        Error::Timeout {
            name,
            awaited: "ready".to_owned(),
            after: Duration::from_mins(2),
            last_seen: Some("starting".to_owned()),
            recovery: None,
        },
        Error::Unsupported { backend, feature: "replicas by load".to_owned() },
        Error::Server { source: "unknown tool".into() },
        Error::backend(backend, "list deployments", "the daemon's answer is no JSON"),
    ];
    let requests = [
        (
            StatusCode::BAD_REQUEST,
            "broken_body",
            "the body is no JSON: EOF while parsing a value at line 1 column 9",
        ),
        (StatusCode::FORBIDDEN, "role_too_low", "`ci` has the role reader, and this needs operator"),
        (
            StatusCode::FORBIDDEN,
            "origin_refused",
            "pages of `https://elsewhere.example` may not call this server; `MCP_ALLOWED_ORIGINS` names those that may",
        ),
        (
            StatusCode::NOT_FOUND,
            "tool_not_found",
            "`demo-one` has no tool `say_helo`; it has `say_hello`, `say_goodbye`",
        ),
        (
            StatusCode::NOT_ACCEPTABLE,
            "not_acceptable",
            "this resource is `application/json`, which `Accept` does not admit",
        ),
        (StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body has not arrived within 10 s"),
        (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body has more than 1048576 bytes"),
        (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the `Content-Type` of the body has to be `application/json`",
        ),
        (
            StatusCode::MISDIRECTED_REQUEST,
            "host_refused",
            "this server is not called `elsewhere.example`; `MCP_ALLOWED_HOSTS` names those that it is called by",
        ),
    ];
    let requests = requests.map(|(status, code, detail)| Problem::request(status, code, detail));
    let others = [
        Problem::Unauthorized { detail: "show a token: `Authorization: Bearer TOKEN`" },
        Problem::TooOften { wait: Duration::from_secs(1) },
        Problem::Busy { detail: "as many deploys as may be are under way on this backend" },
        Problem::Late { after: Duration::from_secs(30) },
    ];
    errors.into_iter().map(Problem::from).chain(requests).chain(others).collect()
}
