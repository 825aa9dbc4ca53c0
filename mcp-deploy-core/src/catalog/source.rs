//! What people are told of a source, and of a template in it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::{Error, ImageRef, Template, TemplateId};

/// As many letters of a commit as people read.
const SHORT_COMMIT: usize = 12;

/// Where a template comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A directory of this machine.
    Directory {
        /// Its path, as it was named.
        path: PathBuf,
    },
    /// A git repository.
    Repository {
        /// Its URL without a user, and the ref and the directory that count.
        repository: String,
        /// The commit that is used; `None` where there is none yet.
        commit: Option<String>,
    },
    /// The program.
    BuiltIn,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path } => write!(f, "{}", path.display()),
            Self::Repository { repository, commit: None } => f.write_str(repository),
            Self::Repository { repository, commit: Some(commit) } => {
                let short = commit.get(..SHORT_COMMIT).unwrap_or(commit);
                write!(f, "{repository} at {short}")
            }
            Self::BuiltIn => f.write_str("built in"),
        }
    }
}

/// How a source stands.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    /// Which one.
    pub source: Source,
    /// How many templates it gives: those that are neither broken nor hidden.
    pub templates: usize,
    /// When its copy on this machine was fetched, for a repository.
    pub fetched_at: Option<Timestamp>,
    /// What keeps it from being as new as it should be; what there is counts meanwhile.
    pub problem: Option<String>,
}

/// What a list tells of a template, which costs less to know than the whole.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: TemplateId,
    /// Its version.
    pub version: String,
    /// What the server does.
    pub description: String,
    /// What it is filed under.
    pub category: Option<String>,
    /// The image as written.
    pub image: Option<ImageRef>,
    /// Where it comes from.
    pub source: Arc<Source>,
}

impl Summary {
    pub(super) fn of(template: &Template, source: &Arc<Source>) -> Self {
        Self {
            id: template.id.clone(),
            version: template.version.clone(),
            description: template.description.clone(),
            category: template.category.clone(),
            image: template.written_image.clone(),
            source: Arc::clone(source),
        }
    }
}

/// A template that cannot be used.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Its file, or the directory that could not be read.
    pub path: PathBuf,
    /// That place as its author knows it: the path, or the path inside a repository.
    pub place: String,
    /// Why.
    pub error: Arc<Error>,
}

/// A template that an earlier one of the same id hides.
#[derive(Debug, Clone, Serialize)]
pub struct Hidden {
    /// The id of both.
    pub id: TemplateId,
    /// Where the hidden one lies.
    pub place: String,
    /// Where the one lies that counts.
    pub by: String,
}
