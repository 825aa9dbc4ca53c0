//! The HTTP API of [mcp-deploy](mcp_deploy_core): the verbs of the manager, and nothing else, for a front end or
//! for a host's own actix-web app.
//!
//! ```
//! use actix_web::App;
//! use mcp_deploy_core::{Backends, Catalog, DeploymentManager, Settings};
//! use mcp_deploy_http::{Api, configure};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let manager = DeploymentManager::new(Catalog::default(), Backends::default(), &Settings::default());
//! let api = Api::new(manager);
//! let app = App::new().configure(configure(&api));
//! # }
//! ```
//!
//! Answers are JSON; errors are problem documents (RFC 9457) whose `code` is stable, with every violation of a
//! request at once. Deployments look as they do in the library and on the command line. A deploy, with its wait and
//! its way back, goes on when the client that asked for it is gone; [`Api::finished`] waits for those under way.
//!
//! [`configure`] authenticates nobody: that is the host's, as in `examples/embed.rs`. A host also says
//! `HttpServer::h1_allow_half_closed(false)`, so that the streams of a client that is gone are let go of at once.
//! [`serve`] is a whole server, which does both.

mod api;
mod audit;
mod feed;
mod metrics;
mod problem;

// What a request holds, and what an answer is.
mod accept;
mod body;
mod observe;
mod query;
mod rendered;
mod request_id;
mod stream;

mod openapi;
mod routes;

// The server round it.
mod auth;
mod guard;
mod kept_templates;
mod rate;
mod reloaded;
mod server;
mod tls;

pub use api::Api;
pub use audit::Client;
pub use auth::{Role, TokenEntry};
pub use routes::configure;
pub use server::{ServeError, serve, stopped};
