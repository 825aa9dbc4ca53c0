//! What is in a directory, and what is known of a file.

use std::collections::BTreeMap;
use std::path::Path;

use cap_std::fs::Metadata;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

use crate::refusal::Refusal;
use crate::sandbox::{Missing, Sandbox};

/// How many entries one answer holds.
pub(crate) const MAX_ENTRIES: usize = 1000;

/// What something in a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    File,
    Directory,
    /// A symbolic link, wherever it points to.
    Link,
    /// A device, a socket or a pipe, which this server does not open.
    Other,
}

impl Kind {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let kind = metadata.file_type();
        if kind.is_file() {
            Self::File
        } else if kind.is_dir() {
            Self::Directory
        } else if kind.is_symlink() {
            Self::Link
        } else {
            Self::Other
        }
    }

    /// The words for it in a message.
    pub(crate) fn named(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Link => "a symbolic link",
            Self::Other => "a device, a socket or a pipe",
        }
    }
}

/// The answer of `list_directory`.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Listing {
    /// The directory, as an absolute path without links.
    pub(crate) path: String,
    pub(crate) entries: Vec<Entry>,
    /// Where there are more: the `after` that the next call gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_after: Option<String>,
}

/// One name in a directory.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// In bytes; of files only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// Set where the name is not UTF-8: it is shown with `\u{fffd}` in it, and no path leads to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unreachable: Option<bool>,
}

/// The answer of `get_file_info`.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Info {
    /// An absolute path without links.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// In bytes; of files only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// RFC 3339, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) modified: Option<String>,
    /// RFC 3339, in UTC, where the file system knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    /// Whether the permissions of the file let nobody write.
    pub(crate) read_only: bool,
    /// The permissions as `chmod` takes them, for example `644`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permissions: Option<String>,
}

/// The first entries by name, of those after a name.
pub(crate) fn list(sandbox: &Sandbox, path: &str, after: &str) -> Result<Listing, Refusal> {
    let place = sandbox.locate(path, Missing::Refuse)?;
    let failed = |error| Refusal::io("list", path, error);
    let directory = place.open_directory(path)?;
    // Whatever the directory holds, no more than an answer is kept.
    let mut found = BTreeMap::new();
    let mut more = false;
    for entry in directory.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let shown = name.to_string_lossy().into_owned();
        if shown.as_str() <= after || sandbox.hides(&place.inside.join(&name)) {
            continue;
        }
        found.insert((shown, name), entry);
        if found.len() > MAX_ENTRIES {
            found.pop_last();
            more = true;
        }
    }
    let next_after = found.keys().next_back().filter(|_| more).map(|(name, _)| name.clone());
    let entries = found.into_iter().filter_map(|((name, raw), entry)| {
        // What is gone by now is left out.
        let metadata = entry.metadata().ok()?;
        let kind = Kind::of(&metadata);
        let size = (kind == Kind::File).then(|| metadata.len());
        Some(Entry { name, kind, size, unreachable: raw.to_str().is_none().then_some(true) })
    });
    Ok(Listing { path: shown(&place.path), entries: entries.collect(), next_after })
}

/// What is known of a file or directory.
pub(crate) fn info(sandbox: &Sandbox, path: &str) -> Result<Info, Refusal> {
    let place = sandbox.locate(path, Missing::Refuse)?;
    let metadata = place.metadata().map_err(|error| Refusal::io("look at", path, error))?;
    let kind = Kind::of(&metadata);
    let time = |time: std::io::Result<cap_std::time::SystemTime>| {
        let time = jiff::Timestamp::try_from(time.ok()?.into_std()).ok()?;
        Some(format!("{time:.0}"))
    };
    Ok(Info {
        path: shown(&place.path),
        kind,
        size: (kind == Kind::File).then(|| metadata.len()),
        modified: time(metadata.modified()),
        created: time(metadata.created()),
        read_only: metadata.permissions().readonly(),
        permissions: octal(&metadata),
    })
}

/// The way to show a path in JSON.
pub(crate) fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(unix)]
fn octal(metadata: &Metadata) -> Option<String> {
    use cap_std::fs::PermissionsExt;

    // As `chmod` takes them.
    let bits = metadata.permissions().mode() & 0o7777;
    (!metadata.is_symlink()).then(|| format!("{bits:03o}"))
}

#[cfg(not(unix))]
fn octal(_metadata: &Metadata) -> Option<String> {
    None
}
