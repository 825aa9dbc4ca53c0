//! The mock backend of mcp-deploy: real behaviour without a platform, for tests and for a first look.
//!
//! Deployments are simulated: they take time to start, fail on demand, keep revisions and logs. What is real is
//! the server: [`connect`](mcp_deploy_core::DeploymentBackend::connect) opens an MCP endpoint on the loopback
//! interface, made from the tools that the template promises, in both eras of the protocol.
//!
//! ```
//! use mcp_deploy_core::{Backends, Catalog, Deploy, DeploymentManager, Request, Settings};
//! use mcp_deploy_mock::MockBackend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), mcp_deploy_core::Error> {
//! let backends = Backends::default().with(MockBackend::default());
//! let manager = DeploymentManager::new(Catalog::default(), backends, &Settings::default());
//!
//! let template = manager.template("demo")?;
//! let spec = manager.resolve(&template, &Request::default().set("hello_from", "the docs"))?;
//! let deployed = manager.deploy(&spec, &Deploy::default()).await?;
//!
//! let answer = deployed.deployment.mcp.expect("the server was asked");
//! assert_eq!(answer.protocol_version.as_deref(), Some("2026-07-28"));
//! assert_eq!(answer.tools, ["say_hello", "say_goodbye"]);
//! # Ok(())
//! # }
//! ```

mod backend;
mod connect;
mod error;
mod explore;
mod faults;
mod http;
mod lines;
mod logs;
mod record;
mod server;
mod state;
mod status;
mod store;
mod watch;

pub use backend::{MockBackend, MockOptions};
pub use faults::{Crash, Faults, Phases};
pub use http::{HttpMode, HttpServer};
pub use server::{ServerProfile, serve_stdio};
