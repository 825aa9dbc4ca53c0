//! Why a deployment does not work, told so that its owner can mend it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The cause class of a failed deployment, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The cause class.
    pub reason: FailureReason,
    /// What happened, in the platform's or the server's own words where it has some.
    pub message: String,
    /// The exit code of the server's process, where it ended.
    pub exit_code: Option<i32>,
    /// The last lines that the failing server wrote.
    pub log_tail: Vec<String>,
    /// What the platform reported about it.
    pub events: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with the hint of its reason and no evidence yet.
    pub fn new(reason: FailureReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            exit_code: None,
            log_tail: Vec::new(),
            events: Vec::new(),
            hint: reason.hint().map(str::to_owned),
        }
    }

    /// The failure of a server whose process ended by itself. A server that speaks MCP over standard input ends
    /// with 0 at once where nobody writes to it; every other end is a crash.
    pub fn of_exit(exit_code: i32) -> Self {
        let failure = match exit_code {
            0 => Self::new(
                FailureReason::StdioImage,
                "the server ended with exit code 0 as soon as it had started",
            ),
            code => Self::new(FailureReason::CrashLoop, format!("the server ended with exit code {code}")),
        };
        failure.exit_code(exit_code)
    }

    /// With the exit code of the server's process.
    #[must_use]
    pub fn exit_code(mut self, exit_code: i32) -> Self {
        self.exit_code = Some(exit_code);
        self
    }

    /// With the last lines that the server wrote.
    #[must_use]
    pub fn log_tail(mut self, lines: Vec<String>) -> Self {
        self.log_tail = lines;
        self
    }

    /// With what the platform reported.
    #[must_use]
    pub fn events(mut self, events: Vec<String>) -> Self {
        self.events = events;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal, $hint:expr;)+) => {
        /// The cause class of a failure: a stable word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum FailureReason {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl FailureReason {
            /// The word, as it stands in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What usually mends it.
            pub fn hint(self) -> Option<&'static str> {
                match self { $(Self::$variant => $hint,)+ }
            }
        }
    };
}

reasons! {
    /// The image could not be pulled.
    ImagePull = "image_pull", Some("check the image's name and tag, and that the registry can be reached");
    /// The registry refused us.
    ImageDenied = "image_denied", Some("log in to the registry, or give the platform a pull secret");
    /// The platform cannot run the image.
    ImageInvalid = "image_invalid", Some("check that the image is built for this platform and that its command exists");
    /// The platform refused the configuration of the instance.
    ConfigError = "config_error", None;
    /// The server's process ends again and again.
    CrashLoop = "crash_loop", Some("the last log lines say why the server ended; check its configuration");
    /// The server used more memory than its limit.
    OutOfMemory = "out_of_memory", Some("raise the memory limit");
    /// No machine has room for it.
    Unschedulable = "unschedulable", Some("ask for fewer resources, or add machines");
    /// A quota is used up.
    Quota = "quota", Some("ask for less, or have the quota raised");
    /// The platform's admission rules refused it.
    Admission = "admission", None;
    /// A volume could not be made or mounted.
    Volume = "volume", None;
    /// The port is taken.
    PortConflict = "port_conflict", Some("free the port, or choose another");
    /// The server's own health check says no.
    Unhealthy = "unhealthy", Some("the last log lines may say why the health check fails");
    /// Something answers, and it does not speak MCP.
    NotMcp = "not_mcp", Some("check the template's transport: its port and path must be those of the MCP endpoint");
    /// The server refuses the host name of its own address.
    HostRejected = "host_rejected", Some("allow the address's host in the server's own settings (often called allowed hosts)");
    /// The image speaks MCP over standard input and output, which ends as soon as nobody writes to it.
    StdioImage = "stdio_image", Some("start the server with its HTTP transport, or use an image that serves streamable HTTP");
    /// The platform took the instance away.
    Evicted = "evicted", None;
    /// None of the known causes.
    Unknown = "unknown", None;
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of the revision that ran before a failed update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// It serves again.
    Restored,
    /// It could not be brought back, for this reason.
    NotRestored(String),
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored => f.write_str("went back to the revision before, which serves again"),
            Self::NotRestored(reason) => write!(f, "going back to the revision before failed: {reason}"),
        }
    }
}
