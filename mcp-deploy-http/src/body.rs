//! The JSON object in a request: all that is wrong with it at once, unknown fields too.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use mcp_deploy_core::{Violation, Violations};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use tokio::time::timeout;

use crate::api::Api;
use crate::problem::Problem;
use crate::query::unknown;

/// The most bytes of a body.
pub(crate) const LIMIT: usize = 1024 * 1024;

/// The body of a request as text, of one of these media types.
pub(crate) async fn text(
    request: &HttpRequest,
    payload: Payload,
    media_types: &[&str],
) -> Result<String, Problem> {
    let given = request.headers().get(CONTENT_TYPE).and_then(|given| given.to_str().ok());
    let essence = given.and_then(|given| given.split(';').next()).map(str::trim);
    if !essence.is_some_and(|given| media_types.iter().any(|known| known.eq_ignore_ascii_case(given))) {
        let detail = format!("the `Content-Type` of the body has to be `{}`", media_types.join("` or `"));
        return Err(Problem::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let api = request.app_data::<Data<Api>>().expect("each of our resources has it");
    let arrival = api.arrival();
    let bytes = timeout(arrival, payload.to_bytes_limited(LIMIT)).await.map_err(|_| {
        let detail = format!("the body has not arrived within {} s", arrival.as_secs_f32());
        Problem::request(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail)
    })?;
    let bytes = bytes.map_err(|_| {
        let detail = format!("the body has more than {LIMIT} bytes");
        Problem::request(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    })?;
    let broken = || Problem::request(StatusCode::BAD_REQUEST, "broken_body", "the body did not arrive whole");
    let bytes = bytes.map_err(|_| broken())?;
    String::from_utf8(bytes.into())
        .map_err(|_| Problem::request(StatusCode::BAD_REQUEST, "broken_body", "the body is no UTF-8"))
}

/// The fields of an object, taken one by one.
#[derive(Debug)]
pub(crate) struct Fields {
    pointer: String,
    given: Map<String, Value>,
    known: Vec<&'static str>,
    violations: Violations,
}

impl Fields {
    /// Those of a request's body; an absent body has none.
    pub(crate) async fn of(request: &HttpRequest, payload: Payload) -> Result<Self, Problem> {
        let is_absent = request.headers().get(CONTENT_TYPE).is_none();
        let text = if is_absent && has_no_body(request) {
            "{}".to_owned()
        } else {
            text(request, payload, &["application/json"]).await?
        };
        // Many clients always say what a body is, also where they send none.
        let text = if text.is_empty() { "{}" } else { &text };
        match serde_json::from_str(text) {
            Ok(Value::Object(given)) => Ok(Self::new(String::new(), given)),
            Ok(_) => Err(Violation::new("", "is no object").into()),
            Err(error) => {
                let detail = format!("the body is no JSON: {error}");
                Err(Problem::request(StatusCode::BAD_REQUEST, "broken_body", detail))
            }
        }
    }

    fn new(pointer: String, given: Map<String, Value>) -> Self {
        Self { pointer, given, known: Vec::new(), violations: Violations::default() }
    }

    /// The value of a field; null counts as absent.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        let value = self.given.remove(name).filter(|value| !value.is_null())?;
        match serde_path_to_error::deserialize(whole(value)) {
            Ok(value) => Some(value),
            Err(error) => {
                let pointer =
                    error.path().iter().fold(format!("{}/{name}", self.pointer), |path, part| match part {
                        Segment::Seq { index } => format!("{path}/{index}"),
                        Segment::Map { key } => format!("{path}/{key}"),
                        _ => path,
                    });
                self.violations.push(wrong(pointer, &error.into_inner().to_string()));
                None
            }
        }
    }

    /// The fields of an object in this one; what is wrong with them has to be given back by [`Self::merge`].
    pub(crate) fn nested(&mut self, name: &'static str) -> Self {
        let given = self.take(name).unwrap_or_default();
        Self::new(format!("{}/{name}", self.pointer), given)
    }

    /// Takes what is wrong with the fields of an object in this one.
    pub(crate) fn merge(&mut self, mut nested: Self) {
        nested.refuse_unknown();
        self.violations.extend_under("", nested.violations);
    }

    /// # Errors
    ///
    /// Everything that was wrong.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        self.refuse_unknown();
        self.violations.into_result(()).map_err(Problem::from)
    }

    fn refuse_unknown(&mut self) {
        for name in self.given.keys() {
            self.violations.push(unknown(&self.pointer, name, &self.known));
        }
    }
}

/// A number without a fraction as an integer, also where it is written as in `2.0`: JSON Schema knows no difference.
fn whole(value: Value) -> Value {
    let number = value.as_f64().filter(|number| value.is_f64() && number.fract() == 0.0);
    let whole = number.and_then(|number| format!("{number:.0}").parse::<i64>().ok());
    whole.map_or(value, Value::from)
}

/// The violation of a value that is none of its type. Of what the parser says only the end is told: before it stands
/// the value, which may be a secret.
fn wrong(pointer: String, parser: &str) -> Violation {
    let violation = Violation::new(pointer, "is of another type");
    match parser.rsplit_once(", expected ") {
        Some((_, expected)) => violation.expected(format!("it has to be {expected}")),
        None => violation,
    }
}

fn has_no_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    let length = headers.get("content-length").and_then(|length| length.to_str().ok());
    length.is_none_or(|length| length == "0") && headers.get("transfer-encoding").is_none()
}
