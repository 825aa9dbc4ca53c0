//! The configuration, as the environment has it.

use std::path::PathBuf;

use crate::exclusions::Exclusions;
use crate::sandbox::Sandbox;

/// What `max_file_size` counts in.
const MEGABYTE: u64 = 1_000_000;

/// Everything that the server is told.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) port: u16,
    pub(crate) sandbox: Sandbox,
    pub(crate) read_only: bool,
    /// In bytes.
    pub(crate) max_file_size: u64,
}

impl Settings {
    /// Reads the variables, of which an empty one counts as absent, and opens the allowed directories.
    ///
    /// # Errors
    ///
    /// One message for each that is wrong, with what would be right.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let value = |name: &str, default: &str| {
            variable(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        let mut note = |problem: String| problems.push(problem);

        let port = port(&variable).unwrap_or_else(|problem| {
            note(problem);
            0
        });
        let size = value("MAX_FILE_SIZE", "100");
        let max_file_size: u64 = match size.parse() {
            Ok(size @ 1..=1000) => size,
            _ => wrong(&mut note, "MAX_FILE_SIZE", &size, "a whole number of MB from 1 to 1000"),
        };
        let mut flag = |name: &str| match value(name, "false").as_str() {
            "true" => true,
            "false" => false,
            other => wrong(&mut note, name, other, "`true` or `false`"),
        };
        let read_only = flag("READ_ONLY_MODE");
        let follow_links = flag("ENABLE_SYMLINKS");
        let patterns = value("EXCLUDE_PATTERNS", "");
        let exclusions = Exclusions::new(patterns.split(':').filter(|pattern| !pattern.is_empty()));

        let list = value("ALLOWED_DIRECTORIES", "/data");
        let directories: Vec<PathBuf> =
            list.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        for path in directories.iter().filter(|path| !path.is_absolute()) {
            note(format!("`ALLOWED_DIRECTORIES` has `{}`, which is no absolute path", path.display()));
        }
        if directories.is_empty() {
            wrong::<()>(&mut note, "ALLOWED_DIRECTORIES", &list, "absolute paths with `:` between them");
        }
        let sandbox = exclusions.map_err(|problems| ("EXCLUDE_PATTERNS", problems)).and_then(|exclusions| {
            Sandbox::open(&directories, follow_links, exclusions)
                .map_err(|problems| ("ALLOWED_DIRECTORIES", problems))
        });
        match sandbox {
            Ok(sandbox) if problems.is_empty() => {
                Ok(Self { port, sandbox, read_only, max_file_size: max_file_size * MEGABYTE })
            }
            Ok(_) => Err(problems),
            Err((name, further)) => {
                problems.extend(further.iter().map(|problem| format!("`{name}`: {problem}")));
                Err(problems)
            }
        }
    }
}

/// Where to listen, without all the rest.
pub(crate) fn port(variable: impl Fn(&str) -> Option<String>) -> Result<u16, String> {
    let value = variable("PORT").filter(|value| !value.is_empty());
    let value = value.as_deref().unwrap_or("8080");
    value.parse().map_err(|_| format!("`PORT` is `{value}`, and has to be a number from 0 to 65535"))
}

/// Notes what a variable should be; the value in its place is never used.
fn wrong<T: Default>(note: &mut impl FnMut(String), name: &str, value: &str, right: &str) -> T {
    note(format!("`{name}` is `{value}`, and has to be {right}"));
    T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        Settings::read(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_not_set_or_empty_has_the_default_of_the_template() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let settings =
            read(&[("ALLOWED_DIRECTORIES", path), ("EXCLUDE_PATTERNS", ""), ("PORT", "")]).unwrap();
        assert_eq!((settings.port, settings.read_only), (8080, false));
        assert_eq!(settings.max_file_size, 100_000_000);
        let defaults = read(&[]);
        if !std::path::Path::new("/data").is_dir() {
            let problems = defaults.unwrap_err();
            assert!(
                problems[0].starts_with("`ALLOWED_DIRECTORIES`: `/data` cannot be opened"),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn directories_and_patterns_are_lists_with_colons() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let both = format!("{}:{}", one.path().display(), two.path().display());
        let settings = read(&[("ALLOWED_DIRECTORIES", &both), ("EXCLUDE_PATTERNS", "*.key:.git")]).unwrap();
        assert_eq!(settings.sandbox.roots().collect::<Vec<_>>(), [one.path(), two.path()]);
        for (path, hidden) in [("a.key", true), (".git", true), ("a.key:.git", false), ("a", false)] {
            assert_eq!(settings.sandbox.hides(path.as_ref()), hidden, "{path}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let problems = read(&[
            ("PORT", "http"),
            ("MAX_FILE_SIZE", "0"),
            ("READ_ONLY_MODE", "yes"),
            ("ENABLE_SYMLINKS", "1"),
            ("ALLOWED_DIRECTORIES", "relative:/there/is/nothing"),
        ])
        .unwrap_err();
        for part in [
            "`PORT` is `http`, and has to be a number from 0 to 65535",
            "`MAX_FILE_SIZE` is `0`, and has to be a whole number of MB from 1 to 1000",
            "`READ_ONLY_MODE` is `yes`, and has to be `true` or `false`",
            "`ENABLE_SYMLINKS` is `1`, and has to be `true` or `false`",
            "`ALLOWED_DIRECTORIES` has `relative`, which is no absolute path",
            "`ALLOWED_DIRECTORIES`: `/there/is/nothing` cannot be opened",
        ] {
            assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:#?}");
        }
    }
}
