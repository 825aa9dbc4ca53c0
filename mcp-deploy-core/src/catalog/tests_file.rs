//! `tests.json`: the calls that a template's author tries its server with, in a file beside the template.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::files::{read_document, unreadable};
use crate::{Error, Result};

const FILE_NAME: &str = "tests.json";

/// The file beside a template's.
pub(super) fn beside(template_file: &Path) -> PathBuf {
    template_file.with_file_name(FILE_NAME)
}

/// Puts the tests beside a template into its document, as the field `tests`; without such a file the document
/// stays as it is.
///
/// # Errors
///
/// [`Error::Invalid`] where it cannot be read, lies outside of the template's directory, or the document has
/// tests of its own.
pub(super) fn read_into(document: &mut Value, template_file: &Path) -> Result<()> {
    let file = beside(template_file);
    match fs::symlink_metadata(&file) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(&file, &error)),
    }
    check_place(&file)?;
    let tests = read_document(&file)?;
    // What is no object is refused with the template.
    let Value::Object(fields) = document else { return Ok(()) };
    if fields.get("tests").is_some_and(|tests| !tests.is_null()) {
        let problem = format!("is given, and `{}` is there too: keep one of the two", file.display());
        return Err(Error::invalid("/tests", problem));
    }
    fields.insert("tests".to_owned(), tests);
    Ok(())
}

/// The file is one, and lies where the template does, also behind a link.
fn check_place(file: &Path) -> Result<()> {
    let shown = file.display();
    let real = fs::canonicalize(file).map_err(|error| unreadable(file, &error))?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = fs::canonicalize(directory).map_err(|error| unreadable(directory, &error))?;
    if !real.starts_with(&directory) {
        let problem = format!("`{shown}` is a link that leaves the template's directory: it is not followed");
        return Err(Error::invalid("", problem));
    }
    // Whatever else it may be, a pipe say, might never end.
    if !real.is_file() {
        return Err(Error::invalid("", format!("`{shown}` is no file")));
    }
    Ok(())
}
