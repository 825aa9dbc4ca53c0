//! What requests hold, as schemas alone: `body::Fields` reads them, field by field, to tell all that is wrong at once.
#![expect(dead_code, reason = "nothing makes them: they describe")]

use mcp_deploy_core::PullPolicy;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// No field is known here.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NothingBody {}

/// What to make of a template. A field that is null counts as absent.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeployBody {
    /// The configuration, as the template's `config_schema` describes it.
    #[schema(value_type = Option<Object>)]
    configuration: Option<Map<String, Value>>,
    /// The name of the deployment; a new one is made where none is given. A deployment that has it already is changed
    /// in place.
    #[schema(min_length = 2, max_length = 50, pattern = "^(?!events$)[a-z][a-z0-9-]*[a-z0-9]$")]
    name: Option<String>,
    overrides: Option<OverridesBody>,
    /// The backend, where it is not the default one.
    backend: Option<String>,
    /// Whether to wait until the server answers over MCP, and to go back to what ran before where it does not.
    #[schema(default = true)]
    wait: Option<bool>,
    /// Whether to check everything and touch nothing.
    #[schema(default = false)]
    dry_run: Option<bool>,
}

/// What is changed beside the configuration.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OverridesBody {
    /// Another image.
    image: Option<String>,
    pull_policy: Option<PullPolicy>,
    /// The port of the host at which the server is published.
    #[schema(minimum = 1, maximum = 65535)]
    host_port: Option<u16>,
    /// How many instances; 0 deploys it stopped.
    #[schema(maximum = 4_294_967_295_u32)]
    replicas: Option<u32>,
    /// The memory limit, as in `512Mi`.
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$")]
    memory: Option<String>,
    /// The CPU limit, as in `0.5` or `500m`.
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?m?$")]
    cpus: Option<String>,
}

/// How large a deployment shall be.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScaleBody {
    /// How many instances; 0 stops it and keeps everything.
    #[schema(maximum = 4_294_967_295_u32)]
    replicas: u32,
}

/// What a tool is called with. A field that is null counts as absent.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallBody {
    /// The arguments, as the tool's `input_schema` describes them.
    #[schema(value_type = Option<Object>)]
    arguments: Option<Map<String, Value>>,
}

/// A template, in any form that is accepted.
#[derive(ToSchema)]
pub(super) struct TemplateBody {
    /// Its id.
    #[schema(min_length = 2, max_length = 63)]
    id: String,
    /// Its name for people.
    name: String,
    /// What the server does.
    description: String,
    /// Its version.
    version: String,
}
