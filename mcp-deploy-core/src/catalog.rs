//! Where templates come from: directories that may change at any time, git repositories, and the program itself.

mod address;
mod builtin;
mod directory;
mod files;
mod found;
mod fresh;
mod git;
#[cfg(test)]
mod git_server;
mod index;
mod repository;
mod source;
mod tests_file;
mod walk;
#[cfg(feature = "watch")]
mod watch;

use std::collections::BTreeMap;
#[cfg(feature = "watch")]
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::address::{TemplateRepository, TemplateRepositoryError};
use self::directory::Directory;
pub use self::files::{FILE_NAMES as TEMPLATE_FILE_NAMES, read_document, read_text};
use self::found::{Found, Resolved};
pub use self::fresh::KeptFresh;
use self::repository::Repository;
pub use self::source::{Broken, Hidden, Source, SourceReport, Summary};
#[cfg(feature = "watch")]
pub use self::watch::{CatalogChanges, CatalogWatch};
use crate::{Error, Result, Settings, Template, TemplateId, nearest};

/// Templates by id. Directories come first, in their order, then repositories, then the built-in ones: the first of
/// an id counts, so a template of yours wins over a built-in one.
///
/// Directories are looked at on every access, so a change is seen without a restart; a file that has not
/// changed is not read again. Of a repository the copy on this machine is read, and that again only when another
/// commit was fetched: [`freshen`](Self::freshen), [`refresh`](Self::refresh) and [`keep_fresh`](Self::keep_fresh)
/// fetch. Methods read files and so may block for some milliseconds.
#[derive(Debug, Default)]
pub struct Catalog {
    directories: Vec<Directory>,
    repositories: Vec<Repository>,
}

/// What a catalog has: the good ones, and beside them those that are broken.
#[derive(Debug, Default)]
pub struct Templates {
    /// The templates, by id.
    pub templates: BTreeMap<TemplateId, Arc<Template>>,
    /// What could not be read, and why; a broken template never hides a good one.
    pub broken: Vec<Broken>,
    /// What has the id of an earlier one.
    pub hidden: Vec<Hidden>,
    /// The sources, in their order.
    pub sources: Vec<SourceReport>,
    origins: BTreeMap<TemplateId, Arc<Source>>,
}

impl Templates {
    /// Where a template comes from.
    pub fn source(&self, id: &TemplateId) -> Option<&Source> {
        self.origins.get(id).map(|source| &**source)
    }
}

/// What a catalog has, told in short: that of a repository needs no reading of its templates.
#[derive(Debug, Default)]
pub struct Overview {
    /// The good ones, by id.
    pub templates: Vec<Summary>,
    /// What could not be read, and why.
    pub broken: Vec<Broken>,
    /// What has the id of an earlier one.
    pub hidden: Vec<Hidden>,
    /// The sources, in their order.
    pub sources: Vec<SourceReport>,
}

impl Catalog {
    /// The built-in templates, and those of `directories`. A template lies in a directory of its own, at most four
    /// levels deep; or `directories` names it itself.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { directories: directories.into_iter().map(Directory::new).collect(), repositories: Vec::new() }
    }

    /// The sources that settings name.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where repositories are named, and no directory to keep their copies in.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let catalog = Self::new(settings.templates.iter().cloned());
        match (&settings.templates_cache, settings.template_repositories.as_slice()) {
            (_, []) => Ok(catalog),
            (Some(cache), repositories) => Ok(catalog.with_repositories(repositories.iter().cloned(), cache)),
            (None, _) => Err(Error::invalid(
                "/templates_cache",
                "is missing: the directory that copies of `template_repositories` are kept in; `MCP_TEMPLATES_CACHE` names it",
            )),
        }
    }

    /// The same with git repositories, whose copies are kept below the directory `cache`.
    #[must_use]
    pub fn with_repositories(
        mut self,
        repositories: impl IntoIterator<Item = TemplateRepository>,
        cache: &Path,
    ) -> Self {
        self.repositories
            .extend(repositories.into_iter().map(|repository| Repository::new(repository, cache)));
        self
    }

    /// All templates, as they are now.
    pub fn list(&self) -> Templates {
        self.look().whole()
    }

    /// All templates in short, as they are now.
    pub fn overview(&self) -> Overview {
        let Resolved { winners, broken, hidden, reports } = self.look();
        let summary = |found: &Found| found.known.as_ref().ok().map(|known| known.summary.clone());
        Overview {
            templates: winners.values().filter_map(|winner| summary(&winner.found)).collect(),
            broken: broken.into_iter().map(|(_, broken)| broken).collect(),
            hidden,
            sources: reports,
        }
    }

    /// The template of an id.
    ///
    /// # Errors
    ///
    /// [`Error::TemplateNotFound`] with the nearest id; [`Error::Invalid`] where the template is there and broken.
    pub fn get(&self, id: &str) -> Result<Arc<Template>> {
        self.find(id).map(|(template, _)| template)
    }

    /// The template of an id, and where it comes from.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn find(&self, id: &str) -> Result<(Arc<Template>, Arc<Source>)> {
        let resolved = self.look();
        let winner =
            resolved.winners.iter().find(|(known, _)| known.as_str() == id).map(|(_, winner)| winner);
        // What is broken would have won over one of a later source: that is not what is asked for.
        let number = winner.map_or(usize::MAX, |winner| winner.number);
        if let Some(broken) = resolved.broken_instead(id, number) {
            return Err(owned(&broken.error));
        }
        if let Some(winner) = winner {
            let template = winner.found.template().map_err(|error| owned(&error))?;
            return Ok((template, Arc::clone(&winner.source)));
        }
        let nearest = nearest(id, resolved.winners.keys().map(TemplateId::as_str)).map(str::to_owned);
        Err(Error::TemplateNotFound { id: id.to_owned(), nearest })
    }

    /// The template in a file, or in a directory that holds one of `template.json`, `template.yaml` and
    /// `template.yml`, with the tests of a `tests.json` beside it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where it cannot be read or is broken.
    pub fn load(path: &Path) -> Result<Template> {
        files::load(path)
    }

    /// Every template at a path, by its file: the one in that file or directory, or those in the directories below, which are
    /// found and refused as those of a source are. A path without any has the error of [`load`](Self::load).
    pub fn check(path: &Path) -> Vec<(PathBuf, Result<Arc<Template>>)> {
        let found = if path.is_dir() { Directory::new(path.to_owned()).look().found } else { Vec::new() };
        if found.is_empty() {
            return vec![(path.to_owned(), Self::load(path).map(Arc::new))];
        }
        let checked =
            |found: Arc<Found>| (found.path.clone(), found.template().map_err(|error| owned(&error)));
        found.into_iter().map(checked).collect()
    }

    /// The directories in which something changes when a template does.
    #[cfg(feature = "watch")]
    fn places(&self) -> BTreeSet<PathBuf> {
        let directories = self.directories.iter().flat_map(Directory::places);
        directories.chain(self.repositories.iter().map(|repository| repository.home().to_owned())).collect()
    }

    fn look(&self) -> Resolved {
        let directories = self.directories.iter().map(Directory::look);
        let repositories = self.repositories.iter().map(Repository::look);
        Resolved::of(directories.chain(repositories).chain([builtin::look()]))
    }
}

/// The same error: what is wrong with a template are always violations.
fn owned(error: &Error) -> Error {
    match error {
        Error::Invalid { violations } => Error::Invalid { violations: violations.clone() },
        other => Error::invalid("", other.to_string()),
    }
}

#[cfg(test)]
mod tests;
