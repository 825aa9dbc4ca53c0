//! The Kubernetes backend of mcp-deploy: production objects, honest rollouts, failures that explain themselves.
//!
//! A deployment `demo-one` is the Deployment `demo-one` in the backend's namespace, with a Service, a
//! NetworkPolicy, its configuration in a ConfigMap and its secrets in a Secret. All of it is applied server-side,
//! so what somebody else adds stays, and what somebody else changes is taken back by the next deploy. All that is
//! reported is read back from the cluster.
//!
//! ```no_run
//! use mcp_deploy_core::{Backends, DeploymentBackend, Settings};
//! use mcp_deploy_k8s::KubernetesBackend;
//!
//! # async fn connect() -> Result<(), mcp_deploy_core::Error> {
//! let kubernetes = KubernetesBackend::from_settings(&Settings::default());
//! println!("Kubernetes {}", kubernetes.check().await?.version);
//! let backends = Backends::default().with(kubernetes);
//! # Ok(())
//! # }
//! ```
//!
//! A program chooses the version of the Kubernetes API by a feature of the crate `k8s-openapi`: `v1_33` speaks to
//! the clusters that are supported, 1.33 and later.

// Pure: from a spec to objects, and from objects to a report.
mod index;
mod labels;
mod manifest;
mod names;
mod packed;
mod status;
mod time;

// The cluster.
mod access;
mod error;
mod handle;
mod turn;

// The verbs.
mod apply;
mod backend;
mod cache;
mod connect;
mod delete;
mod deploy;
mod immutable;
mod list;
mod logs;
mod objects;
mod render;
mod revisions;
mod setup;
mod watch;

pub use cache::CachedBackend;
pub use handle::KubernetesBackend;
pub use setup::{Credentials, InClusterServer};
