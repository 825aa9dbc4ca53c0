//! The glob patterns of what nobody is to see.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// What `exclude_patterns` hides.
///
/// A pattern without a `/` is held against every name on the way to a file, one with a `/` against the way from the
/// allowed directory on. `*` and `?` stop at a `/`, `**` does not. What is in a hidden directory is hidden too.
#[derive(Debug, Clone)]
pub(crate) struct Exclusions {
    names: GlobSet,
    paths: GlobSet,
}

impl Exclusions {
    /// # Errors
    ///
    /// One message for each pattern that is none.
    pub(crate) fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<String>> {
        let mut names = GlobSetBuilder::new();
        let mut paths = GlobSetBuilder::new();
        let mut problems = Vec::new();
        for pattern in patterns {
            // As in a `.gitignore`: a leading `/` says where, a trailing one says that a directory is meant.
            let is_path = pattern.trim_end_matches('/').contains('/');
            let trimmed = pattern.trim_matches('/');
            match GlobBuilder::new(trimmed).literal_separator(true).build() {
                Ok(glob) if is_path => _ = paths.add(glob),
                Ok(glob) => _ = names.add(glob),
                Err(error) => problems.push(format!("`{pattern}` is no glob pattern: {}", error.kind())),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let built = (names.build(), paths.build());
        match built {
            (Ok(names), Ok(paths)) => Ok(Self { names, paths }),
            (names, paths) => Err([names.err(), paths.err()]
                .into_iter()
                .flatten()
                .map(|error| format!("the patterns are too large together: {error}"))
                .collect()),
        }
    }

    /// Whether a file or directory is hidden whose directory is not; the path begins at the allowed directory.
    pub(crate) fn hide(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.names.is_match(name)) || self.paths.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, hidden: &[&str], seen: &[&str]) {
        let exclusions = Exclusions::new([pattern]).unwrap();
        for path in hidden {
            assert!(exclusions.hide(Path::new(path)), "`{pattern}` should hide `{path}`");
        }
        for path in seen {
            assert!(!exclusions.hide(Path::new(path)), "`{pattern}` should not hide `{path}`");
        }
    }

    #[test]
    fn a_pattern_without_a_slash_is_held_against_the_name() {
        check("*.key", &["a.key", "deep/below/b.key", ".key"], &["a.key.txt", "keys"]);
        check(".git", &[".git", "sub/.git"], &[".gitignore"]);
        check("node_modules/", &["node_modules", "a/node_modules"], &["node_modules2"]);
        check("*.{pem,p12}", &["a.pem", "b.p12"], &["a.pen"]);
    }

    #[test]
    fn a_pattern_with_a_slash_is_held_against_the_whole_way() {
        check("secrets/*", &["secrets/a"], &["secrets", "other/secrets/a"]);
        check("/top", &["top"], &["below/top"]);
        check("**/private/*.txt", &["private/a.txt", "a/b/private/c.txt"], &["private/a.md"]);
    }

    #[test]
    fn everything_that_is_no_pattern_is_named_at_once() {
        let problems = Exclusions::new(["*.key", "[", "a{b"]).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("`[` is no glob pattern"), "{problems:?}");
    }
}
