//! Finding files by name, within bounds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cap_fs_ext::DirExt;
use cap_std::fs::Dir;
use globset::{GlobBuilder, GlobMatcher};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

use crate::listing::{Kind, shown};
use crate::refusal::Refusal;
use crate::sandbox::{MAX_DEPTH, Missing, Sandbox};

/// What a search may cost, and give.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) matches: usize,
    pub(crate) entries: usize,
    pub(crate) depth: usize,
    pub(crate) time: Duration,
}

pub(crate) const BOUNDS: Bounds =
    Bounds { matches: 1000, entries: 200_000, depth: MAX_DEPTH, time: Duration::from_secs(5) };

/// The answer of `search_files`.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Found {
    /// Absolute paths without links, in no order.
    pub(crate) matches: Vec<Match>,
    /// Why there may be more, where the search ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incomplete: Option<String>,
}

/// One file, directory or link whose name fits.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Match {
    pub(crate) path: String,
    pub(crate) kind: Kind,
}

/// Looks at everything below a directory, and follows no link.
///
/// A pattern without a `/` is held against the names, one with a `/` against the way from the directory on.
pub(crate) fn search(sandbox: &Sandbox, path: &str, pattern: &str, bounds: Bounds) -> Result<Found, Refusal> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
        Refusal::Pattern { pattern: pattern.to_owned(), reason: error.kind().to_string() }
    })?;
    let place = sandbox.locate(path, Missing::Refuse)?;
    let directory = place.open_directory(path)?;
    let mut search = Search {
        sandbox,
        inside: place.inside,
        path: place.path,
        glob: glob.compile_matcher(),
        by_name: !pattern.contains('/'),
        bounds,
        entries: 0,
        ends: Instant::now() + bounds.time,
        found: Found { matches: Vec::new(), incomplete: None },
    };
    if let Err(Stop(reason)) = search.descend(&directory, Path::new(""), 0) {
        search.found.incomplete = Some(reason);
    }
    Ok(search.found)
}

struct Search<'a> {
    sandbox: &'a Sandbox,
    inside: PathBuf,
    path: PathBuf,
    glob: GlobMatcher,
    by_name: bool,
    bounds: Bounds,
    entries: usize,
    ends: Instant,
    found: Found,
}

/// Why a search ends before it has seen everything.
struct Stop(String);

impl Search<'_> {
    fn descend(&mut self, directory: &Dir, below: &Path, depth: usize) -> Result<(), Stop> {
        // What cannot be read is passed over: a search tells what it could see.
        let Ok(entries) = directory.entries() else {
            self.note(below, "could not be read");
            return Ok(());
        };
        for entry in entries.flatten() {
            self.step()?;
            let name = entry.file_name();
            let way = below.join(&name);
            if self.sandbox.hides(&self.inside.join(&way)) {
                continue;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            let kind = Kind::of(&metadata);
            let fits = if self.by_name { self.glob.is_match(&name) } else { self.glob.is_match(&way) };
            if fits {
                if self.found.matches.len() == self.bounds.matches {
                    return Err(Stop(format!("there are more than {} matches", self.bounds.matches)));
                }
                self.found.matches.push(Match { path: shown(&self.path.join(&way)), kind });
            }
            if kind != Kind::Directory {
                continue;
            }
            if depth == self.bounds.depth {
                self.note(&way, "is too deep");
                continue;
            }
            match directory.open_dir_nofollow(&name) {
                Ok(next) => self.descend(&next, &way, depth + 1)?,
                Err(_) => self.note(&way, "could not be opened"),
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Stop> {
        self.entries += 1;
        if self.entries > self.bounds.entries {
            return Err(Stop(format!("more than {} entries were looked at", self.bounds.entries)));
        }
        if Instant::now() > self.ends {
            return Err(Stop(format!("it took longer than {} s", self.bounds.time.as_secs())));
        }
        Ok(())
    }

    /// Remembers the first place that was passed over.
    fn note(&mut self, way: &Path, what: &str) {
        let place = || format!("`{}` {what}", shown(&self.path.join(way)));
        if self.found.incomplete.is_none() {
            self.found.incomplete = Some(place());
        }
    }
}
