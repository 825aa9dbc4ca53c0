//! A directory of templates, which may change at any time.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::files::{self, unreadable};
use super::found::{Found, Known, Looked};
use super::source::{Source, SourceReport};
use super::tests_file;
use super::walk::{TemplateFile, Walk, check_links, walk};

/// A directory, and what was in it when it was looked at last.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    source: Arc<Source>,
    cache: Mutex<BTreeMap<PathBuf, Cached>>,
}

/// A file as it was when it was read.
#[derive(Debug)]
struct Cached {
    stamp: Stamp,
    found: Arc<Found>,
}

/// What changes when a template's file does, or its tests, or when something is put beside it.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    template: FileStamp,
    tests: Option<FileStamp>,
    beside: Option<SystemTime>,
}

/// What changes when a file does.
#[derive(Debug, PartialEq, Eq)]
struct FileStamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Stamp {
    fn of(TemplateFile { directory, file, metadata }: &TemplateFile) -> Self {
        Self {
            template: FileStamp::of(metadata),
            tests: fs::metadata(tests_file::beside(file)).ok().as_ref().map(FileStamp::of),
            beside: fs::metadata(directory).and_then(|metadata| metadata.modified()).ok(),
        }
    }
}

impl FileStamp {
    fn of(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), length: metadata.len() }
    }
}

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        let source = Arc::new(Source::Directory { path: path.clone() });
        Self { path, source, cache: Mutex::default() }
    }

    /// What is in it now; a file that has not changed is not read again.
    pub(super) fn look(&self) -> Looked {
        let Walk { templates, refused, .. } = match walk(&self.path) {
            Ok(walk) => walk,
            Err(error) => {
                let error = unreadable(&self.path, &error);
                Walk { refused: vec![(self.path.clone(), error)], ..Walk::default() }
            }
        };
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let mut still_there = BTreeMap::new();
        let mut found = Vec::new();
        for template in templates {
            let stamp = Stamp::of(&template);
            let before = cache.remove(&template.file).filter(|cached| cached.stamp == stamp);
            let cached = before.unwrap_or_else(|| Cached { found: Arc::new(self.read(&template)), stamp });
            found.push(Arc::clone(&cached.found));
            still_there.insert(template.file, cached);
        }
        *cache = still_there;
        drop(cache);
        found.extend(refused.into_iter().map(|(path, error)| {
            let place = place(&path);
            Arc::new(Found::broken(path, place, error))
        }));
        let source = Source::clone(&self.source);
        let report = SourceReport { source, templates: 0, fetched_at: None, problem: None };
        Looked { source: Arc::clone(&self.source), found, report }
    }

    /// The directories in which something changes when a template does.
    #[cfg(feature = "watch")]
    pub(super) fn places(&self) -> Vec<PathBuf> {
        walk(&self.path).map_or_else(|_| vec![self.path.clone()], |walk| walk.directories)
    }

    fn read(&self, TemplateFile { directory, file, .. }: &TemplateFile) -> Found {
        let place = place(file);
        let template = check_links(directory, &self.path).and_then(|()| files::template(file, &place, None));
        match template {
            Ok(template) => {
                Found { path: file.clone(), place, known: Ok(Known::whole(Arc::new(template), &self.source)) }
            }
            Err(error) => Found::broken(file.clone(), place, error),
        }
    }
}

fn place(path: &Path) -> String {
    format!("`{}`", path.display())
}
