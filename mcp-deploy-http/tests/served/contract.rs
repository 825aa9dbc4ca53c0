//! Whether an answer is one that the API's own document describes.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::{Value, json};

use super::Answer;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../openapi.json")).unwrap());

/// Checks the status, the headers, the media type and the body of an answer; what is no operation of the document may
/// answer as it likes.
#[track_caller]
pub(super) fn check(method: &Method, path: &str, answer: &Answer) {
    let Some(operation) = operation(method, path) else { return };
    let documented = resolved(&operation["responses"][answer.status.as_str()]);
    assert!(documented.is_object(), "{method} {path} has no status {}: {answer:?}", answer.status);
    for header in documented["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        assert!(!answer.header(header).is_empty(), "{method} {path} lacks `{header}`: {answer:?}");
    }
    let media_type = answer.header("content-type").split(';').next().unwrap_or_default();
    let content = &documented["content"][media_type];
    assert!(content.is_object(), "{method} {path} has no media type {media_type}: {answer:?}");
    if media_type.ends_with("json") {
        let mut schema = content["schema"].clone();
        schema["components"] = json!({"schemas": DOCUMENT["components"]["schemas"]});
        let body = answer.json();
        let broken = jsonschema::validator_for(&schema).unwrap().validate(&body).err();
        assert!(broken.is_none(), "{method} {path} is not as described: {broken:?}");
    }
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let asked: Vec<&str> = path.trim_matches('/').split('/').collect();
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let fits = |documented: &str| {
        let parts: Vec<&str> = documented.trim_matches('/').split('/').collect();
        parts.len() == asked.len()
            && parts.iter().zip(&asked).all(|(part, asked)| part == asked || part.starts_with('{'))
    };
    let fitting = paths.filter(|(documented, _)| fits(documented));
    // The one with the fewest parameters is meant.
    let (_, item) = fitting.min_by_key(|(documented, _)| documented.matches('{').count())?;
    item.get(method.as_str().to_lowercase())
}

fn resolved(value: &'static Value) -> &'static Value {
    let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(value, |pointer| DOCUMENT.pointer(pointer).unwrap())
}
