//! How the values of options are read.

use std::env;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

/// `key=value`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("there is no key before the `=`; write `key=value`".to_owned()),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err("there is no `=`; write `key=value`".to_owned()),
    }
}

/// `NAME=value`, or `NAME` for the value that it has in the environment of this program.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    if text.contains('=') {
        return key_value(text);
    }
    match env::var(text) {
        Ok(value) => Ok((text.to_owned(), value)),
        Err(_) => Err(format!("the environment has no such variable; set it, or write `{text}=value`")),
    }
}

/// A length of time, as in `30s`, `2m` or `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(24 * 365);
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "write a length of time of at most a year, as in `30s` or `2m`".to_owned())
}

/// A moment: an RFC 3339 timestamp, or a length of time before now.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    moment_before(text, Timestamp::now())
}

fn moment_before(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    duration(text).ok().and_then(|ago| now.checked_sub(ago).ok()).ok_or_else(|| {
        "write a length of time, as in `10m`, or a time, as in `2026-11-23T02:00:00Z`".to_owned()
    })
}

/// A JSON object.
pub(crate) fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("write a JSON object, as in `{{\"key\": 1}}` ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_an_equals_sign_and_a_key_may_not_be_missing() {
        assert_eq!(key_value("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert_eq!(key_value("a="), Ok(("a".to_owned(), String::new())));
        assert!(key_value("a").unwrap_err().contains("`key=value`"));
        assert!(key_value("=a").unwrap_err().contains("`key=value`"));
    }

    #[test]
    fn a_variable_without_a_value_is_taken_from_the_environment() {
        let (name, value) = variable("CARGO_PKG_NAME").unwrap();
        assert_eq!((name.as_str(), value.as_str()), ("CARGO_PKG_NAME", "mcp-deploy-cli"));
        assert!(variable("NO_SUCH_VARIABLE").unwrap_err().contains("`NO_SUCH_VARIABLE=value`"));
    }

    #[test]
    fn durations_have_a_unit_and_are_not_negative() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["30", "-5s", "soon", "", "9223372036854775807s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_moment_is_a_time_or_a_while_ago() {
        let now: Timestamp = "2026-11-23T02:10:00Z".parse().unwrap();
        let then: Timestamp = "2026-11-23T02:00:00Z".parse().unwrap();
        assert_eq!(moment_before("10m", now), Ok(then));
        assert_eq!(moment_before("2026-11-23T03:00:00+01:00", now), Ok(then));
        assert!(moment_before("yesterday", now).unwrap_err().contains("`10m`"));
    }
}
