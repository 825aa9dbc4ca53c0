//! Whether what the platform tells of a deployment is what was deployed.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::record::Why;
use crate::{Deployment, DeploymentSpec, Tool, nearest};

/// What a spec says of its deployment, whatever the platform does.
const OF_THE_SPEC: [&str; 8] = [
    "deployment_name",
    "template_id",
    "template_version",
    "backend",
    "image",
    "transport",
    "configuration",
    "relaxations",
];

/// What a list tells as well as a look at one deployment does.
const OF_A_LIST: [&str; 14] = [
    "deployment_name",
    "template_id",
    "template_version",
    "backend",
    "status",
    "ready",
    "replicas",
    "image",
    "transport",
    "endpoint",
    "revision",
    "created_at",
    "configuration",
    "relaxations",
];

/// The tools that were promised and are not served.
pub(super) fn missing_tools(promised: &[Tool], served: &[&str]) -> Result<(), Why> {
    let missing = promised.iter().map(|tool| tool.name.as_str()).filter(|tool| !served.contains(tool));
    let missing: Vec<String> = missing
        .map(|tool| match nearest(tool, served.iter().copied()) {
            Some(nearest) => format!("`{tool}` (it has `{nearest}`)"),
            None => format!("`{tool}`"),
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Why::of(format!("the server lacks what the template promises: {}", missing.join(", "))))
}

/// A deployment that answers is what its spec says, and is ready.
pub(super) fn check_status(status: &Deployment, spec: &DeploymentSpec) -> Result<(), Why> {
    let expected = Deployment::pending(spec, "", Timestamp::UNIX_EPOCH);
    let expected = Deployment { backend: status.backend.clone(), ..expected };
    let mut differences = differences(status, &expected, &OF_THE_SPEC);
    if !status.ready {
        differences.push(format!("it is {} and not ready, though its server answers", status.status));
    }
    // A scaler of the platform may have come first.
    if spec.autoscaling.is_none() && status.replicas.desired != spec.replicas {
        differences.push(format!("`replicas` are {} and not {}", status.replicas.desired, spec.replicas));
    }
    none(&differences)
}

/// The list has the deployment, once, and tells the same.
pub(super) fn check_list(found: &[&Arc<Deployment>], status: &Deployment) -> Result<(), Why> {
    match found {
        [listed] => none(&differences(listed, status, &OF_A_LIST)),
        [] => Err(Why::of("the list lacks it")),
        more => Err(Why::of(format!("the list has it {} times", more.len()))),
    }
}

fn none(differences: &[String]) -> Result<(), Why> {
    if differences.is_empty() { Ok(()) } else { Err(Why::of(differences.join("; "))) }
}

/// The fields in which two reports differ, by their names in JSON.
fn differences(found: &Deployment, expected: &Deployment, fields: &[&str]) -> Vec<String> {
    let json = |deployment| serde_json::to_value(deployment).unwrap_or(Value::Null);
    let (found, expected) = (json(found), json(expected));
    let differing = fields.iter().filter(|field| found[**field] != expected[**field]);
    differing
        .map(|field| format!("`{field}` is `{}` and not `{}`", found[*field], expected[*field]))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Replicas, Request, Status, Template, resolve};

    fn spec() -> DeploymentSpec {
        let document = json!({"id": "demo", "name": "Demo", "description": "Greets.", "version": "1"});
        let template = Template::from_value(document, None).unwrap();
        resolve(&template, &Request::default().name("demo-one"), "registry.example").unwrap()
    }

    fn running() -> Deployment {
        let pending = Deployment::pending(&spec(), "mock", Timestamp::UNIX_EPOCH);
        Deployment { status: Status::Running, ready: true, ..pending }
    }

    fn why(checked: Result<(), Why>) -> String {
        checked.err().map_or(String::new(), |why| format!("{why:?}"))
    }

    #[test]
    fn a_status_that_is_not_what_was_deployed_is_told_by_field() {
        assert_eq!(why(check_status(&running(), &spec())), "");
        let other = Deployment {
            template_version: "2".to_owned(),
            ready: false,
            status: Status::Degraded,
            replicas: Replicas { desired: 3, ready: 1 },
            ..running()
        };
        let why = why(check_status(&other, &spec()));
        for part in
            [r#"`template_version` is `\"2\"` and not `\"1\"`"#, "degraded and not ready", "3 and not 1"]
        {
            assert!(why.contains(part), "{part} in {why}");
        }
    }

    #[test]
    fn a_list_has_it_once_and_tells_the_same() {
        let listed = Arc::new(running());
        assert_eq!(why(check_list(&[&listed], &running())), "");
        assert!(why(check_list(&[], &running())).contains("lacks it"));
        assert!(why(check_list(&[&listed, &listed], &running())).contains("2 times"));
        let moved = Arc::new(Deployment { endpoint: Some("http://127.0.0.1:1/mcp".to_owned()), ..running() });
        assert!(why(check_list(&[&moved], &running())).contains("`endpoint`"));
    }

    #[test]
    fn tools_that_are_promised_and_missing_come_with_the_nearest() {
        let tool = |name: &str| Tool {
            name: name.to_owned(),
            description: None,
            input_schema: serde_json::Map::new(),
        };
        assert_eq!(why(missing_tools(&[tool("a")], &["b", "a"])), "");
        let why = why(missing_tools(&[tool("say_hello"), tool("xyz")], &["say_helo"]));
        assert!(why.contains("`say_hello` (it has `say_helo`), `xyz`"), "{why}");
    }
}
