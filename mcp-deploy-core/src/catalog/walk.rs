//! Where the templates of a source lie: at any of the usual depths, and never outside of it.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::files::{template_file, unreadable};
use crate::Error;

/// How deep below its source a template may lie.
const MAX_DEPTH: usize = 4;
/// The most entries of directories that are looked at.
const MAX_ENTRIES: usize = 20_000;
/// What others put there, which holds no templates of ours; and so does what is hidden.
const PASSED_OVER: [&str; 2] = ["node_modules", "target"];
/// What belongs to no image: git's own files, and what the tools of other languages link together.
const NOT_LINKED: [&str; 4] = [".git", ".venv", "node_modules", "target"];

/// What lies in a source.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The files of templates, sorted by their directories.
    pub(super) templates: Vec<TemplateFile>,
    /// The directories that were looked into, those of templates too.
    pub(super) directories: Vec<PathBuf>,
    /// What was not looked into, and why.
    pub(super) refused: Vec<(PathBuf, Error)>,
}

/// The file of a template.
#[derive(Debug)]
pub(super) struct TemplateFile {
    pub(super) directory: PathBuf,
    pub(super) file: PathBuf,
    pub(super) metadata: Metadata,
}

/// Looks for templates below a directory. A directory that is a template is not looked into.
///
/// # Errors
///
/// What the system said of `root` itself.
pub(super) fn walk(root: &Path) -> io::Result<Walk> {
    let mut walk = Walk::default();
    let mut left = MAX_ENTRIES;
    let mut waiting = VecDeque::from([(root.to_owned(), 0)]);
    while let Some((directory, depth)) = waiting.pop_front() {
        if let Some((file, metadata)) = template_file(&directory) {
            walk.directories.push(directory.clone());
            walk.templates.push(TemplateFile { directory, file, metadata });
            continue;
        }
        let entries = match entries(&directory, left, holds_templates) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(error),
            Err(error) => {
                let error = unreadable(&directory, &error);
                walk.refused.push((directory, error));
                continue;
            }
        };
        left -= entries.len();
        if left == 0 {
            let problem = format!(
                "`{}` holds more than {MAX_ENTRIES} files and directories: name one that holds the templates alone",
                root.display()
            );
            walk.refused.push((root.to_owned(), Error::invalid("", problem)));
            break;
        }
        walk.directories.push(directory);
        if depth == MAX_DEPTH {
            continue;
        }
        for (path, kind) in entries {
            match leads_to_directory(&path, kind, root) {
                Ok(true) => waiting.push_back((path, depth + 1)),
                Ok(false) => {}
                Err(error) => walk.refused.push((path, error)),
            }
        }
    }
    walk.templates.sort_unstable_by(|one, other| one.directory.cmp(&other.directory));
    Ok(walk)
}

fn holds_templates(name: &OsStr) -> bool {
    !name.as_encoded_bytes().starts_with(b".") && !PASSED_OVER.iter().any(|other| name == *other)
}

/// Of at most `limit` entries of a directory those with a wanted name, sorted.
fn entries(
    directory: &Path,
    limit: usize,
    is_wanted: impl Fn(&OsStr) -> bool,
) -> io::Result<Vec<(PathBuf, FileType)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)?.take(limit) {
        let entry = entry?;
        if is_wanted(&entry.file_name()) {
            entries.push((entry.path(), entry.file_type()?));
        }
    }
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

/// Whether an entry is a directory, or a link to one inside the source.
fn leads_to_directory(path: &Path, kind: FileType, root: &Path) -> Result<bool, Error> {
    if !kind.is_symlink() {
        return Ok(kind.is_dir());
    }
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(false);
    }
    check_link(path, path, root).map(|()| true)
}

/// Checks that no link in a template's directory leads out of its source: what builds an image from it, or reads it, would
/// take files along that nobody has given.
///
/// # Errors
///
/// The first link that does.
pub(super) fn check_links(top: &Path, root: &Path) -> Result<(), Error> {
    let mut left = MAX_ENTRIES;
    let mut waiting = vec![top.to_owned()];
    while let Some(directory) = waiting.pop() {
        let is_linked = |name: &OsStr| !NOT_LINKED.iter().any(|other| name == *other);
        let entries = entries(&directory, left, is_linked).map_err(|error| unreadable(&directory, &error))?;
        left -= entries.len();
        if left == 0 {
            return Err(Error::invalid("", format!("there are more than {MAX_ENTRIES} files beside it")));
        }
        for (path, kind) in entries {
            if kind.is_symlink() {
                check_link(&path, path.strip_prefix(top).unwrap_or(&path), root)?;
            } else if kind.is_dir() {
                waiting.push(path);
            }
        }
    }
    Ok(())
}

/// `shown` is how people know the link.
fn check_link(link: &Path, shown: &Path, root: &Path) -> Result<(), Error> {
    let canonical_root = fs::canonicalize(root).map_err(|error| unreadable(root, &error))?;
    let is_inside = match fs::canonicalize(link) {
        Ok(target) => target.starts_with(&canonical_root),
        // It leads nowhere now, and may lead somewhere later.
        Err(_) => written_target(link).is_some_and(|target| target.starts_with(&canonical_root)),
    };
    if is_inside {
        return Ok(());
    }
    let problem = format!("`{}` is a symbolic link that leads out of its source", shown.display());
    Err(Error::invalid("", problem))
}

/// What is written in a link, as an absolute path.
fn written_target(link: &Path) -> Option<PathBuf> {
    let place = fs::canonicalize(link.parent()?).ok()?;
    let mut target = PathBuf::new();
    for part in place.join(fs::read_link(link).ok()?).components() {
        match part {
            Component::ParentDir => drop(target.pop()),
            Component::CurDir => {}
            other => target.push(other),
        }
    }
    Some(target)
}
