//! Reading the files of templates, each at most once, and none that is too large.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::{self, Path, PathBuf};

use super::tests_file;
use crate::document::{MAX_DOCUMENT_BYTES, check_size};
use crate::{Error, Result, Template, parse_document};

/// The names of a template's file in its directory; the first that is there counts.
pub const FILE_NAMES: [&str; 3] = ["template.json", "template.yaml", "template.yml"];

/// The file of the template in a directory, where it holds one.
pub(super) fn template_file(directory: &Path) -> Option<(PathBuf, Metadata)> {
    FILE_NAMES.iter().find_map(|name| {
        let file = directory.join(name);
        fs::metadata(&file).ok().filter(Metadata::is_file).map(|metadata| (file, metadata))
    })
}

/// The template in a file, or in a directory that holds one.
pub(super) fn load(path: &Path) -> Result<Template> {
    let file = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => template_file(path).map(|(file, _)| file).ok_or_else(|| {
            let problem = format!("`{}` holds none of `{}`", path.display(), FILE_NAMES.join("`, `"));
            Error::invalid("", problem)
        })?,
        Ok(_) => path.to_owned(),
        Err(error) => return Err(unreadable(path, &error)),
    };
    template(&file, &format!("`{}`", file.display()), None)
}

/// The template in a file, which errors call `name`; it is named after its place where it has no id, unless there is
/// a `fallback_id`.
pub(super) fn template(file: &Path, name: &str, fallback_id: Option<&str>) -> Result<Template> {
    let text = read_bounded(file, name)?;
    let canonical = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let is_template_file = FILE_NAMES.iter().any(|name| canonical.ends_with(name));
    let place =
        if is_template_file { canonical.parent().and_then(Path::file_name) } else { canonical.file_stem() };
    let mut document = parse_document(&text, name)?;
    let tests = if is_template_file { tests_file::read_into(&mut document, file) } else { Ok(()) };
    let id = fallback_id.or(place.and_then(|place| place.to_str()));
    let template = match (tests, Template::from_value(document, id)) {
        (Ok(()), template) => template?,
        (Err(Error::Invalid { violations: mut all }), Err(Error::Invalid { violations })) => {
            all.extend_under("", violations);
            return Err(all.into());
        }
        (Err(error), _) => return Err(error),
    };
    let directory = path::absolute(file).ok().and_then(|file| file.parent().map(Path::to_owned));
    Ok(Template { directory, ..template })
}

/// Reads a text file of at most [`MAX_DOCUMENT_BYTES`].
///
/// # Errors
///
/// [`Error::Invalid`] where it cannot be read, is too large, or is no UTF-8.
pub fn read_text(file: &Path) -> Result<String> {
    read_bounded(file, &format!("`{}`", file.display()))
}

/// Reads a file of at most [`MAX_DOCUMENT_BYTES`] as JSON or YAML: a configuration, say.
///
/// # Errors
///
/// [`Error::Invalid`] where it cannot be read, is too large, or is neither.
pub fn read_document(file: &Path) -> Result<serde_json::Value> {
    let name = format!("`{}`", file.display());
    parse_document(&read_bounded(file, &name)?, &name)
}

fn read_bounded(file: &Path, name: &str) -> Result<String> {
    #[cfg(test)]
    READS.with(|reads| reads.set(reads.get() + 1));
    let opened = fs::File::open(file).map_err(|error| unreadable(file, &error))?;
    check_size(opened.metadata().map_err(|error| unreadable(file, &error))?.len(), name)?;
    let mut text = String::new();
    // It may grow while it is read.
    let mut bounded = opened.take(MAX_DOCUMENT_BYTES + 1);
    bounded.read_to_string(&mut text).map_err(|error| unreadable(file, &error))?;
    Ok(text)
}

/// What the system said of a path.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Error {
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
thread_local! {
    /// How many files this thread has read.
    pub(super) static READS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
