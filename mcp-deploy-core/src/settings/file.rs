//! The settings file, in TOML.

use std::fs;
use std::path::{Path, PathBuf};

use super::Settings;
use crate::{Error, Result};

impl Settings {
    /// Reads a settings file; what it does not say is the default. Relative paths in it start where it is.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with the file and the line that is wrong.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).map_err(|error| {
            Error::invalid("", format!("the settings file `{}` cannot be read: {error}", file.display()))
        })?;
        let mut settings = parse(&text, file)?;
        let directory = file.parent().unwrap_or(Path::new(""));
        for path in settings.paths() {
            *path = directory.join(&path);
        }
        Ok(settings)
    }

    /// The paths of files and directories that are ours; those of other programs' files are left to these.
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let http = &mut self.http;
        let files = [
            &mut self.templates_cache,
            &mut self.mock.state,
            &mut http.tokens_file,
            &mut http.tls_cert,
            &mut http.tls_key,
        ];
        self.templates.iter_mut().chain(files.into_iter().flatten())
    }
}

fn parse(text: &str, file: &Path) -> Result<Settings> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Error::invalid("", format!("{}:{line}: {}", file.display(), error.message()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_and_the_line() {
        let file = Path::new("mcp-deploy.toml");
        let message = |text| parse(text, file).unwrap_err().to_string();
        let unknown = message("backend = 'mock'\nbackedn = 'mock'\n");
        assert!(unknown.starts_with("mcp-deploy.toml:2: unknown field `backedn`"), "{unknown}");
        let broken = message("\n\nbackend = \n");
        assert!(broken.starts_with("mcp-deploy.toml:3: "), "{broken}");
    }

    #[test]
    fn paths_in_a_file_start_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("settings.toml");
        fs::write(&file, "templates = ['mine', '/opt/theirs']\nhttp.tls_key = 'key.pem'\n").unwrap();
        let settings = Settings::read(&file).unwrap();
        assert_eq!(settings.templates, [directory.path().join("mine"), PathBuf::from("/opt/theirs")]);
        assert_eq!(settings.http.tls_key, Some(directory.path().join("key.pem")));
    }
}
