//! The clause of the hardening: what an image needs taken back, and how its template says so; pure.

use mcp_deploy_core::{Relaxation, RunAsUser, Security};
use serde_json::{Map, Value, json};

use super::examine::Examined;
use super::{Clause, ClauseReport, Verdict};

/// The hardening as a template has it, with more and more of it taken back.
pub(super) fn relaxed(security: &Security) -> Vec<Security> {
    let writable = |security: &Security| Security { read_only_root: false, ..security.clone() };
    let of_image = |security: &Security| Security { run_as_user: RunAsUser::Image, ..security.clone() };
    let mut tries = vec![writable(security), of_image(security), of_image(&writable(security))];
    tries.dedup();
    tries.retain(|relaxed| relaxed != security);
    tries
}

/// The image runs with the hardening that its template leaves.
pub(super) fn kept(security: &Security) -> ClauseReport {
    let user = match security.run_as_user {
        RunAsUser::Id(id) => format!("user {id}"),
        RunAsUser::Image => "the image's own user".to_owned(),
    };
    let relaxations: Vec<&str> = security.relaxations().into_iter().map(Relaxation::as_str).collect();
    let detail = match relaxations[..] {
        [] => format!("{user}, read-only root"),
        _ => format!("{user}; the template takes back `{}`", relaxations.join("`, `")),
    };
    ClauseReport { clause: Clause::Hardened, verdict: Verdict::Kept, detail: Some(detail) }
}

/// The image runs only so.
pub(super) fn needs(relaxed: &Security, hardened: &Examined) -> ClauseReport {
    let detail = format!(
        "hardened, {}; it runs with `{}` in template.json",
        hardened.end().unwrap_or("it does not run"),
        field(relaxed)
    );
    ClauseReport { clause: Clause::Hardened, verdict: Verdict::Broken, detail: Some(detail) }
}

/// The image does not run either way.
pub(super) fn not_seen() -> ClauseReport {
    let detail = "it ends with the hardening taken back too".to_owned();
    ClauseReport { clause: Clause::Hardened, verdict: Verdict::NotSeen, detail: Some(detail) }
}

/// The field of a template that takes back so much.
fn field(security: &Security) -> String {
    let Security { run_as_user, read_only_root, add_capabilities } = security;
    let mut fields = Map::new();
    match run_as_user {
        RunAsUser::Image => drop(fields.insert("run_as_user".to_owned(), json!("image"))),
        RunAsUser::Id(1000) => {}
        RunAsUser::Id(id) => drop(fields.insert("run_as_user".to_owned(), json!(id))),
    }
    if !read_only_root {
        fields.insert("read_only_root".to_owned(), json!(false));
    }
    if !add_capabilities.is_empty() {
        fields.insert("add_capabilities".to_owned(), json!(add_capabilities));
    }
    format!("\"security\": {}", Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_relaxation_is_tried_alone_and_then_both_and_none_that_the_template_has() {
        let fields = |security: &Security| relaxed(security).iter().map(field).collect::<Vec<_>>();
        assert_eq!(
            fields(&Security::default()),
            [
                r#""security": {"read_only_root":false}"#,
                r#""security": {"run_as_user":"image"}"#,
                r#""security": {"read_only_root":false,"run_as_user":"image"}"#,
            ]
        );
        let writable = Security {
            read_only_root: false,
            add_capabilities: vec!["CHOWN".to_owned()],
            ..Security::default()
        };
        assert_eq!(
            fields(&writable),
            [r#""security": {"add_capabilities":["CHOWN"],"read_only_root":false,"run_as_user":"image"}"#]
        );
        let all = Security { run_as_user: RunAsUser::Image, ..writable };
        assert_eq!(fields(&all), Vec::<String>::new());
    }

    #[test]
    fn what_a_template_takes_back_is_told() {
        let told = |security: &Security| kept(security).detail.unwrap();
        assert_eq!(told(&Security::default()), "user 1000, read-only root");
        let relaxed =
            Security { read_only_root: false, run_as_user: RunAsUser::Image, ..Security::default() };
        assert_eq!(
            told(&relaxed),
            "the image's own user; the template takes back `run_as_user`, `read_only_root`"
        );
    }
}
