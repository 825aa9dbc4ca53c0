//! What an author writes about one MCP server, in every accepted form, as one normalized type.

mod fields;
mod read;
mod tools;
mod transport;
mod volumes;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) use volumes::is_host_path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    Autoscaling, ConfigSchema, Error, Exposure, Health, ImageError, ImageRef, Mount, Network, Placement,
    PullPolicy, Resources, RestartPolicy, Result, Security, TemplateId, Tool, Transport, Violations, Volume,
    parse_document,
};

/// A template, checked and normalized: both generations of field names become the same.
///
/// ```
/// use mcp_deploy_core::Template;
///
/// let template = Template::parse(
///     r#"{"id": "demo", "name": "Demo", "description": "Greets.", "version": "1.0.0",
///         "docker_image": "registry.example:5000/demo", "docker_tag": "1.2", "ports": {"7071": 7071}}"#,
///     "template.json",
///     None,
/// )?;
/// assert_eq!(template.image("ghcr.io/team")?.as_str(), "registry.example:5000/demo:1.2");
/// assert_eq!(template.transport.port, 7071);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Template {
    /// Its id: the field `id`, else the name of its directory.
    pub id: TemplateId,
    /// Its name for people.
    pub name: String,
    /// What the server does.
    pub description: String,
    /// Its version.
    pub version: String,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What it is filed under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What it is found by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where its documentation is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documentation_url: Option<String>,
    /// Where its source is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// The image as written; `None` where [`image`](Self::image) derives it.
    #[serde(rename = "docker_image", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "utoipa", schema(value_type = Option<String>))]
    pub written_image: Option<ImageRef>,
    /// When the image is pulled; `None` leaves it to its tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// How the server is talked to.
    pub transport: Transport,
    /// What replaces the image's entry point; empty keeps it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables that no configuration changes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment_variables: BTreeMap<String, String>,
    /// Named volumes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Paths of the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// The schema of the configuration.
    #[serde(serialize_with = "schema_document")]
    #[cfg_attr(feature = "utoipa", schema(value_type = Object))]
    pub config_schema: ConfigSchema,
    /// Configuration that wins over the schema's defaults.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "utoipa", schema(value_type = Object))]
    pub default_config: Map<String, Value>,
    /// The tools that the author promises.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// The HTTP health contract; `None` where the image does not keep one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Limits and requests.
    pub resources: Resources,
    /// How many instances; default 1.
    pub replicas: u32,
    /// Replicas by load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Where instances may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// User, file system and capabilities.
    pub security: Security,
    /// What the server may reach.
    pub network: Network,
    /// What happens when the server's process ends.
    pub restart: RestartPolicy,
    /// Whether any instance can answer any request; default `false`.
    pub stateless: bool,
    /// An address outside the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// How a mock simulates it; other backends pass over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mock: Option<Value>,
    /// Known fields that deploying does not need, as written: `examples`, `capabilities` and the like.
    #[serde(flatten)]
    #[cfg_attr(feature = "utoipa", schema(value_type = std::collections::BTreeMap<String, Value>))]
    pub metadata: Map<String, Value>,
    /// Fields that nobody reads, each with a suggestion; they never fail a template.
    #[serde(skip)]
    pub warnings: Violations,
    /// The directory that it was read from, where it was read from one: its Dockerfile and its sources are there.
    #[serde(skip)]
    pub directory: Option<PathBuf>,
}

impl Template {
    /// Parses and checks a template, JSON or YAML. `name` says in errors what was read; `fallback_id`, mostly
    /// the name of the directory, is the id where the template has no field `id`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with every rule that it breaks.
    pub fn parse(text: &str, name: &str, fallback_id: Option<&str>) -> Result<Self> {
        Self::from_value(parse_document(text, name)?, fallback_id)
    }

    /// The template that a parsed document describes.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with every rule that it breaks.
    pub fn from_value(document: Value, fallback_id: Option<&str>) -> Result<Self> {
        match document {
            Value::Object(fields) => read::template(fields, fallback_id).map_err(Error::from),
            _ => Err(Error::invalid("", "the template is no object of fields")),
        }
    }

    /// The image: the one that was written, exactly, else `{registry}/mcp-{id}:latest`.
    ///
    /// # Errors
    ///
    /// Where `registry` makes no image reference.
    pub fn image(&self, registry: &str) -> Result<ImageRef, ImageError> {
        match &self.written_image {
            Some(image) => Ok(image.clone()),
            None => format!("{}/mcp-{}:latest", registry.trim_end_matches('/'), self.id).parse(),
        }
    }
}

fn schema_document<S: serde::Serializer>(schema: &ConfigSchema, serializer: S) -> Result<S::Ok, S::Error> {
    schema.as_value().serialize(serializer)
}

#[cfg(test)]
mod tests;
