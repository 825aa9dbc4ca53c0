//! Writing a file: whole or not at all.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cap_std::fs::OpenOptions;
use cap_tempfile::TempFile;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

use crate::listing::shown;
use crate::read::Encoding;
use crate::refusal::Refusal;
use crate::sandbox::{Missing, Sandbox};

/// The answer of `write_file`.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Written {
    /// An absolute path without links.
    pub(crate) path: String,
    /// How many bytes the file has now.
    pub(crate) size: u64,
    /// Whether there was no such file before.
    pub(crate) created: bool,
}

/// What becomes of a file's old content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Old {
    Replaced,
    Kept,
}

/// Writes a file beside the old one and lets it take its place, so that nobody ever sees a half.
pub(crate) fn write(
    sandbox: &Sandbox,
    path: &str,
    content: &str,
    encoding: Encoding,
    old: Old,
    max_size: u64,
) -> Result<Written, Refusal> {
    let decoded = match encoding {
        Encoding::Utf8 => None,
        Encoding::Base64 => {
            let decoded = STANDARD.decode(content);
            Some(decoded.map_err(|error| Refusal::NotBase64 { reason: error.to_string() })?)
        }
    };
    let bytes = decoded.as_deref().unwrap_or(content.as_bytes());
    let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let fits = |size: u64| {
        let path = path.to_owned();
        if size > max_size { Err(Refusal::WouldBeTooLarge { path, size, limit: max_size }) } else { Ok(()) }
    };
    fits(added)?;

    let place = sandbox.locate(path, Missing::Make)?;
    // Opened for writing, although the file is replaced: who may not write it may not replace it either.
    let mut options = OpenOptions::new();
    let before = match place.open_file(path, options.read(old == Old::Kept).write(true)) {
        Ok(before) => Some(before),
        Err(Refusal::Missing { .. }) => None,
        Err(other) => return Err(other),
    };
    let kept = before.as_ref().map_or(0, |(_, size)| if old == Old::Kept { *size } else { 0 });
    fits(kept.saturating_add(added))?;

    let failed = |error| Refusal::io("write", path, error);
    let created = before.is_none();
    let mut file = TempFile::new(&place.directory).map_err(failed)?;
    if let Some((mut before, _)) = before {
        let permissions = before.metadata().map_err(failed)?.permissions();
        file.as_file().set_permissions(permissions).map_err(failed)?;
        if old == Old::Kept {
            io::copy(&mut io::Read::take(&mut before, kept), &mut file).map_err(failed)?;
        }
    }
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let name = place.name.as_deref().unwrap_or_default();
    file.replace(name).map_err(failed)?;
    tracing::info!(path = ?place.path, added, created, "wrote a file");
    Ok(Written { path: shown(&place.path), size: kept + added, created })
}
