//! What can go wrong with the file that holds the mock's state.

use std::io;
use std::path::PathBuf;

use mcp_deploy_core::Error;

use crate::record::BACKEND;

/// Why the state could not be read or written; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("`{path}` is no state of a mock; it was kept as it is: mend it, or move it away", path = .path.display())]
    Corrupt {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("`{path}` is read-only; it was kept as it is: make it writable, or set `MCP_MOCK_STATE`", path = .path.display())]
    ReadOnly { path: PathBuf },
    #[error("`{path}` cannot be used; set `MCP_MOCK_STATE` to another file", path = .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        let operation = match &error {
            StateError::Corrupt { .. } => "read its state",
            StateError::ReadOnly { .. } => "write its state",
            StateError::Io { .. } => "reach its state",
        };
        Self::backend(BACKEND, operation, error)
    }
}
