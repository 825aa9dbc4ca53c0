//! Whether the answer of a tool is what its test expects.

use serde_json::Value;

use super::record::Why;
use crate::ToolTest;
use crate::probe::ToolAnswer;

/// Holds an answer against all that a test expects.
pub(super) fn check(answer: &ToolAnswer, expected: &ToolTest) -> Result<(), Why> {
    let text = answer.text.join("\n");
    match (answer.is_error, expected.fails) {
        (true, false) => return Err(Why::of(format!("the tool answered that it failed: `{text}`"))),
        (false, true) => return Err(Why::of(format!("the tool was to fail, and answered `{text}`"))),
        _ => {}
    }
    if let Some(wanted) = expected.contains.as_ref().filter(|wanted| !text.contains(*wanted)) {
        return Err(Why::of(format!("the answer does not contain `{wanted}`: it is `{text}`")));
    }
    match &expected.equals {
        Some(wanted) => check_equal(answer, &text, wanted),
        None => Ok(()),
    }
}

/// A text is compared with the text, anything else with the structured content, or with what the text is as JSON.
fn check_equal(answer: &ToolAnswer, text: &str, wanted: &Value) -> Result<(), Why> {
    let differs = |found: &str| Err(Why::of(format!("the answer is not `{wanted}`: it is `{found}`")));
    if let Value::String(wanted) = wanted {
        return if text == wanted { Ok(()) } else { differs(text) };
    }
    match &answer.structured {
        Some(found) if found == wanted => Ok(()),
        Some(found) => differs(&found.to_string()),
        None => match serde_json::from_str::<Value>(text) {
            Ok(found) if found == *wanted => Ok(()),
            _ => differs(text),
        },
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "`json!` makes values")]

    use serde_json::json;

    use super::*;

    /// Why the answer is not what the test expects; empty where it is.
    fn complaint(answer: &ToolAnswer, expected: Value) -> String {
        let template = json!({
            "id": "demo", "name": "Demo", "description": "Greets.", "version": "1", "tests": [expected],
        });
        let template = crate::Template::from_value(template, None).unwrap();
        check(answer, &template.tests[0]).err().map_or(String::new(), |why| format!("{why:?}"))
    }

    fn answered(text: &[&str], structured: Option<Value>) -> ToolAnswer {
        let text = text.iter().map(|&text| text.to_owned()).collect();
        ToolAnswer { is_error: false, text, structured }
    }

    #[test]
    fn a_text_is_found_across_the_whole_answer() {
        let answer = answered(&["Hello,", "Ada"], None);
        assert_eq!(complaint(&answer, json!({"tool": "t", "contains": "Ada"})), "");
        assert_eq!(complaint(&answer, json!({"tool": "t", "equals": "Hello,\nAda"})), "");
        assert_eq!(complaint(&answer, json!({"tool": "t"})), "");
        let complaint = complaint(&answer, json!({"tool": "t", "contains": "Bob"}));
        assert!(complaint.contains(r"does not contain `Bob`: it is `Hello,\nAda`"), "{complaint}");
    }

    #[test]
    fn a_value_is_compared_with_the_structured_content_or_with_the_text_as_json() {
        let structured = answered(&["two"], Some(json!({"count": 2})));
        assert_eq!(complaint(&structured, json!({"tool": "t", "equals": {"count": 2}})), "");
        assert!(
            complaint(&structured, json!({"tool": "t", "equals": {"count": 3}})).contains(r#"{\"count\":2}"#)
        );
        assert_eq!(complaint(&structured, json!({"tool": "t", "equals": "two"})), "");
        let plain = answered(&["{\"count\": 2}"], None);
        assert_eq!(complaint(&plain, json!({"tool": "t", "equals": {"count": 2}})), "");
        assert_ne!(complaint(&plain, json!({"tool": "t", "equals": null})), "");
        assert_eq!(complaint(&answered(&["null"], None), json!({"tool": "t", "equals": null})), "");
    }

    #[test]
    fn a_tool_fails_where_it_is_to_fail_and_nowhere_else() {
        let failed = ToolAnswer { is_error: true, ..answered(&["no such city"], None) };
        assert_eq!(complaint(&failed, json!({"tool": "t", "fails": true, "contains": "city"})), "");
        assert!(
            complaint(&failed, json!({"tool": "t", "contains": "city"})).contains("answered that it failed")
        );
        assert!(
            complaint(&answered(&["ok"], None), json!({"tool": "t", "fails": true})).contains("was to fail")
        );
    }
}
