//! Why a deployment does not work, told so that its owner can mend it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The cause class of a failed deployment, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
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

    /// With the last lines that the server wrote, and the hint that they give.
    #[must_use]
    pub fn log_tail(mut self, lines: Vec<String>) -> Self {
        if let Some(hint) = hint_of_lines(&lines) {
            self.hint = Some(hint.to_owned());
        }
        self.log_tail = lines;
        self
    }

    /// With another hint than that of its reason.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With what the platform reported.
    #[must_use]
    pub fn events(mut self, events: Vec<String>) -> Self {
        self.events = events;
        self
    }
}

/// What mends a server that says itself what it was refused by the hardening.
fn hint_of_lines(lines: &[String]) -> Option<&'static str> {
    let says = |words: &[&str]| {
        lines.iter().any(|line| words.iter().any(|words| line.to_lowercase().contains(words)))
    };
    if says(&["read-only file system", "erofs"]) {
        return Some(
            "the server writes outside of `/tmp` and `HOME`: give it a volume there, or set \
             `security: {read_only_root: false}` in the template",
        );
    }
    if says(&["permission denied", "operation not permitted", "eacces", "eperm"]) {
        return Some(
            "the server is refused what user 1000 without capabilities may not do: set `security: \
             {run_as_user: ...}` (an id, or `image`) or `security: {add_capabilities: [...]}` in the template",
        );
    }
    None
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
        // In a macro, the names of the variants are all that it sees.
        #[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema), schema(rename_all = "snake_case"))]
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
    /// The registry has no such image.
    ImageNotFound = "image_not_found", Some("check the image's name; where the image is private, log in to its registry");
    /// The registry has the image and not this tag or digest of it.
    ImageTagNotFound = "image_tag_not_found", Some("check the image's tag and name");
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
    /// The platform has no room for the image, or for what the server writes.
    DiskFull = "disk_full", Some("free disk space where the platform keeps its images");
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

impl FailureReason {
    /// The reason of a pull that failed, from the words of the registry or of what pulls; the error codes are
    /// those of the OCI distribution specification.
    pub fn of_pull(words: &str) -> Self {
        let words = words.to_lowercase();
        let says = |known: &[&str]| known.iter().any(|known| words.contains(known));
        if says(&["no space left on device", "disk quota exceeded"]) {
            Self::DiskFull
        } else if says(&[
            "repository does not exist",
            "name unknown",
            "repository name not known",
            "name invalid",
        ]) {
            Self::ImageNotFound
        } else if says(&["denied", "unauthorized", "authentication required", "forbidden", "no basic auth"]) {
            Self::ImageDenied
        } else if says(&["manifest unknown", "not found"]) {
            Self::ImageTagNotFound
        } else if says(&["no matching manifest", "unsupported media type"]) {
            Self::ImageInvalid
        } else {
            Self::ImagePull
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_has_a_reason() {
        let check = |words, reason| assert_eq!(FailureReason::of_pull(words), reason, "{words}");
        check(
            "manifest for r/x:9 not found: manifest unknown: manifest unknown",
            FailureReason::ImageTagNotFound,
        );
        check("manifest unknown: repository name not known to registry", FailureReason::ImageNotFound);
        check(
            "pull access denied for x, repository does not exist or may require 'docker login'",
            FailureReason::ImageNotFound,
        );
        check("denied: requested access to the resource is denied", FailureReason::ImageDenied);
        check("Get \"http://r/v2/x/manifests/1\": no basic auth credentials", FailureReason::ImageDenied);
        check("write /var/lib/docker/tmp/x: no space left on device", FailureReason::DiskFull);
        check("no matching manifest for linux/arm64/v8 in the manifest list", FailureReason::ImageInvalid);
        check("dial tcp 127.0.0.1:1: connect: connection refused", FailureReason::ImagePull);
    }

    #[test]
    fn a_server_that_says_what_it_was_refused_gets_the_hint() {
        let hint = |line: &str| {
            let failure = Failure::of_exit(1).log_tail(vec!["starting".to_owned(), line.to_owned()]);
            failure.hint.unwrap_or_default()
        };
        assert!(
            hint("OSError: [Errno 30] Read-only file system: '/var/x'").contains("read_only_root: false")
        );
        assert!(hint("Error: EACCES: permission denied, open '/etc/x'").contains("run_as_user"));
        assert_eq!(Some(hint("no such key").as_str()), FailureReason::CrashLoop.hint());
    }
}
