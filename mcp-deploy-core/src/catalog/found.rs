//! What the sources have, and which of it counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::source::{Broken, Hidden, Source, SourceReport, Summary};
use super::{builtin, files};
use crate::{Error, Template, TemplateId};

/// What one source has just now.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) source: Arc<Source>,
    pub(super) found: Vec<Arc<Found>>,
    /// Its templates are counted later.
    pub(super) report: SourceReport,
}

/// A template's file, or what stands in its place.
#[derive(Debug)]
pub(super) struct Found {
    /// Its file; nothing for a built-in one.
    pub(super) path: PathBuf,
    /// That place as its author knows it.
    pub(super) place: String,
    pub(super) known: Result<Known, Arc<Error>>,
}

/// A good template: its summary, and the whole as soon as somebody needs it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) summary: Summary,
    template: OnceLock<Result<Arc<Template>, Arc<Error>>>,
}

impl Known {
    /// One that was read.
    pub(super) fn whole(template: Arc<Template>, source: &Arc<Source>) -> Self {
        Self { summary: Summary::of(&template, source), template: Ok(template).into() }
    }

    /// One that is read later; what is known of it comes from an earlier look at the same file.
    pub(super) fn unread(summary: Summary) -> Self {
        Self { summary, template: OnceLock::new() }
    }
}

impl Found {
    /// What cannot be used.
    pub(super) fn broken(path: PathBuf, place: String, error: Error) -> Self {
        Self { path, place, known: Err(Arc::new(error)) }
    }

    /// The whole template.
    pub(super) fn template(&self) -> Result<Arc<Template>, Arc<Error>> {
        let known = self.known.as_ref().map_err(Arc::clone)?;
        let read = || {
            let Summary { id, source, .. } = &known.summary;
            let template = match **source {
                Source::BuiltIn => Ok(builtin::template(id)),
                _ => files::template(&self.path, &self.place, Some(id.as_str())),
            };
            template.map(Arc::new).map_err(Arc::new)
        };
        known.template.get_or_init(read).clone()
    }

    fn as_broken(&self, error: &Arc<Error>) -> Broken {
        Broken { path: self.path.clone(), place: self.place.clone(), error: Arc::clone(error) }
    }
}

/// All sources together: the first template of an id counts.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) winners: BTreeMap<TemplateId, Winner>,
    /// What cannot be used, with the number of its source.
    pub(super) broken: Vec<(usize, Broken)>,
    pub(super) hidden: Vec<Hidden>,
    pub(super) reports: Vec<SourceReport>,
}

/// The template of an id.
#[derive(Debug)]
pub(super) struct Winner {
    /// The number of its source.
    pub(super) number: usize,
    pub(super) source: Arc<Source>,
    pub(super) found: Arc<Found>,
}

impl Resolved {
    /// Of sources in their order.
    pub(super) fn of(sources: impl IntoIterator<Item = Looked>) -> Self {
        let mut resolved = Self::default();
        for (number, Looked { source, found, mut report }) in sources.into_iter().enumerate() {
            let before = resolved.winners.len();
            for found in found {
                resolved.add(number, &source, found);
            }
            report.templates = resolved.winners.len() - before;
            resolved.reports.push(report);
        }
        resolved
    }

    fn add(&mut self, number: usize, source: &Arc<Source>, found: Arc<Found>) {
        let id = match &found.known {
            Ok(known) => known.summary.id.clone(),
            Err(error) => return self.broken.push((number, found.as_broken(error))),
        };
        match self.winners.get(&id) {
            Some(winner) => {
                let (place, by) = (found.place.clone(), winner.found.place.clone());
                self.hidden.push(Hidden { id, place, by });
            }
            None => {
                self.winners.insert(id, Winner { number, source: Arc::clone(source), found });
            }
        }
    }

    /// What is broken in a directory of this name, in the source of `number` or before: it would have counted.
    pub(super) fn broken_instead(&self, id: &str, number: usize) -> Option<&Broken> {
        let is_wanted = |path: &Path| path.parent().and_then(Path::file_name).is_some_and(|name| name == id);
        let earlier = self.broken.iter().filter(|(source, _)| *source < number);
        earlier.map(|(_, broken)| broken).find(|broken| is_wanted(&broken.path))
    }

    /// All with the whole of each template; one whose file is gone meanwhile is broken.
    pub(super) fn whole(self) -> super::Templates {
        let mut templates = super::Templates {
            templates: BTreeMap::new(),
            broken: self.broken.into_iter().map(|(_, broken)| broken).collect(),
            hidden: self.hidden,
            sources: self.reports,
            origins: BTreeMap::new(),
        };
        for (id, Winner { source, found, .. }) in self.winners {
            match found.template() {
                Ok(template) => {
                    templates.templates.insert(id.clone(), template);
                    templates.origins.insert(id, source);
                }
                Err(error) => templates.broken.push(found.as_broken(&error)),
            }
        }
        templates
    }
}
