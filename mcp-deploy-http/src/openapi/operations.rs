//! What the operations are, in the order of the table in `routes`; each has the name of its operation id.

use actix_web::http::StatusCode;
use mcp_deploy_core::probe::ToolAnswer;
use mcp_deploy_core::{DeploymentName, Status, TemplateId};
use serde_json::{Value, json};
use utoipa::PartialSchema;
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Required, Schema, SchemaFormat, Type};

use super::bodies::{CallBody, DeployBody, NothingBody, ScaleBody, TemplateBody};
use super::operation::{Operation, text};
use super::problems::OF_A_PLATFORM;
use crate::accept::OPEN_METRICS;
use crate::routes::backends::BackendList;
use crate::routes::deploy::{DeployAnswer, LONGEST_KEY};
use crate::routes::deployments::{DeletedAnswer, DeploymentAnswer, DeploymentList, PAGE};
use crate::routes::health::{HealthAnswer, ReadyAnswer};
use crate::routes::templates::{TemplateAnswer, TemplateList, ValidAnswer};
use crate::routes::tools::ToolList;

const TEMPLATES: &str = "templates";
const DEPLOYMENTS: &str = "deployments";
const BACKENDS: &str = "backends";
const HEALTH: &str = "health";

const OF_A_WATCH: &str = "\
Events (WHATWG HTML, \"Server-sent events\"): `changed` with a deployment for each that is there, `synced` with `{\"backend\"}` once \
those of a backend are told, then `changed` with a deployment, and `gone` with `{\"deployment_name\", \"backend\"}`. \
`problem` is a problem document with its `backend`, and not the end: after a cut between the server and its platform the \
state comes again, then `synced`. Lines that begin with `:` are comments, which keep the connection alive.";

pub(crate) fn list_templates() -> Operation {
    Operation::new(TEMPLATES, "List the templates, and beside them those that are broken")
        .answers::<TemplateList>(StatusCode::OK, "The catalog.")
}

pub(crate) fn validate_template() -> Operation {
    let yaml = "id: greeter\nname: Greeter\ndescription: Greets.\nversion: 1.0.0\n";
    Operation::new(TEMPLATES, "Check a template")
        .says("Everything that is wrong with it is told at once. Nothing is stored.")
        .body::<TemplateBody>(Required::True, &[("template", a_template())])
        .or_text_body("application/yaml", &[("template", yaml.into())])
        .or_text_body("text/plain", &[("template", yaml.into())])
        .answers::<ValidAnswer>(StatusCode::OK, "It is good; `warnings` are fields that nobody reads.")
}

pub(crate) fn deploy_template() -> Operation {
    Operation::new(DEPLOYMENTS, "Deploy a template")
        .says(
            "Makes a deployment, or makes the one of this name like it; the same request again changes nothing. It goes on \
             when the client is gone. Where an update does not work, what ran before serves again.",
        )
        .path("template", text(), "demo", "The id of a template.")
        .header(
            "Idempotency-Key",
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(LONGEST_KEY)),
            "Makes the name where none is given: a request that is sent again with its key means the same deployment.",
        )
        .body::<DeployBody>(
            Required::False,
            &[
                ("named", json!({"name": "demo-one", "configuration": {"hello_from": "me"}})),
                (
                    "dry run",
                    json!({"name": "demo-one", "overrides": {"replicas": 2, "memory": "256Mi"}, "dry_run": true}),
                ),
                ("not awaited", json!({"name": "demo-one", "wait": false})),
            ],
        )
        .answers::<DeployAnswer>(
            StatusCode::OK,
            "Nothing had to be changed, or it was a dry run. As events: `progress` with `{\"step\"}` for each step, then \
             `deployment` with the same document as in JSON, or `problem` with a problem document; they begin with \
             this status whatever comes of it.",
        )
        .or_events()
        .answers::<DeployAnswer>(StatusCode::CREATED, "It was created or changed, and its server answers over MCP.")
        .sends("Location", "Where the deployment is.")
        .answers::<DeployAnswer>(StatusCode::ACCEPTED, "It was created or changed, and nobody waits for its server.")
        .sends("Location", "Where the deployment is.")
        .fails(&OF_A_PLATFORM)
        .fails(&[StatusCode::CONFLICT, StatusCode::NOT_IMPLEMENTED, StatusCode::GATEWAY_TIMEOUT])
}

pub(crate) fn list_deployments() -> Operation {
    let limit = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(PAGE));
    Operation::new(DEPLOYMENTS, "List the deployments")
        .says("Those of one backend or of all, by name. A backend that cannot tell is told in `errors`.")
        .query("template", TemplateId::schema(), "Those of this template.")
        .query("status", Status::schema(), "Those that stand so.")
        .query("backend", text(), "Those of this backend; then its error is the answer's.")
        .query("limit", limit.default(Some(PAGE.into())), "How many a page holds.")
        .query("cursor", text(), "`next_cursor` of the page before.")
        .answers::<DeploymentList>(StatusCode::OK, "A page of them.")
        .fails(&OF_A_PLATFORM)
}

pub(crate) fn watch_deployments() -> Operation {
    Operation::new(DEPLOYMENTS, "Watch the deployments")
        .query("template", TemplateId::schema(), "Those of this template.")
        .query("backend", text(), "Those of this backend.")
        .answers_events(OF_A_WATCH)
        .fails(&[StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE])
}

pub(crate) fn show_deployment() -> Operation {
    of_deployment("Show a deployment, with what its server answers now")
        .answers::<DeploymentAnswer>(StatusCode::OK, "The deployment.")
}

pub(crate) fn delete_deployment() -> Operation {
    of_deployment("Delete a deployment")
        .query("volumes", bool::schema(), "Whether its named volumes go too, with all that is in them.")
        .answers::<DeletedAnswer>(StatusCode::OK, "It is gone.")
}

pub(crate) fn start_deployment() -> Operation {
    change("Start a deployment that is stopped, with one instance")
}

pub(crate) fn stop_deployment() -> Operation {
    change("Stop a deployment, and keep everything")
}

pub(crate) fn restart_deployment() -> Operation {
    change("Replace all instances of a deployment; its address stays")
}

pub(crate) fn scale_deployment() -> Operation {
    of_deployment("Change the number of instances")
        .body::<ScaleBody>(Required::True, &[("two", json!({"replicas": 2}))])
        .answers::<DeploymentAnswer>(StatusCode::OK, "The deployment; it may not be ready yet.")
        .fails(&[StatusCode::CONFLICT, StatusCode::NOT_IMPLEMENTED])
}

pub(crate) fn read_logs() -> Operation {
    let lines = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(u32::MAX));
    of_deployment("Read what a server wrote")
        .says(
            "As text, a line each; where something fails on the way, a line says `error: ...`. As events: `line` with \
             `{\"timestamp\", \"instance\", \"stream\", \"message\"}`, and `problem` with a problem document.",
        )
        .query("tail", lines, "The last lines only; of each instance.")
        .query("since", moment(), "Lines from this moment on.")
        .query("follow", bool::schema(), "Whether to wait for more.")
        .query(
            "previous",
            bool::schema(),
            "Lines of the run before the current one, of each instance that was started again; only where the platform \
             keeps the runs apart.",
        )
        .query("timestamps", bool::schema(), "Whether each line of text begins with its time.")
        .answers_text("text/plain", "The lines.")
        .or_events()
        .fails(&[StatusCode::NOT_IMPLEMENTED])
}

pub(crate) fn watch_deployment() -> Operation {
    of_deployment("Watch a deployment").answers_events(OF_A_WATCH)
}

pub(crate) fn list_tools() -> Operation {
    of_deployment("List the tools of a server, with the schemas of their arguments")
        .answers::<ToolList>(StatusCode::OK, "The tools.")
        .fails(&[StatusCode::CONFLICT, StatusCode::NOT_IMPLEMENTED])
}

pub(crate) fn call_tool() -> Operation {
    of_deployment("Call a tool of a server")
        .path("tool", text(), "say_hello", "The name of the tool.")
        .body::<CallBody>(Required::False, &[("greeting", json!({"arguments": {"name": "Ada"}}))])
        .answers::<ToolAnswer>(
            StatusCode::OK,
            "What the tool answered. One that ran and failed is an answer too, whose `is_error` says so.",
        )
        .fails(&[StatusCode::CONFLICT, StatusCode::NOT_IMPLEMENTED])
}

pub(crate) fn show_template() -> Operation {
    Operation::new(TEMPLATES, "Show a template, with the schema of its configuration")
        .path("template", text(), "demo", "The id of a template.")
        .answers::<TemplateAnswer>(StatusCode::OK, "The template.")
        .fails(&[StatusCode::NOT_FOUND])
}

pub(crate) fn list_backends() -> Operation {
    Operation::new(BACKENDS, "List the backends, and whether their platforms can be reached")
        .answers::<BackendList>(StatusCode::OK, "The backends.")
}

pub(crate) fn show_health() -> Operation {
    Operation::open(HEALTH, "Whether the process lives").answers::<HealthAnswer>(StatusCode::OK, "It does.")
}

pub(crate) fn show_readiness() -> Operation {
    Operation::open(HEALTH, "Whether the platforms can be reached")
        .answers::<ReadyAnswer>(StatusCode::OK, "The default one can be.")
        .answers::<ReadyAnswer>(StatusCode::SERVICE_UNAVAILABLE, "The default one cannot be.")
}

pub(crate) fn read_metrics() -> Operation {
    Operation::new(HEALTH, "Read the metrics of the server").answers_text(
        OPEN_METRICS,
        "Requests, changes and what is under way, in the text format of OpenMetrics.",
    )
}

fn of_deployment(summary: &str) -> Operation {
    Operation::new(DEPLOYMENTS, summary)
        .path("name", DeploymentName::schema(), "demo-one", "The name of a deployment.")
        .query("backend", text(), "The backend that it runs on, where that is not the default one.")
        .fails(&OF_A_PLATFORM)
}

/// A change that needs no more than the name.
fn change(summary: &str) -> Operation {
    of_deployment(summary)
        .body::<NothingBody>(Required::False, &[])
        .answers::<DeploymentAnswer>(StatusCode::OK, "The deployment; it may not be ready yet.")
        .fails(&[StatusCode::CONFLICT])
}

fn a_template() -> Value {
    json!({
        "id": "greeter", "name": "Greeter", "description": "Greets.", "version": "1.0.0",
        "docker_image": "registry.example/greeter:1.0.0", "transport": {"default": "http", "port": 8080},
        "config_schema": {"type": "object", "properties": {"greeting": {"type": "string"}}},
    })
}

fn moment() -> RefOr<Schema> {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
}
