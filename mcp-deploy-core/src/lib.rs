//! Everything of mcp-deploy but a platform.

mod error;
mod failure;
mod name;

mod document;
mod request;
mod resolve;
mod schema;
mod template;

mod deployment;
mod image;
mod quantity;
mod report;
mod spec;

pub use deployment::{Deployment, Event, Instance, LogLine, LogSource, Replicas, Revision, Status};
pub use document::{MAX_DOCUMENT_BYTES, parse_document};
pub use error::{BoxError, Error, Result, Violation, Violations, nearest};
pub use failure::{Failure, FailureReason, Recovery};
pub use image::{ImageError, ImageRef};
pub use name::{DeploymentName, NameError, TemplateId};
pub use quantity::{Cpu, Memory, QuantityError};
pub use report::{Era, McpReport, ServerInfo};
pub use request::{Overrides, Request};
pub use resolve::resolve;
pub use schema::{ConfigSchema, Property, VolumeMount};
pub use spec::*;
pub use template::Template;
