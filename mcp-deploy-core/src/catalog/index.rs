//! What the templates of one commit are, written beside its files when they are looked at first: a commit never
//! changes, so nothing of it is read again until somebody needs the whole of a template.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::files;
use super::found::{Found, Known};
use super::repository::replace;
use super::source::{Source, Summary};
use super::walk::{TemplateFile, Walk, check_links, walk};
use crate::{Error, ImageRef, Template, TemplateId, Violation, Violations};

/// What an index is worth: another program may judge otherwise.
const PROGRAM: &str = concat!(env!("CARGO_PKG_VERSION"), "+1");

/// The index of a directory of a commit.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Index {
    program: String,
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Relative to the files of the commit.
    path: PathBuf,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good(Good),
    Broken(Vec<Rule>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Good {
    id: TemplateId,
    version: String,
    description: String,
    category: Option<String>,
    image: Option<ImageRef>,
}

/// A [`Violation`].
#[derive(Debug, Serialize, Deserialize)]
struct Rule {
    pointer: String,
    problem: String,
    expected: Option<String>,
}

/// The files of a commit, and how its templates are told of.
pub(super) struct Checkout<'a> {
    /// All its files.
    pub(super) tree: &'a Path,
    /// The directory in it that counts.
    pub(super) root: &'a Path,
    /// The file of its index.
    pub(super) index: &'a Path,
    /// The repository, as people are told of it.
    pub(super) shown: &'a str,
    /// What a template at the top is called that has no id.
    pub(super) name: &'a str,
}

impl Checkout<'_> {
    /// What it has.
    pub(super) fn found(&self, source: &Arc<Source>) -> Vec<Arc<Found>> {
        let read = || serde_json::from_slice::<Index>(&fs::read(self.index).ok()?).ok();
        let index = read().filter(|index| index.program == PROGRAM).unwrap_or_else(|| {
            let index = self.look();
            // Without it the next program looks again.
            drop(serde_json::to_vec(&index).map(|bytes| replace(self.index, &bytes)));
            index
        });
        index.entries.into_iter().map(|entry| Arc::new(self.entry(entry, source))).collect()
    }

    fn entry(&self, Entry { path, verdict }: Entry, source: &Arc<Source>) -> Found {
        let place = self.place(&path);
        let known = match verdict {
            Verdict::Good(Good { id, version, description, category, image }) => {
                let source = Arc::clone(source);
                Ok(Known::unread(Summary { id, version, description, category, image, source }))
            }
            Verdict::Broken(rules) => {
                let mut violations = Violations::default();
                for Rule { pointer, problem, expected } in rules {
                    violations.push(Violation { pointer, problem, expected });
                }
                Err(Arc::new(violations.into()))
            }
        };
        Found { path: self.tree.join(path), place, known }
    }

    fn place(&self, path: &Path) -> String {
        format!("`{}` of `{}`", path.display(), self.shown)
    }

    fn relative<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(self.tree).unwrap_or(path)
    }

    fn look(&self) -> Index {
        let Walk { templates, refused, .. } = walk(self.root).unwrap_or_default();
        let templates = templates.iter().map(|TemplateFile { directory, file, .. }| {
            let path = self.relative(file);
            let fallback_id = (directory == self.tree).then_some(self.name);
            let template = check_links(directory, self.tree)
                .and_then(|()| files::template(file, &self.place(path), fallback_id));
            let verdict = template.map_or_else(|error| self.broken(&error), good);
            Entry { path: path.to_owned(), verdict }
        });
        let refused = refused
            .iter()
            .map(|(path, error)| Entry { path: self.relative(path).to_owned(), verdict: self.broken(error) });
        Index { program: PROGRAM.to_owned(), entries: templates.chain(refused).collect() }
    }

    /// Where the files of a commit lie on this machine is of no use to anybody who is told of an error.
    fn broken(&self, error: &Error) -> Verdict {
        let (inside, tree) = (
            format!("{}{}", self.tree.display(), std::path::MAIN_SEPARATOR),
            self.tree.display().to_string(),
        );
        let plain = |text: &str| text.replace(&inside, "").replace(&tree, self.shown);
        let rule = |Violation { pointer, problem, expected }: &Violation| Rule {
            pointer: pointer.clone(),
            problem: plain(problem),
            expected: expected.clone(),
        };
        match error {
            Error::Invalid { violations } => Verdict::Broken(violations.iter().map(rule).collect()),
            other => Verdict::Broken(vec![rule(&Violation::new("", other.to_string()))]),
        }
    }
}

fn good(template: Template) -> Verdict {
    let Template { id, version, description, category, written_image: image, .. } = template;
    Verdict::Good(Good { id, version, description, category, image })
}
