//! A git repository of templates, and the copy of it that is kept on this machine.
//!
//! For each URL and ref there is a directory: one directory for a commit, with its files and their index, and
//! `state.json`, which names the commit that counts. Each is made aside and put in place by a rename, so who reads
//! sees the old or the new. Who fetches holds the lock of the file `lock`.

mod fetch;

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{self, Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::fetch::FetchError;
use super::address::{TemplateRepository, is_commit};
use super::found::{Found, Looked};
use super::git::{Git, GitError, Stop};
use super::index::Checkout;
use super::source::{Source, SourceReport};
use crate::{Error, Result};

/// For so long a copy is as good as the repository.
const FRESH: SignedDuration = SignedDuration::from_hours(6);
/// For so long after a failed try nobody tries again unasked.
const PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// A repository and its copy.
#[derive(Debug)]
pub(super) struct Repository {
    address: TemplateRepository,
    home: PathBuf,
    loaded: Mutex<Option<Loaded>>,
    /// What went wrong last, where not even that could be written down.
    unwritten: Mutex<Option<Failed>>,
}

/// What was found in a commit.
#[derive(Debug)]
struct Loaded {
    commit: String,
    source: Arc<Source>,
    found: Vec<Arc<Found>>,
}

/// What `state.json` says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// For whoever looks into the cache.
    repository: String,
    current: Option<Fetched>,
    failed: Option<Failed>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fetched {
    commit: String,
    at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Failed {
    at: Timestamp,
    reason: String,
}

/// How a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Nothing has to be fetched before this time; never where there is none.
    Fresh { until: Option<Timestamp> },
    /// There is one, and it is old.
    Old,
    /// There is none.
    Missing,
}

/// What to do where another process fetches just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    /// Wait until it has.
    Wait,
    /// Leave it to it.
    Pass,
}

impl Repository {
    /// A repository whose copy is kept below `cache`.
    pub(super) fn new(address: TemplateRepository, cache: &Path) -> Self {
        let digest = short_digest([address.url(), address.reference().unwrap_or_default()]);
        let name: String =
            address.name().chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
        let cache = path::absolute(cache).unwrap_or_else(|_| cache.to_owned());
        let home = cache.join(format!("{name}-{digest}"));
        Self { address, home, loaded: Mutex::default(), unwritten: Mutex::default() }
    }

    /// What it is called.
    pub(super) fn address(&self) -> &TemplateRepository {
        &self.address
    }

    /// The directory of its copy.
    #[cfg(feature = "watch")]
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// What its copy has. Nothing is fetched.
    pub(super) fn look(&self) -> Looked {
        let State { current, failed, .. } = self.state();
        let problem = failed.map(|failed| failed.reason);
        let Some(Fetched { commit, at }) = current else {
            return self.nothing(problem.unwrap_or_else(|| "it was not fetched yet".to_owned()));
        };
        let (source, found) = self.load(&commit);
        let report =
            SourceReport { source: Source::clone(&source), templates: 0, fetched_at: Some(at), problem };
        Looked { source, found, report }
    }

    /// How its copy stands now.
    pub(super) fn freshness(&self) -> Freshness {
        let State { current, failed, .. } = self.state();
        let now = Timestamp::now();
        let retry = failed.map(|Failed { at, .. }| at + PAUSE).filter(|retry| *retry > now);
        match current {
            Some(_) if self.address.pinned_commit().is_some() => Freshness::Fresh { until: None },
            Some(Fetched { at, .. }) if at + FRESH > now => {
                Freshness::Fresh { until: Some((at + FRESH).max(retry.unwrap_or(Timestamp::MIN))) }
            }
            // A failed try counts for a while, so that not every command waits.
            _ if retry.is_some() => Freshness::Fresh { until: retry },
            Some(_) => Freshness::Old,
            None => Freshness::Missing,
        }
    }

    /// Fetches it, for as long as `patience`, unless another process has done so since this was asked for.
    pub(super) fn refresh(&self, patience: Duration, busy: Busy, stop: &Stop) -> Result<()> {
        let asked_at = Timestamp::now();
        let outcome = self.refresh_locked(asked_at, patience, busy, stop);
        let failed =
            outcome.as_ref().err().map(|error| Failed { at: Timestamp::now(), reason: error.to_string() });
        *lock(&self.unwritten) = failed;
        outcome.map_err(|error| Error::backend("git", format!("fetch `{}`", self.address), error))
    }

    fn refresh_locked(
        &self,
        asked_at: Timestamp,
        patience: Duration,
        busy: Busy,
        stop: &Stop,
    ) -> Result<(), FetchError> {
        let unwritable = |source| FetchError::Cache { path: self.home.clone(), source };
        create_private(&self.home).map_err(unwritable)?;
        let lock = File::create(self.home.join("lock")).map_err(unwritable)?;
        match (lock.try_lock(), busy) {
            (Ok(()), _) => {}
            (Err(TryLockError::WouldBlock), Busy::Pass) => return Ok(()),
            (Err(TryLockError::WouldBlock), Busy::Wait) => lock.lock().map_err(unwritable)?,
            (Err(TryLockError::Error(error)), _) => return Err(unwritable(error)),
        }
        let State { current, .. } = self.state();
        if current.as_ref().is_some_and(|current| current.at > asked_at) {
            return Ok(());
        }
        let fetched = self.fetch(&Git::new(&self.address, &self.home, patience, stop));
        let repository = self.address.to_string();
        let now = Timestamp::now();
        let state = match &fetched {
            Ok(commit) => {
                let before = current.as_ref().map(|current| current.commit.as_str());
                self.sweep(&[commit, before.unwrap_or(commit)]);
                State { repository, current: Some(Fetched { commit: commit.clone(), at: now }), failed: None }
            }
            // Whoever stopped it tries again when it wants to.
            Err(FetchError::Git(GitError::Stopped)) => return Ok(()),
            Err(error) => {
                State { repository, current, failed: Some(Failed { at: now, reason: error.to_string() }) }
            }
        };
        let bytes = serde_json::to_vec_pretty(&state).map_err(|error| unwritable(error.into()))?;
        replace(&self.home.join("state.json"), &bytes).map_err(unwritable)?;
        fetched.map(drop)
    }

    fn load(&self, commit: &str) -> (Arc<Source>, Vec<Arc<Found>>) {
        let mut loaded = lock(&self.loaded);
        let before = loaded.take().filter(|loaded| loaded.commit == commit);
        let Loaded { source, found, .. } = loaded.insert(before.unwrap_or_else(|| self.read(commit)));
        (Arc::clone(source), found.clone())
    }

    fn read(&self, commit: &str) -> Loaded {
        let repository = self.address.to_string();
        let source = Arc::new(Source::Repository { repository, commit: Some(commit.to_owned()) });
        let tree = self.tree(commit);
        let root = self.address.directory().map_or_else(|| tree.clone(), |directory| tree.join(directory));
        let is_inside = |root: PathBuf| fs::canonicalize(&tree).is_ok_and(|tree| root.starts_with(tree));
        let found = if root.is_dir() && fs::canonicalize(&root).is_ok_and(is_inside) {
            let directory = self.address.directory().and_then(Path::to_str).unwrap_or_default();
            let digest = short_digest([directory]);
            let checkout = Checkout {
                tree: &tree,
                root: &root,
                index: &self.home.join(commit).join(format!("index-{digest}.json")),
                shown: &self.address.shown_url(),
                name: self.address.name(),
            };
            checkout.found(&source)
        } else {
            let directory = self.address.directory().unwrap_or(Path::new("."));
            let problem =
                format!("`{}` has no directory `{}`", self.address.shown_url(), directory.display());
            let place = format!("`{}` of `{}`", directory.display(), self.address.shown_url());
            vec![Arc::new(Found::broken(root, place, Error::invalid("", problem)))]
        };
        Loaded { commit: commit.to_owned(), source, found }
    }

    fn nothing(&self, problem: String) -> Looked {
        let source = Source::Repository { repository: self.address.to_string(), commit: None };
        let report =
            SourceReport { source: source.clone(), templates: 0, fetched_at: None, problem: Some(problem) };
        Looked { source: Arc::new(source), found: Vec::new(), report }
    }

    /// What was written down last; what cannot be read, or names a commit whose files are gone, counts as nothing.
    fn state(&self) -> State {
        let read = || serde_json::from_slice::<State>(&fs::read(self.home.join("state.json")).ok()?).ok();
        let State { repository, current, failed } = read().unwrap_or_default();
        let current =
            current.filter(|Fetched { commit, .. }| is_commit(commit) && self.tree(commit).is_dir());
        let is_newer = |failed: &Failed| current.as_ref().is_none_or(|current| current.at < failed.at);
        let unwritten = lock(&self.unwritten).clone().filter(is_newer);
        State { repository, current, failed: unwritten.or(failed) }
    }

    fn tree(&self, commit: &str) -> PathBuf {
        self.home.join(commit).join("tree")
    }

    /// Removes the commits that nobody reads any more: who reads one, reads the one of now or of just before.
    fn sweep(&self, kept: &[&str]) {
        for entry in fs::read_dir(&self.home).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| is_commit(name) && !kept.contains(&name)) {
                drop(fs::remove_dir_all(entry.path()));
            }
        }
    }
}

/// Tells one text, or one row of texts, from another.
fn short_digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text);
        digest.update("\0");
    }
    let digest: [u8; 32] = digest.finalize().into();
    let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    format!("{:016x}", u64::from_be_bytes(*first))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Templates may be private: what is made here is its owner's alone.
fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Writes a file aside and puts it in place, so that nobody reads a half of it.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = file.with_extension(format!("{}.new", process::id()));
    File::create(&aside)
        .and_then(|mut opened| opened.write_all(bytes))
        .and_then(|()| fs::rename(&aside, file))
}

#[cfg(test)]
mod tests;
