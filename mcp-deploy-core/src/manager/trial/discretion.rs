//! What may be told of what a server says: it knows the secrets of its configuration, and may repeat them.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{DeploymentSpec, REDACTED, Template};

/// The most characters of a text in a report.
const LONGEST_TEXT: usize = 1000;
/// The fewest characters of a part of a secret that is one itself: shorter ones stand everywhere.
const SHORTEST_PART: usize = 4;

/// The values that no report shows, in the forms in which they may be met; the longest first.
pub(super) struct Discretion(Vec<SecretString>);

impl fmt::Debug for Discretion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Discretion").field(&self.0.len()).finish()
    }
}

impl Discretion {
    /// The secrets of a spec: whole, and each line, item and inner text of them.
    pub(super) fn of(spec: &DeploymentSpec, template: &Template) -> Self {
        let mut values = Vec::new();
        for (name, secret) in spec.secrets.expose() {
            let properties = template.config_schema.properties().values();
            let separator =
                properties.filter(|property| property.env == name).map(|property| &*property.separator);
            let items = separator.filter(|separator| !separator.is_empty()).flat_map(|it| secret.split(it));
            let mut parts: Vec<String> = secret.lines().chain(items).map(str::to_owned).collect();
            if let Ok(document @ (Value::Array(_) | Value::Object(_))) = serde_json::from_str(secret) {
                texts(&document, &mut parts);
            }
            parts.retain(|part| part.chars().count() >= SHORTEST_PART);
            values.push(secret.to_owned());
            values.extend(parts);
        }
        Self::of_values(values)
    }

    fn of_values(values: Vec<String>) -> Self {
        let mut forms: Vec<String> = Vec::new();
        for value in values.into_iter().filter(|value| !value.is_empty()) {
            // As it is, in JSON, and in JSON that is itself a text in JSON.
            let once = in_json(&value);
            forms.push(in_json(&once));
            forms.push(once);
            forms.push(value);
        }
        forms.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        forms.dedup();
        Self(forms.into_iter().map(SecretString::from).collect())
    }

    /// A text without secrets, and not longer than anybody reads. First the one and then the other: half a secret
    /// would not be known.
    pub(super) fn told(&self, text: &str) -> String {
        let mut told = text.to_owned();
        for secret in &self.0 {
            if told.contains(secret.expose_secret()) {
                told = told.replace(secret.expose_secret(), REDACTED);
            }
        }
        match told.char_indices().nth(LONGEST_TEXT) {
            Some((end, _)) => format!("{}…", &told[..end]),
            None => told,
        }
    }
}

/// As it stands between the quotes of a JSON string.
fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// All texts inside a document.
fn texts(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        Value::Number(number) => found.push(number.to_string()),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "`json!` makes values")]

    use serde_json::json;

    use super::*;
    use crate::{Request, resolve};

    /// What is told of a text by a template with this secret.
    fn told(schema: Value, secret: impl Into<Value>, text: &str) -> String {
        let document = json!({
            "id": "demo", "name": "Demo", "description": "Greets.", "version": "1",
            "config_schema": {"properties": {"secret": schema}},
        });
        let template = Template::from_value(document, None).unwrap();
        let spec = resolve(&template, &Request::default().value("secret", secret), "unused.example").unwrap();
        Discretion::of(&spec, &template).told(text)
    }

    #[test]
    fn a_secret_is_not_told_as_it_is_nor_in_json() {
        let text = || json!({"type": "string", "sensitive": true});
        assert_eq!(told(text(), "s3cret", "it is s3cret, s3cret"), "it is ***, ***");
        assert_eq!(told(text(), "a\"b\\c", r#"{"it": "a\"b\\c"}"#), r#"{"it": "***"}"#);
        let nested = json!({"text": json!({"it": "a\"b\\c"}).to_string()}).to_string();
        assert_eq!(told(text(), "a\"b\\c", &nested), r#"{"text":"{\"it\":\"***\"}"}"#);
        assert_eq!(told(text(), "", "nothing"), "nothing");
    }

    #[test]
    fn nor_are_the_lines_items_and_inner_texts_of_one() {
        let text = json!({"type": "string", "sensitive": true});
        assert_eq!(told(text, "first line\nsecond line", "> second line"), "> ***");
        let list =
            json!({"type": "array", "items": {"type": "string"}, "sensitive": true, "env_separator": ";"});
        assert_eq!(told(list, json!(["token-one", "token-two"]), "by token-two"), "by ***");
        let object = json!({"type": "object", "sensitive": true});
        assert_eq!(
            told(object, json!({"inner": {"key": "k3y-of-it", "pin": 98765}}), "k3y-of-it 98765"),
            "*** ***"
        );
    }

    #[test]
    fn a_secret_that_is_cut_in_two_by_a_long_text_is_not_told_by_half() {
        let text = json!({"type": "string", "sensitive": true});
        let long = format!("{}s3cret{}", "x".repeat(997), "y".repeat(5000));
        assert_eq!(told(text, "s3cret", &long), format!("{}***…", "x".repeat(997)));
    }
}
