//! The Docker backend of mcp-deploy: one hardened container for each deployment, at an address that stays.
//!
//! A deployment `demo-one` is the container `demo-one` on the network `mcp-platform`, published on the loopback
//! interface. An update creates the new container while the old one serves; the old one is kept, stopped, as
//! `demo-one.previous`. All that is reported is read back from the daemon.

mod backend;
mod container;
mod deploy;
mod error;
mod logs;
mod names;
mod network;
mod pull;
mod status;
mod watch;

pub use backend::DockerBackend;
