//! How a server is talked to, and how it says that it is well.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

/// How the server is talked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Transport {
    /// The protocol.
    pub kind: TransportKind,
    /// The port inside the container; `PORT` tells the server.
    pub port: u16,
    /// The path of the MCP endpoint.
    pub path: String,
}

/// A transport of the MCP specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TransportKind {
    /// One endpoint over HTTP, since revision 2025-03-26.
    StreamableHttp,
    /// Two endpoints, an event stream and posts, of revision 2024-11-05.
    Sse,
    /// Standard input and output.
    Stdio,
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::StreamableHttp => "streamable-http",
            Self::Sse => "sse",
            Self::Stdio => "stdio",
        })
    }
}

/// The HTTP health contract of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Health {
    /// The path that says the process is alive; default `/health`.
    pub liveness: String,
    /// The path that says it can serve; default `/ready`.
    pub readiness: String,
    /// Between two checks; default 30 s.
    #[serde(with = "duration")]
    #[cfg_attr(feature = "utoipa", schema(value_type = String))]
    pub interval: Duration,
    /// How long one check may take; default 3 s.
    #[serde(with = "duration")]
    #[cfg_attr(feature = "utoipa", schema(value_type = String))]
    pub timeout: Duration,
    /// How long a start may take before failures count; default 5 s.
    #[serde(with = "duration")]
    #[cfg_attr(feature = "utoipa", schema(value_type = String))]
    pub start_period: Duration,
    /// How many failures in a row count; default 3.
    pub retries: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            liveness: "/health".to_owned(),
            readiness: "/ready".to_owned(),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(3),
            start_period: Duration::from_secs(5),
            retries: 3,
        }
    }
}

/// Durations as authors write them: `30s`, `1m30s`, `500ms`, or a number of seconds.
mod duration {
    use super::{Deserialize, Deserializer, Duration, Serializer, Value, de};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = duration.as_millis();
        if millis.is_multiple_of(1000) {
            serializer.collect_str(&format_args!("{}s", millis / 1000))
        } else {
            serializer.collect_str(&format_args!("{millis}ms"))
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let malformed = || de::Error::custom("a duration is written like `30s`, `1m30s` or `500ms`");
        match Value::deserialize(deserializer)? {
            Value::Number(seconds) => seconds.as_u64().map(Duration::from_secs).ok_or_else(malformed),
            Value::String(text) => {
                let duration: jiff::SignedDuration = text.parse().map_err(|_| malformed())?;
                Duration::try_from(duration).map_err(|_| malformed())
            }
            _ => Err(malformed()),
        }
    }
}

/// A tool that a template's author promises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema of its arguments.
    #[cfg_attr(feature = "utoipa", schema(value_type = Object))]
    pub input_schema: Map<String, Value>,
}
