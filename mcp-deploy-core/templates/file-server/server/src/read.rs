//! Reading a file, a piece at a time.

use std::io::{Read, Seek, SeekFrom};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cap_std::fs::OpenOptions;
use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::sandbox::{Missing, Sandbox};

/// How many bytes of a file one answer holds.
pub(crate) const MAX_PIECE: u64 = 1 << 20;

/// The length of the longest character in UTF-8.
pub(crate) const MIN_PIECE: u64 = 4;

/// How the bytes of a file become JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Encoding {
    #[default]
    Utf8,
    Base64,
}

/// A piece of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    /// How many bytes the file has.
    pub(crate) size: u64,
    /// Where the next piece begins, unless this was the last.
    pub(crate) next: Option<u64>,
}

/// Reads at most so many bytes from an offset on; of text, whole characters.
pub(crate) fn read(
    sandbox: &Sandbox,
    path: &str,
    offset: u64,
    length: u64,
    encoding: Encoding,
    max_size: u64,
) -> Result<Piece, Refusal> {
    let place = sandbox.locate(path, Missing::Refuse)?;
    let (mut file, size) = place.open_file(path, OpenOptions::new().read(true))?;
    if size > max_size {
        return Err(Refusal::TooLarge { path: path.to_owned(), size, limit: max_size });
    }
    if offset > size {
        return Err(Refusal::BeyondEnd { path: path.to_owned(), size, offset });
    }
    let failed = |error| Refusal::io("read", path, error);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    file.take(length.clamp(MIN_PIECE, MAX_PIECE)).read_to_end(&mut bytes).map_err(failed)?;
    let end = |read: usize| offset + u64::try_from(read).unwrap_or(u64::MAX);
    let is_last = end(bytes.len()) >= size;
    let text = match encoding {
        Encoding::Base64 => STANDARD.encode(&bytes),
        Encoding::Utf8 => {
            if offset > 0 && bytes.first().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {
                return Err(Refusal::WithinCharacter { path: path.to_owned(), offset });
            }
            match std::str::from_utf8(&bytes) {
                // A character may go on in the next piece.
                Err(error) if !is_last && error.error_len().is_none() => bytes.truncate(error.valid_up_to()),
                Err(_) => return Err(Refusal::NotText { path: path.to_owned() }),
                Ok(_) => {}
            }
            let next = (!is_last).then(|| end(bytes.len()));
            let text = String::from_utf8(bytes).map_err(|_| Refusal::NotText { path: path.to_owned() })?;
            return Ok(Piece { text, size, next });
        }
    };
    Ok(Piece { text, size, next: (!is_last).then(|| end(bytes.len())) })
}
