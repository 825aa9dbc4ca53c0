//! Reading what people write, JSON or YAML, into typed parts, with a place for everything that is wrong.

use serde::de::DeserializeOwned;
use serde_ignored::Path as IgnoredPath;
use serde_json::Value;
use serde_path_to_error::{Segment, Track};

use crate::error::pointer_token;
use crate::{Error, Result, Violation};

/// The most bytes of a document: a larger one is refused before it is parsed.
pub const MAX_DOCUMENT_BYTES: u64 = 1024 * 1024;

/// Parses a document: JSON where it begins like JSON (`{\"`, `{}`, `[`), else YAML 1.2. `name` says in errors what it
/// was.
///
/// # Errors
///
/// [`Error::Invalid`] with line and column where the text is neither, is empty, or is larger than
/// [`MAX_DOCUMENT_BYTES`]. The message never quotes the text: it may hold secrets.
pub fn parse_document(text: &str, name: &str) -> Result<Value> {
    check_size(text.len() as u64, name)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Error::invalid("", format!("{name} is empty")));
    }
    if begins_like_json(text) {
        return serde_json::from_str(text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::invalid("", format!("{name} is not JSON: {} at {place}", json_problem(&error)))
        });
    }
    parse_yaml(text).map_err(|place| Error::invalid("", format!("{name} is neither JSON nor YAML{place}")))
}

/// YAML has a flow style, which begins with a brace as well, but hardly ever with a quoted key.
fn begins_like_json(text: &str) -> bool {
    let text = text.trim_start();
    let inside = text.strip_prefix('{').map(str::trim_start);
    text.starts_with('[') || inside.is_some_and(|inside| inside.is_empty() || inside.starts_with(['"', '}']))
}

/// Refuses what is too large to be a document.
pub(crate) fn check_size(bytes: u64, name: &str) -> Result<()> {
    if bytes <= MAX_DOCUMENT_BYTES {
        return Ok(());
    }
    let megabytes = bytes.div_ceil(1_000_000);
    Err(Violation::new("", format!("{name} has {megabytes} MB")).expected("at most 1 MiB is read"))
        .map_err(|violation| crate::Violations::from(violation).into())
}

/// What the parser said, without the place, which it appends, and without any of the text.
fn json_problem(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.clone(), |(problem, _)| problem.to_owned())
}

/// What is not clearly a boolean or a number stays the text that it is: `no`, `on`, `010`, `1_000`.
fn parse_yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| match error.location() {
        Some(place) => format!(" (line {}, column {})", place.line(), place.column()),
        None => String::new(),
    })
}

/// A part of a document as a type: what is wrong comes with its pointer, fields that nobody read are listed.
pub(crate) struct Typed<T> {
    pub(crate) result: Result<T, Violation>,
    /// Pointers of unknown fields.
    pub(crate) ignored: Vec<String>,
}

/// Reads the part at `pointer`.
pub(crate) fn typed<T: DeserializeOwned>(value: Value, pointer: &str) -> Typed<T> {
    let mut ignored = Vec::new();
    let mut track = Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    let result = serde_ignored::deserialize(deserializer, |path| {
        ignored.push(format!("{pointer}{}", ignored_pointer(&path)));
    });
    let result = result.map_err(|error: serde_json::Error| {
        let below: String = track.path().iter().map(segment_token).collect();
        Violation::new(format!("{pointer}{below}"), problem(&error.to_string()))
    });
    Typed { result, ignored }
}

/// serde's messages, in our grammar: they follow the place.
fn problem(message: &str) -> String {
    match message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        Some((found, expected)) => format!("is {found}; expected {}", plain(expected)),
        None => match message.strip_prefix("invalid value: ").and_then(|rest| rest.split_once(", expected "))
        {
            Some((found, expected)) => format!("is {found}; expected {}", plain(expected)),
            None => format!("is wrong: {message}"),
        },
    }
}

/// Rust's names of numbers, as people call them.
fn plain(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" => "a whole number that is not negative",
        other => other,
    }
}

fn segment_token(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", pointer_token(key)),
        Segment::Enum { variant } => format!("/{}", pointer_token(variant)),
        Segment::Unknown => String::new(),
    }
}

fn ignored_pointer(path: &IgnoredPath<'_>) -> String {
    match path {
        IgnoredPath::Root => String::new(),
        IgnoredPath::Seq { parent, index } => format!("{}/{index}", ignored_pointer(parent)),
        IgnoredPath::Map { parent, key } => format!("{}/{}", ignored_pointer(parent), pointer_token(key)),
        IgnoredPath::Some { parent }
        | IgnoredPath::NewtypeStruct { parent }
        | IgnoredPath::NewtypeVariant { parent } => ignored_pointer(parent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        parse_document(text, "`template.json`").unwrap_err().to_string()
    }

    #[test]
    fn json_and_yaml_are_read_by_their_first_character() {
        let expected = serde_json::json!({"a": [1, "x"]});
        assert_eq!(parse_document("\u{feff} {\"a\": [1, \"x\"]}", "it").unwrap(), expected);
        assert_eq!(parse_document("a:\n  - 1\n  - x\n", "it").unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_read_has_a_place_and_quotes_nothing() {
        insta::assert_snapshot!(complaint("{\n  \"token\": s3cret, ]\n}"), @"`template.json` is not JSON: expected value at line 2, column 12");
        insta::assert_snapshot!(complaint("a: [s3cret\nb"), @"`template.json` is neither JSON nor YAML (line 1, column 4)");
        insta::assert_snapshot!(complaint(" \n"), @"`template.json` is empty");
    }

    #[test]
    fn json_that_is_broken_is_not_taken_for_yaml() {
        insta::assert_snapshot!(complaint("{\"a\": 1, \"b\": }"), @"`template.json` is not JSON: expected value at line 1, column 15");
        insta::assert_snapshot!(complaint("{\"a\": 1,}"), @"`template.json` is not JSON: trailing comma at line 1, column 9");
    }

    #[test]
    fn what_yaml_might_take_for_something_else_stays_text() {
        let document = parse_document("[on, off, y, N, no, 010, 1_000, true, 12, 0.5, ~]\n", "it");
        assert!(document.is_err(), "a list begins like JSON");
        let document =
            parse_document("a: [on, off, y, N, no, 010, 1_000, true, 12, 0.5, ~]\n", "it").unwrap();
        let expected = serde_json::json!(["on", "off", "y", "N", "no", "010", "1_000", true, 12, 0.5, null]);
        assert_eq!(document["a"], expected);
    }

    #[test]
    fn a_huge_document_is_refused_before_it_is_parsed() {
        let text = "{".repeat(50_000_000);
        assert_eq!(complaint(&text), "`template.json` has 50 MB; at most 1 MiB is read");
    }

    #[test]
    fn a_bill_of_laughs_in_yaml_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let again = vec![format!("*a{}", level - 1); 10].join(", ");
            text = format!("{text}a{level}: &a{level} [{again}]\n");
        }
        assert!(parse_document(&text, "it").is_err());
    }

    #[test]
    fn a_typed_part_knows_where_it_is_wrong_and_what_was_not_read() {
        let Typed { result, ignored } =
            typed::<crate::Resources>(serde_json::json!({"limits": {"memory": "12XB"}}), "/resources");
        assert_eq!(result.unwrap_err().pointer, "/resources/limits/memory");
        assert!(ignored.is_empty());
        let typed = typed::<crate::Resources>(serde_json::json!({"limts": {}}), "/resources");
        assert_eq!((typed.result.is_ok(), typed.ignored), (true, vec!["/resources/limts".to_owned()]));
    }
}
