//! Errors, as a real API server answers them: `Status` objects.

use serde_json::{Value, json};

use super::route::Kind;

/// The answer to a request that failed.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Status {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    fn of(code: u16, reason: &'static str, kind: &Kind, name: &str, message: impl Into<String>) -> Self {
        let details = json!({"name": name, "group": kind.group, "kind": kind.resource});
        Self { details, ..Self::new(code, reason, message) }
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::of(404, "NotFound", kind, name, format!("{} \"{name}\" not found", kind.qualified()))
    }

    pub(super) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub(super) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::of(409, "AlreadyExists", kind, name, message)
    }

    pub(super) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Self::of(409, "Conflict", kind, name, message)
    }

    /// The version that a request was made for is no longer the one that is there.
    pub(super) fn modified(kind: &Kind, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// Fields that other managers have: `(manager, field)`.
    pub(super) fn field_conflicts(conflicts: &[(String, String)]) -> Self {
        let (manager, field) = &conflicts[0];
        let message = if conflicts.len() == 1 {
            format!("Apply failed with 1 conflict: conflict with \"{manager}\": {field}")
        } else {
            let each =
                conflicts.iter().map(|(manager, field)| format!("conflict with \"{manager}\": {field}"));
            format!(
                "Apply failed with {} conflicts: {}",
                conflicts.len(),
                each.collect::<Vec<_>>().join("\n")
            )
        };
        let cause = |(manager, field): &(String, String)| {
            let message = format!("conflict with \"{manager}\"");
            json!({"reason": "FieldManagerConflict", "message": message, "field": field})
        };
        let causes: Vec<Value> = conflicts.iter().map(cause).collect();
        Self { details: json!({"causes": causes}), ..Self::new(409, "Conflict", message) }
    }

    /// One field that may not be as it is.
    pub(super) fn invalid(kind: &Kind, name: &str, field: &str, why: &str) -> Self {
        let message = format!(
            "{}{} \"{name}\" is invalid: {field}: {why}",
            kind.kind,
            if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) },
        );
        let mut status = Self::of(422, "Invalid", kind, name, message);
        status.details["kind"] = kind.kind.into();
        status.details["causes"] = json!([{"reason": "FieldValueInvalid", "field": field, "message": why}]);
        status
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    pub(super) fn to_json(&self) -> Value {
        let Self { code, reason, message, details } = self;
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        if !details.is_null() {
            status["details"] = details.clone();
        }
        status
    }
}
