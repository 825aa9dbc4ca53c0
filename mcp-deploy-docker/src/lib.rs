//! The Docker backend of mcp-deploy: one hardened container for each deployment, at an address that stays.
//!
//! A deployment `demo-one` is the container `demo-one` on the network `mcp-platform`, published on the loopback
//! interface. An update creates the new container while the old one serves; the old one is kept, stopped, as
//! `demo-one.previous`, and comes back without a pull. All that is reported is read back from the daemon.
//!
//! ```no_run
//! use mcp_deploy_core::{Backends, DeploymentBackend, Settings};
//! use mcp_deploy_docker::DockerBackend;
//!
//! # async fn connect() -> Result<(), mcp_deploy_core::Error> {
//! let docker = DockerBackend::from_settings(&Settings::default());
//! println!("Docker {}", docker.check().await?.version);
//! for garbage in docker.gc(true).await? {
//!     println!("{} {}: {}", garbage.kind, garbage.name, garbage.reason);
//! }
//! let backends = Backends::default().with(docker);
//! # Ok(())
//! # }
//! ```
//!
//! The client library, bollard, writes whole requests and answers to the `log` facade at the levels debug and
//! trace, and with them the values of secrets. A program that shows its log keeps the target `bollard` at info.

// Pure: from a spec to a container, and from a container to a report.
mod container;
mod labels;
mod names;
mod status;

// The daemon, and a user's own configuration of it.
mod client_config;
mod credentials;
mod daemon;
mod error;
mod handle;

// The verbs.
mod backend;
mod containers;
mod deploy;
mod gc;
mod list;
mod logs;
mod mend;
mod network;
mod ports;
mod pull;
mod turn;
mod volumes;
mod watch;

// Images: made, and held against what a deployment expects of them.
mod build;
mod contract;

pub use build::{Build, BuildOptions, BuildProgress, Built};
pub use contract::{Clause, ClauseReport, ContractReport, Verdict};
pub use gc::{Garbage, GarbageKind};
pub use handle::DockerBackend;
