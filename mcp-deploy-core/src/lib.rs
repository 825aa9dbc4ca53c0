//! Templates, specs, the backend trait and the manager of mcp-deploy: everything but a platform.
//!
//! A [`Template`] says what an author knows of an MCP server; a [`Request`] says what a user wants of it.
//! [`resolve`] makes a [`DeploymentSpec`] of both, with everything that is wrong told at once. A
//! [`DeploymentBackend`] runs specs; the [`DeploymentManager`] waits until the server answers MCP, and goes back
//! to what worked when an update does not.
//!
//! ```
//! use mcp_deploy_core::{Backends, Catalog, Deploy, DeploymentManager, Request, Selector, Settings};
//! use mcp_deploy_mock::MockBackend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), mcp_deploy_core::Error> {
//! let backends = Backends::default().with(MockBackend::default());
//! let manager = DeploymentManager::new(Catalog::default(), backends, &Settings::default());
//!
//! let template = manager.template("file-server")?;
//! let request = Request::default().name("my-files").set("read_only_mode", "true");
//! let spec = manager.resolve(&template, &request)?;
//!
//! let deployed = manager.deploy(&spec, &Deploy::default()).await?;
//! println!("{} at {:?}", deployed.deployment.status, deployed.deployment.endpoint);
//! assert!(deployed.deployment.mcp.is_some_and(|answer| answer.tools.contains(&"read_file".to_owned())));
//!
//! let listed = manager.list(None, &Selector::default()).await?;
//! assert_eq!(listed.deployments[0].name, spec.name);
//! # Ok(())
//! # }
//! ```
//!
//! Core knows no platform, prints nothing and reads no environment: [`Settings`] and secrets are passed in. A new
//! backend is a type that implements the trait and passes the suite in `conformance`; the example
//! `custom_backend` is one in small.
//!
//! | feature | brings |
//! |---|---|
//! | `probe` (default) | [`probe`]: the MCP handshake, with rmcp and an HTTP client without TLS |
//! | `conformance` | `conformance`: the behaviour suite that every backend passes |
//! | `mockall` | `MockDeploymentBackend`: a strict double for call-by-call tests |
//! | `watch` | `Catalog::watch`: tells when templates change, with notify |
//! | `utoipa` | the schemas of what stands in JSON, for an OpenAPI document |

// What things are called, and what can be wrong with them.
mod document;
mod error;
mod image;
mod name;
mod quantity;

// From what an author and a user wrote to a spec.
mod dockerfile;
mod request;
mod resolve;
mod schema;
mod spec;
mod template;

// Where specs run, and what is reported about them.
mod backend;
mod capabilities;
mod deployment;
mod failure;
mod report;
mod test_report;
mod wait;

// The program round it.
mod backends;
mod catalog;
mod manager;
mod settings;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "probe")]
pub mod probe;

#[cfg(feature = "mockall")]
pub use backend::MockDeploymentBackend;
pub use backend::{
    BackendHealth, Connection, DeleteOptions, DeployOptions, DeploymentBackend, EventStream, LogOptions,
    LogStream, Phase, Progress, Selector,
};
pub use backends::Backends;
pub use capabilities::{Capabilities, Logs, Part};
pub use catalog::{
    Broken, Catalog, Hidden, KeptFresh, Overview, Source, SourceReport, Summary, TEMPLATE_FILE_NAMES,
    TemplateRepository, TemplateRepositoryError, Templates, read_document, read_text,
};
#[cfg(feature = "watch")]
pub use catalog::{CatalogChanges, CatalogWatch};
pub use deployment::{Deployment, Event, Instance, LogLine, LogSource, Replicas, Revision, Status};
pub use dockerfile::{Dockerfile, DockerfileError, Finding, Findings, Flag, Instruction};
pub use document::{MAX_DOCUMENT_BYTES, parse_document};
pub use error::{BoxError, Error, Result, Violation, Violations, causes, nearest, one_line};
pub use failure::{Failure, FailureReason, Recovery};
pub use image::{ImageError, ImageRef};
#[cfg(feature = "probe")]
pub use manager::Trial;
pub use manager::{Change, DEFAULT_WAIT, Deploy, Deployed, DeploymentManager, Listed};
pub use name::{DeploymentName, NameError, TemplateId};
pub use quantity::{Cpu, Memory, QuantityError};
pub use report::{Era, McpReport, ServerInfo};
pub use request::{Overrides, Request};
pub use resolve::{missing, resolve};
pub use schema::{ConfigSchema, Property, VolumeMount, coerce};
pub use settings::{
    DockerSettings, HttpLimits, HttpSettings, KubernetesSettings, MockSettings, PortRange, PortRangeError,
    Settings, Token, Variable,
};
pub use spec::{
    AccessMode, Autoscaling, DeploymentSpec, Exposure, Health, Mount, Network, Peer, Placement, PullPolicy,
    REDACTED, Relaxation, ResourceAmounts, Resources, RestartPolicy, RunAsUser, Secrets, Security,
    TemplateVersion, Tool, Transport, TransportKind, Volume,
};
pub use template::{TEMPLATE_SCHEMA, Template, ToolTest};
pub use test_report::{TestReport, TestStep, Verdict};
pub use wait::DeploymentBackendExt;
