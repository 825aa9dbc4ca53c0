//! Where templates come from: built in, and directories that may change at any time.

mod builtin;

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::document::{MAX_DOCUMENT_BYTES, check_size};
use crate::{Error, Result, Template, TemplateId, nearest};

/// The names of a template's file in its directory; the first that is there counts.
const FILE_NAMES: [&str; 3] = ["template.json", "template.yaml", "template.yml"];

/// Templates by id. Directories come first, in their order, then the built-in ones: a template of yours wins
/// over a built-in one of the same id.
///
/// Directories are looked at on every access, so a change is seen without a restart; a file that has not
/// changed is not read again. Methods read files and so may block for some milliseconds.
#[derive(Debug, Default)]
pub struct Catalog {
    directories: Vec<PathBuf>,
    cache: Mutex<BTreeMap<PathBuf, Cached>>,
}

/// What a catalog has: the good ones, and beside them those that are broken.
#[derive(Debug, Default)]
pub struct Templates {
    /// The templates, by id.
    pub templates: BTreeMap<TemplateId, Arc<Template>>,
    /// What could not be read, and why; a broken template never hides a good one.
    pub broken: Vec<Broken>,
}

/// A template that cannot be used.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Its file, or the directory that could not be read.
    pub path: PathBuf,
    /// Why.
    pub error: Arc<Error>,
}

/// A file as it was when it was read.
#[derive(Debug)]
struct Cached {
    file: PathBuf,
    stamp: Stamp,
    template: Result<Arc<Template>, Arc<Error>>,
}

/// What changes when a file does.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), length: metadata.len() }
    }
}

impl Catalog {
    /// The built-in templates, and those of `directories`: each holds a directory for each template.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { directories: directories.into_iter().collect(), cache: Mutex::default() }
    }

    /// All templates, as they are now.
    pub fn list(&self) -> Templates {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Templates::default();
        let mut still_there = BTreeMap::new();
        for directory in &self.directories {
            let entries = match entries(directory) {
                Ok(entries) => entries,
                Err(error) => {
                    found.broken.push(Broken {
                        path: directory.clone(),
                        error: Arc::new(unreadable(directory, &error)),
                    });
                    continue;
                }
            };
            for entry in entries {
                let before = cache.remove(&entry);
                if let Some(cached) = refresh(&entry, before) {
                    found.add(&cached);
                    still_there.insert(entry, cached);
                }
            }
        }
        *cache = still_there;
        drop(cache);
        for template in builtin::templates() {
            found.templates.entry(template.id.clone()).or_insert_with(|| Arc::clone(template));
        }
        found
    }

    /// The template of an id.
    ///
    /// # Errors
    ///
    /// [`Error::TemplateNotFound`] with the nearest id; [`Error::Invalid`] where the template is there and broken.
    pub fn get(&self, id: &str) -> Result<Arc<Template>> {
        let Templates { templates, broken } = self.list();
        let found = templates.iter().find(|(known, _)| known.as_str() == id).map(|(_, template)| template);
        let is_ours = found
            .is_some_and(|template| !builtin::templates().iter().any(|known| Arc::ptr_eq(known, template)));
        // What is broken would have won over a built-in one: that is not what is asked for.
        let is_wanted = |path: &Path| path.parent().and_then(Path::file_name).is_some_and(|name| name == id);
        if !is_ours && let Some(Broken { path, .. }) = broken.iter().find(|broken| is_wanted(&broken.path)) {
            return Self::load(path).map(Arc::new);
        }
        if let Some(template) = found {
            return Ok(Arc::clone(template));
        }
        let nearest = nearest(id, templates.keys().map(TemplateId::as_str)).map(str::to_owned);
        Err(Error::TemplateNotFound { id: id.to_owned(), nearest })
    }

    /// The template in a file, or in a directory that holds one of `template.json`, `template.yaml` and
    /// `template.yml`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where it cannot be read or is broken.
    pub fn load(path: &Path) -> Result<Template> {
        let file = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                template_file(path).map(|(file, _)| file).ok_or_else(|| {
                    let problem = format!("`{}` holds none of `{}`", path.display(), FILE_NAMES.join("`, `"));
                    Error::invalid("", problem)
                })?
            }
            Ok(_) => path.to_owned(),
            Err(error) => return Err(unreadable(path, &error)),
        };
        read(&file)
    }
}

impl Templates {
    fn add(&mut self, cached: &Cached) {
        let Cached { file, template, stamp: _ } = cached;
        let error = match template {
            Ok(template) => match self.templates.get(&template.id) {
                None => {
                    self.templates.insert(template.id.clone(), Arc::clone(template));
                    return;
                }
                Some(_) => Arc::new(Error::invalid(
                    "/id",
                    format!("is `{}`, as another template's before it", template.id),
                )),
            },
            Err(error) => Arc::clone(error),
        };
        self.broken.push(Broken { path: file.clone(), error });
    }
}

/// The directories in a directory, sorted.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry.path());
        }
    }
    entries.sort_unstable();
    Ok(entries)
}

/// The entry as it is now: read again only where its file has changed.
fn refresh(entry: &Path, before: Option<Cached>) -> Option<Cached> {
    if let Some(cached) = before
        && fs::metadata(&cached.file).is_ok_and(|metadata| Stamp::of(&metadata) == cached.stamp)
        && (cached.file.ends_with(FILE_NAMES[0])
            || template_file(entry).is_some_and(|(file, _)| file == cached.file))
    {
        return Some(cached);
    }
    let (file, metadata) = template_file(entry)?;
    let template = read(&file).map(Arc::new).map_err(Arc::new);
    Some(Cached { stamp: Stamp::of(&metadata), template, file })
}

fn template_file(directory: &Path) -> Option<(PathBuf, Metadata)> {
    FILE_NAMES.iter().find_map(|name| {
        let file = directory.join(name);
        fs::metadata(&file).ok().filter(Metadata::is_file).map(|metadata| (file, metadata))
    })
}

fn read(file: &Path) -> Result<Template> {
    let name = format!("`{}`", file.display());
    let text = read_bounded(file, &name)?;
    let absolute = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let is_template_file = FILE_NAMES.iter().any(|name| absolute.ends_with(name));
    let fallback_id =
        if is_template_file { absolute.parent().and_then(Path::file_name) } else { absolute.file_stem() };
    let template = Template::parse(&text, &name, fallback_id.and_then(|id| id.to_str()))?;
    Ok(Template { directory: absolute.parent().map(Path::to_owned), ..template })
}

/// Reads a text file of at most [`MAX_DOCUMENT_BYTES`].
///
/// # Errors
///
/// [`Error::Invalid`] where it cannot be read, is too large, or is no UTF-8.
pub fn read_text(file: &Path) -> Result<String> {
    read_bounded(file, &format!("`{}`", file.display()))
}

fn read_bounded(file: &Path, name: &str) -> Result<String> {
    let opened = fs::File::open(file).map_err(|error| unreadable(file, &error))?;
    check_size(opened.metadata().map_err(|error| unreadable(file, &error))?.len(), name)?;
    let mut text = String::new();
    // It may grow while it is read.
    let mut bounded = opened.take(MAX_DOCUMENT_BYTES + 1);
    bounded.read_to_string(&mut text).map_err(|error| unreadable(file, &error))?;
    Ok(text)
}

/// Reads a file of at most [`MAX_DOCUMENT_BYTES`] as JSON or YAML: a configuration, say.
///
/// # Errors
///
/// [`Error::Invalid`] where it cannot be read, is too large, or is neither.
pub fn read_document(file: &Path) -> Result<serde_json::Value> {
    let name = format!("`{}`", file.display());
    crate::parse_document(&read_bounded(file, &name)?, &name)
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    Error::invalid(
        "",
        match error.kind() {
            ErrorKind::NotFound => format!("there is no `{path}`"),
            ErrorKind::InvalidData => format!("`{path}` is no text in UTF-8"),
            _ => format!("`{path}` cannot be read: {error}"),
        },
    )
}

#[cfg(test)]
mod tests;
