//! Why a file is not read, written or shown.

use std::io;

/// What a client is told instead of what it asked for: what it was, why not, and what would do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("`{path}` is outside of the allowed directories; `list_allowed_directories` tells them")]
    Outside { path: String },
    #[error(
        "`{path}` leads through the symbolic link `{link}`, and links are not followed: `enable_symlinks` is off"
    )]
    Link { path: String, link: String },
    #[error("`{path}` leads through the symbolic link `{link}`, which points out of the allowed directories")]
    LinkOutside { path: String, link: String },
    #[error("`{path}` leads through more than {limit} symbolic links: do they point to each other?")]
    TooManyLinks { path: String, limit: usize },
    #[error("`{path}` is hidden by `exclude_patterns`")]
    Hidden { path: String },
    #[error("`{path}` does not exist")]
    Missing { path: String },
    #[error("`{path}` is {found}, not {wanted}")]
    Kind { path: String, found: &'static str, wanted: &'static str },
    #[error("`{path}` is more than {limit} directories deep")]
    TooDeep { path: String, limit: usize },
    #[error("a path has at most {limit} bytes, and this one has {length}")]
    TooLong { length: usize, limit: usize },
    #[error("`{path}` has {size} bytes, which is more than the {limit} bytes that `max_file_size` allows")]
    TooLarge { path: String, size: u64, limit: u64 },
    #[error(
        "`{path}` would have {size} bytes, which is more than the {limit} bytes that `max_file_size` allows"
    )]
    WouldBeTooLarge { path: String, size: u64, limit: u64 },
    #[error("`{path}` is not text in UTF-8: read it with `encoding` set to `base64`")]
    NotText { path: String },
    #[error(
        "byte {offset} of `{path}` is within a character: go on where the last answer said, or use `base64`"
    )]
    WithinCharacter { path: String, offset: u64 },
    #[error("`{path}` ends at byte {size}, and `offset` is {offset}")]
    BeyondEnd { path: String, size: u64, offset: u64 },
    #[error("`content` is not base64: {reason}")]
    NotBase64 { reason: String },
    #[error("nothing may be written: `read_only_mode` is on")]
    ReadOnly,
    #[error("`{pattern}` is no glob pattern: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error("failed to {operation} `{path}`: {source}")]
    Io { operation: &'static str, path: String, source: io::Error },
    #[error("the server is about to end")]
    Ending,
}

impl Refusal {
    /// What the system said about a path; that it is not there has its own words.
    pub(crate) fn io(operation: &'static str, path: &str, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            return Self::Missing { path };
        }
        Self::Io { operation, path, source }
    }
}
