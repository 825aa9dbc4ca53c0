//! What can go wrong on demand, and how long each phase takes.

use std::time::Duration;

use mcp_deploy_core::{DeploymentSpec, Error, Result};
use serde::{Deserialize, Serialize};

use crate::HttpMode;

/// What goes wrong with a deployment: of all of a backend, or of one by the `mock` section of its template,
/// which then counts alone.
///
/// ```json
/// {"mock": {"crash": {"exit_code": 3, "log": ["starting", "fatal: no API key"]}}}
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub struct Faults {
    /// The image cannot be pulled, for this reason.
    pub pull_error: Option<String>,
    /// The server ends as soon as it has started, again and again.
    pub crash: Option<Crash>,
    /// The server never becomes ready.
    pub never_ready: bool,
    /// The server needs so many milliseconds more to start.
    pub slow_start_ms: u64,
    /// The port is taken.
    pub port_conflict: bool,
    /// The server goes on at SIGTERM, and is killed.
    pub ignores_sigterm: bool,
    /// Nothing listens at its endpoint.
    pub never_listens: bool,
    /// How its endpoint answers; `mcp` by default.
    pub answers: HttpMode,
    /// Whether the server has a tool `environment` that answers its whole environment, secrets too.
    pub echo_environment: bool,
    /// The platform cannot be reached for so many calls after the deploy.
    pub unavailable_calls: u32,
}

/// How a simulated server ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crash {
    /// The exit code of its process; 0 is what a stdio server does that nobody writes to.
    pub exit_code: i32,
    /// What it writes before it ends.
    pub log: Vec<String>,
}

impl Faults {
    /// Those of a spec's `mock` section, else `usual`.
    pub(crate) fn of(spec: &DeploymentSpec, usual: &Self) -> Result<Self> {
        let Some(section) = &spec.mock else {
            return Ok(usual.clone());
        };
        serde_json::from_value(section.clone())
            .map_err(|error| Error::invalid("/mock", format!("is no description of faults: {error}")))
    }
}

/// How long the phases of a simulated start take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// Until the image is there; default 20 ms.
    pub pull: Duration,
    /// Until the server serves; default 30 ms.
    pub start: Duration,
}

impl Default for Phases {
    fn default() -> Self {
        Self { pull: Duration::from_millis(20), start: Duration::from_millis(30) }
    }
}
