//! The parameters after the `?`: all that is wrong with them at once, unknown ones too.

use std::str::FromStr;

use actix_web::HttpRequest;
use mcp_deploy_core::{Violation, Violations, nearest};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Where parameters stand, like the fields of a body.
const PLACE: &str = "/query";

/// The parameters of a request, taken one by one.
#[derive(Debug)]
pub(crate) struct Query {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
    violations: Violations,
}

impl Query {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let given = form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
        Self { given, known: Vec::new(), violations: Violations::default() }
    }

    /// The value of a parameter; `expected` says what one has to be.
    pub(crate) fn take<T: FromStr>(&mut self, name: &'static str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            let violation = Violation::new(pointer(name), format!("is `{text}`")).expected(expected);
            self.violations.push(violation);
        }
        value
    }

    /// The value of a parameter that is one of the words of a type.
    pub(crate) fn word<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let text = self.text(name)?;
        match serde_json::from_value(text.into()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.violations.push(Violation::new(pointer(name), format!("is wrong: {error}")));
                None
            }
        }
    }

    /// The value of a parameter, whatever it is.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let (taken, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.given).into_iter().partition(|(given, _)| given == name);
        self.given = rest;
        if taken.len() > 1 {
            self.violations.push(Violation::new(pointer(name), "is given more than once"));
        }
        taken.into_iter().next().map(|(_, text)| text)
    }

    /// A parameter that is `true` or `false`; absent it is `false`.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        self.take(name, "`true` or `false`").unwrap_or_default()
    }

    /// # Errors
    ///
    /// Everything that was wrong.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for (given, _) in &self.given {
            self.violations.push(unknown(PLACE, given, &self.known));
        }
        self.violations.into_result(()).map_err(Problem::from)
    }
}

fn pointer(name: &str) -> String {
    format!("{PLACE}/{name}")
}

/// The violation of a name below a place where only others are known.
pub(crate) fn unknown(place: &str, name: &str, known: &[&str]) -> Violation {
    let expected = match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "there are none here".to_owned(),
        None => format!("there are `{}`", known.join("`, `")),
    };
    let token = name.replace('~', "~0").replace('/', "~1");
    Violation::new(format!("{place}/{token}"), "is unknown").expected(expected)
}
