//! Fetching a repository: what its ref is there now, and the files of that commit.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::Repository;
use crate::catalog::address::is_commit;
use crate::catalog::git::{Git, GitError};

/// Why a repository was not fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("it has no branch and no tag `{0}`")]
    NoReference(String),
    #[error("it is empty")]
    Empty,
    #[error("the cache `{}` cannot be written: {source}", .path.display())]
    Cache { path: PathBuf, source: io::Error },
}

/// What to fetch, and what it is known to be.
struct Wanted {
    name: String,
    commit: Option<String>,
}

impl Repository {
    /// The commit that counts now, with its files in place.
    pub(super) fn fetch(&self, git: &Git<'_>) -> Result<String, FetchError> {
        let wanted = self.wanted(git)?;
        if let Some(commit) = &wanted.commit
            && self.tree(commit).is_dir()
        {
            return Ok(commit.clone());
        }
        let unwritable = |source| FetchError::Cache { path: self.home.clone(), source };
        let aside = self.home.join("new");
        remove(&aside).map_err(unwritable)?;
        let (objects, tree) = (aside.join("objects.git"), aside.join("tree"));
        fs::create_dir_all(&tree).map_err(unwritable)?;
        let option = |name: &str, path: &Path| {
            let mut argument = OsString::from(name);
            argument.push(path);
            argument
        };
        let git_dir = option("--git-dir=", &objects);
        let words = |words: &'static [&'static str]| words.iter().map(OsStr::new);
        git.run(words(&["init", "--quiet", "--bare", "--template=", "--"]).chain([objects.as_os_str()]))?;
        let fetch = words(&["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--"]);
        let from = [OsStr::new(self.address.url()), OsStr::new(&wanted.name)];
        git.run([&*git_dir].into_iter().chain(fetch).chain(from))?;
        let parse = words(&["rev-parse", "--verify", "--end-of-options", "FETCH_HEAD^{commit}"]);
        let commit = git.run([&*git_dir].into_iter().chain(parse))?.trim().to_owned();
        let work_tree = option("--work-tree=", &tree);
        let checkout = words(&["checkout", "--quiet", "--force", "--detach"]).chain([OsStr::new(&commit)]);
        git.run([&*git_dir, &*work_tree].into_iter().chain(checkout))?;
        remove(&objects).map_err(unwritable)?;
        let place = self.home.join(&commit);
        // What is there without its files is what somebody left of it.
        remove(&place).and_then(|()| fs::rename(&aside, &place)).map_err(unwritable)?;
        self.load(&commit);
        Ok(commit)
    }

    /// What the ref is there now.
    fn wanted(&self, git: &Git<'_>) -> Result<Wanted, FetchError> {
        if let Some(commit) = self.address.pinned_commit() {
            return Ok(Wanted { name: commit.to_owned(), commit: Some(commit.to_owned()) });
        }
        let names = match self.address.reference() {
            None => vec!["HEAD".to_owned()],
            Some(full) if full.starts_with("refs/") => vec![full.to_owned()],
            Some(short) => vec![format!("refs/heads/{short}"), format!("refs/tags/{short}")],
        };
        // A tag with a message is an object of its own, and leads to its commit under another name.
        let peeled = names.iter().map(|name| format!("{name}^{{}}"));
        let asked = ["ls-remote", "--quiet", "--", self.address.url()].map(str::to_owned);
        let told = git.run(asked.into_iter().chain(names.iter().cloned()).chain(peeled))?;
        let commit = |wanted: &str| {
            let mut lines = told.lines().filter_map(|line| line.split_once('\t'));
            lines.find(|(_, name)| *name == wanted).map(|(commit, _)| commit.trim().to_owned())
        };
        let found = names.into_iter().find_map(|name| {
            let commit = commit(&format!("{name}^{{}}")).or_else(|| commit(&name))?;
            Some(Wanted { name, commit: Some(commit).filter(|commit| is_commit(commit)) })
        });
        found.ok_or_else(|| {
            self.address
                .reference()
                .map_or(FetchError::Empty, |name| FetchError::NoReference(name.to_owned()))
        })
    }
}

/// Removes a directory with all that is in it, where it is there.
fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
