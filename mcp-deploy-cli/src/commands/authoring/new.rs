//! `templates new`: a whole template, written at once or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use mcp_deploy_core::{Error as CoreError, TemplateId};
use serde::Serialize;

use super::AuthoringError;
use super::scaffold::{Language, files};
use crate::error::{Error, Result};
use crate::output::{Format, Show, lines, show, talk};

/// The version that a new template has.
const FIRST_VERSION: &str = "0.1.0";

#[derive(Args)]
pub(crate) struct Options {
    /// The template's id, and the name of its directory
    name: TemplateId,
    /// The language of its server
    #[arg(long, value_enum)]
    lang: Language,
    /// Where its directory is made
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    id: String,
    version: &'static str,
    path: PathBuf,
    files: Vec<String>,
}

pub(super) fn run(Options { name, lang, directory }: &Options, format: Format) -> Result<()> {
    let path = if directory == Path::new(".") {
        PathBuf::from(name.as_str())
    } else {
        directory.join(name.as_str())
    };
    if !directory.is_dir() {
        return Err(CoreError::invalid("", format!("there is no directory `{}`", directory.display())).into());
    }
    if path.symlink_metadata().is_ok() {
        return Err(AuthoringError::Exists(path).into());
    }
    let files = files(*lang, name, FIRST_VERSION);
    write(&path, directory, &files)?;
    let written = Written {
        id: name.to_string(),
        version: FIRST_VERSION,
        files: files.into_iter().map(|(file, _)| file).collect(),
        path,
    };
    show(&written, format)?;
    if format == Format::Table {
        talk(&format!(
            "hint: `{0}/README.md` tells how it is run, built, tried and deployed",
            written.path.display()
        ));
    }
    Ok(())
}

/// Writes beside the place and moves the whole there: nobody sees half of it.
fn write(path: &Path, directory: &Path, files: &[(String, String)]) -> Result<()> {
    let failed = |source| Error::Io { operation: "write the template", source };
    let beside = tempfile::Builder::new().prefix(".mcp-deploy-").tempdir_in(directory).map_err(failed)?;
    // Not the temporary directory itself, which nobody else may read.
    let whole = beside.path().join("template");
    for (file, text) in files {
        let file = whole.join(file);
        fs::create_dir_all(file.parent().unwrap_or(&whole)).map_err(failed)?;
        fs::write(file, text).map_err(failed)?;
    }
    fs::rename(&whole, path).map_err(|source| match source.kind() {
        // Somebody else was faster.
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
            AuthoringError::Exists(path.to_owned()).into()
        }
        _ => failed(source),
    })
}

impl Show for Written {
    fn table(&self, _wide: bool) -> String {
        let Self { id, version, path, files } = self;
        let first = format!("`{id}` {version} is in {}:", path.display());
        lines([first].into_iter().chain(files.iter().map(|file| format!("  {file}"))))
    }

    fn names(&self) -> Vec<&str> {
        vec![&self.id]
    }
}
