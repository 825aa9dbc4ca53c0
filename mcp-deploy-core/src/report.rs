//! What a server answered when it was asked over MCP.

use serde::{Deserialize, Serialize};

/// What a server said about itself in an MCP handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct McpReport {
    /// The era of the protocol that it speaks; `None` where it wants authorization first.
    pub era: Option<Era>,
    /// The revision that was agreed on, as in `2026-07-28`.
    pub protocol_version: Option<String>,
    /// Its own name and version, where it told them.
    pub server: Option<ServerInfo>,
    /// The capabilities that it declared, as in `tools`, `resources`, `prompts`.
    pub capabilities: Vec<String>,
    /// The names of its tools, in its order; empty where it declares no tools.
    pub tools: Vec<String>,
    /// Whether it answered 401 or 403: it can be reached, and speaks to those who are authorized.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authorization_required: bool,
}

impl McpReport {
    /// The report on a server that wants authorization before it says anything.
    pub fn authorization_required() -> Self {
        Self { authorization_required: true, ..Self::default() }
    }
}

/// An era of the Model Context Protocol, in the words of the specification's page on versioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Era {
    /// Revision 2026-07-28 and later: stateless, opened by `server/discover`.
    Modern,
    /// Revision 2025-11-25 and earlier: sessions, opened by `initialize`.
    Legacy,
}

impl Era {
    /// The word, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Legacy => "legacy",
        }
    }
}

/// A server's own name and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ServerInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}
