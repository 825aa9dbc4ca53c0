//! For tests: a repository of templates that others clone from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Catalog, TemplateRepository};

/// A repository, and a cache for copies of it.
pub(super) struct GitServer {
    home: TempDir,
}

impl GitServer {
    pub(super) fn new() -> Self {
        let server = Self { home: tempfile::tempdir().unwrap() };
        fs::create_dir(server.work()).unwrap();
        server.git(&["init", "--quiet", "--initial-branch=main"]);
        server
    }

    /// Where the files are that are committed.
    pub(super) fn work(&self) -> PathBuf {
        self.home.path().join("templates.git")
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.home.path().join("cache")
    }

    pub(super) fn url(&self) -> String {
        format!("file://{}", self.work().display())
    }

    pub(super) fn repository(&self, rest: &str) -> TemplateRepository {
        format!("{}{rest}", self.url()).parse().unwrap()
    }

    /// A catalog of this repository alone.
    pub(super) fn catalog(&self, rest: &str) -> Catalog {
        Catalog::default().with_repositories([self.repository(rest)], &self.cache())
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let file = self.work().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Commits all that was written; the commit.
    pub(super) fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message=A change"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(arguments)
            .current_dir(self.work())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes the copies older than they are.
    pub(super) fn age(&self) {
        for state in self.states() {
            let mut document: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
            document["current"]["at"] = "2020-01-01T00:00:00Z".into();
            fs::write(&state, document.to_string()).unwrap();
        }
    }

    pub(super) fn states(&self) -> Vec<PathBuf> {
        let homes = fs::read_dir(self.cache()).unwrap().map(|entry| entry.unwrap().path());
        homes.map(|home| home.join("state.json")).filter(|state| state.is_file()).collect()
    }

    /// Takes the repository away.
    pub(super) fn leave(&self) {
        fs::rename(self.work(), self.home.path().join("elsewhere")).unwrap();
    }
}

/// A template in YAML.
pub(super) fn yaml(name: &str) -> String {
    format!("name: {name}\ndescription: Greets.\nversion: '1'\n")
}

/// What a path has in its directories, without the path.
pub(super) fn masked(text: &str, server: &GitServer) -> String {
    text.replace(&server.home.path().display().to_string(), "DIR")
}

pub(super) fn link(target: &str, link: &Path) {
    #[cfg(unix)]
    std::os::unix::fs::symlink(target, link).unwrap();
    #[cfg(not(unix))]
    std::os::windows::fs::symlink_dir(target, link).unwrap();
}
