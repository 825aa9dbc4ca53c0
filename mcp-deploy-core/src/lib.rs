//! Everything of mcp-deploy but a platform.

mod document;
mod error;
mod image;
mod name;
mod quantity;

mod request;
mod resolve;
mod schema;
mod spec;
mod template;

mod backend;
mod capabilities;
mod deployment;
mod failure;
mod report;
mod wait;

mod backends;
mod catalog;
#[cfg(feature = "conformance")]
pub mod conformance;
mod manager;
#[cfg(feature = "probe")]
pub mod probe;
mod settings;

#[cfg(feature = "mockall")]
pub use backend::MockDeploymentBackend;
pub use backend::{
    BackendHealth, Connection, DeleteOptions, DeployOptions, DeploymentBackend, EventStream, LogOptions,
    LogStream, Phase, Progress, Selector,
};
pub use backends::Backends;
pub use capabilities::{Capabilities, Logs};
pub use catalog::{Broken, Catalog, Templates, read_document};
pub use deployment::{Deployment, Event, Instance, LogLine, LogSource, Replicas, Revision, Status};
pub use document::{MAX_DOCUMENT_BYTES, parse_document};
pub use error::{BoxError, Error, Result, Violation, Violations, nearest};
pub use failure::{Failure, FailureReason, Recovery};
pub use image::{ImageError, ImageRef};
pub use manager::{Change, DEFAULT_WAIT, Deploy, Deployed, DeploymentManager, Listed};
pub use name::{DeploymentName, NameError, TemplateId};
pub use quantity::{Cpu, Memory, QuantityError};
pub use report::{Era, McpReport, ServerInfo};
pub use request::{Overrides, Request};
pub use resolve::resolve;
pub use schema::{ConfigSchema, Property, VolumeMount};
pub use settings::{MockSettings, Settings, Variable};
pub use spec::*;
pub use template::Template;
pub use wait::DeploymentBackendExt;
