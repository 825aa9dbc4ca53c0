//! The behaviour suite: what every backend does, one named case each.
//!
//! A backend implements [`Fixture`] and calls [`run`] from the `main` of a test target with `harness = false`:
//!
//! ```no_run
//! # use mcp_deploy_core::conformance::{self, Fixture};
//! # use std::process::ExitCode;
//! fn run_suite(my_fixture: impl Fixture + 'static) -> ExitCode {
//!     conformance::run(|| async { Ok(Box::new(my_fixture) as Box<dyn Fixture>) })
//! }
//! ```
//!
//! Cases consult the backend's [`Capabilities`](crate::Capabilities) and the fixture's templates: one that
//! cannot run is *ignored* with the reason, never passed. What only one backend promises is tested beside the suite,
//! by cases of its own that [`run_cases`] runs in the same way.

pub mod capabilities;
pub mod deploying;
pub mod failures;
pub mod hardening;
pub mod lifecycle;
pub mod listing;
pub mod logs;
mod needs;
mod runner;
mod site;
pub mod values;
pub mod watching;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::needs::Needs;
pub use self::runner::{CASES, Case, run, run_cases};
use crate::{BoxError, DeploymentBackend, DeploymentName, Template};

/// What a case ends with: an error says what was not as it should be.
pub type CaseResult = Result<(), BoxError>;

/// How the server of a template behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Serves, writes `listening on …`, and stops at SIGTERM with `received SIGTERM, stopping`.
    Well,
    /// As well, with a tool `environment` that answers all environment variables as a JSON object.
    EchoesEnvironment,
    /// As well, with the tools `read` (a path), `write` (a path, a text), `reach` (an address), `spawn` (a count)
    /// and `allocate` (megabytes), which tell what its surroundings let it do.
    Explores,
    /// Writes a file below the root, and ends with the system's words where it cannot.
    WritesToTheRoot,
    /// Writes `fatal: told to crash …` and ends with this exit code, again and again.
    Crashes(u8),
    /// Lives and never listens.
    NeverListens,
    /// Serves after this time.
    Slow(Duration),
    /// Goes on at SIGTERM.
    IgnoresSigterm,
    /// Speaks MCP over standard input and output only.
    Stdio,
    /// Answers HTTP and not MCP.
    NotMcp,
    /// Has an image that cannot be had.
    BadImage,
}

impl Behaviour {
    /// What `mcp-mock-server` is told to behave so, in its variable `MOCK_BEHAVIOUR`; `None` where it is no
    /// behaviour of a server.
    pub fn of_mock_server(self) -> Option<String> {
        Some(match self {
            Self::Well => "well".to_owned(),
            Self::EchoesEnvironment => "echo-environment".to_owned(),
            Self::Explores => "explore".to_owned(),
            Self::WritesToTheRoot => "write:/t-written".to_owned(),
            Self::Crashes(code) => format!("crash:{code}"),
            Self::NeverListens => "never-listens".to_owned(),
            Self::Slow(delay) => format!("slow:{}", delay.as_millis()),
            Self::IgnoresSigterm => "ignore-sigterm".to_owned(),
            Self::Stdio => "stdio".to_owned(),
            Self::NotMcp => "not-mcp".to_owned(),
            Self::BadImage => return None,
        })
    }
}

/// What the suite needs of a backend.
#[async_trait]
pub trait Fixture: fmt::Debug + Send + Sync {
    /// The backend, with nothing deployed that begins with `t-`.
    fn backend(&self) -> Arc<dyn DeploymentBackend>;

    /// A template whose server behaves so; `None` where the platform cannot show it.
    fn template(&self, behaviour: Behaviour) -> Option<Template>;

    /// How long the slowest start may take.
    fn patience(&self) -> Duration {
        Duration::from_mins(1)
    }

    /// All objects of a deployment that are there, by kind and name; named volumes begin with `volume/`.
    async fn objects(&self, name: &DeploymentName) -> Result<Vec<String>, BoxError>;

    /// Removes the named volumes of a deployment that is gone; without any where the backend has none.
    async fn remove_volumes(&self, _name: &DeploymentName) -> Result<(), BoxError> {
        Ok(())
    }

    /// All that the platform shows of a deployment to those who may not read secrets: labels, annotations,
    /// arguments, descriptions. Empty where there is no platform.
    async fn shown(&self, _name: &DeploymentName) -> Result<String, BoxError> {
        Ok(String::new())
    }

    /// Those who have objects of their own on the platform; `None` where nobody else can.
    fn others(&self) -> Option<&dyn Others> {
        None
    }
}

/// Those who have objects of their own on a platform, beside us.
#[async_trait]
pub trait Others: Send + Sync {
    /// Puts an object there that has the name and is not ours.
    async fn plant(&self, name: &DeploymentName) -> Result<(), BoxError>;

    /// Takes it away again; an error where it is not as it was planted.
    async fn remove(&self, name: &DeploymentName) -> Result<(), BoxError>;
}

/// Ends the case with an error unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}
use ensure;
