//! The allowed directories, and the only way from a path to what is in them.
//!
//! A path is not checked and then opened: it is walked. Each directory on the way is opened from the one before
//! without following a link, and stays open until the end, so nothing that is renamed or swapped meanwhile changes
//! where the walk is, and `..` goes back to where it came from.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use cap_fs_ext::DirExt;
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::exclusions::Exclusions;
use crate::listing::Kind;
use crate::place::Place;
use crate::refusal::Refusal;

/// As in Linux itself.
const MAX_LINKS: usize = 40;
const MAX_PATH: usize = 4096;

/// Each directory on the way is an open file, of which a process may have some thousand.
pub(crate) const MAX_DEPTH: usize = 64;

/// The allowed directories, open for as long as the server lives.
#[derive(Debug)]
pub(crate) struct Sandbox {
    roots: Vec<Root>,
    follow_links: bool,
    exclusions: Exclusions,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    directory: Dir,
}

/// What a walk does where a directory is missing on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Refuse,
    Make,
}

impl Sandbox {
    /// Opens the allowed directories.
    ///
    /// # Errors
    ///
    /// One message for each that cannot be opened.
    pub(crate) fn open(
        directories: &[PathBuf],
        follow_links: bool,
        exclusions: Exclusions,
    ) -> Result<Self, Vec<String>> {
        let mut roots = Vec::new();
        let mut problems = Vec::new();
        for path in directories {
            let opened = Dir::open_ambient_dir(path, ambient_authority()).and_then(|directory| {
                // A directory can be open for somebody who may not look into it.
                directory.entries()?;
                Ok(directory)
            });
            match opened {
                Ok(directory) => roots.push(Root { path: path.components().collect(), directory }),
                Err(error) => problems.push(format!("`{}` cannot be opened: {error}", path.display())),
            }
        }
        if problems.is_empty() { Ok(Self { roots, follow_links, exclusions }) } else { Err(problems) }
    }

    /// The allowed directories; a relative path begins at the first.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Path> {
        self.roots.iter().map(|root| root.path.as_path())
    }

    /// Whether all allowed directories can be read.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.roots.iter().try_for_each(|root| root.directory.entries().map(drop))
    }

    /// Whether `exclude_patterns` hides a path below an allowed directory.
    pub(crate) fn hides(&self, inside: &Path) -> bool {
        self.exclusions.hide(inside)
    }

    /// Walks to a path, absolute or from the first allowed directory on.
    pub(crate) fn locate(&self, asked: &str, missing: Missing) -> Result<Place, Refusal> {
        if asked.len() > MAX_PATH {
            return Err(Refusal::TooLong { length: asked.len(), limit: MAX_PATH });
        }
        let outside = || Refusal::Outside { path: asked.to_owned() };
        let first = self.roots.first().ok_or_else(outside)?;
        let path = Path::new(asked);
        let mut walk = if path.is_absolute() {
            self.begin(path).ok_or_else(outside)?
        } else {
            Walk { root: first, below: Vec::new(), ahead: steps(path) }
        };
        let mut links = Vec::new();
        while let Some(step) = walk.ahead.pop_front() {
            let Step::Into(name) = step else {
                if walk.below.pop().is_none() {
                    let above = walk.above();
                    walk = self.begin(&above).ok_or_else(|| escaped(asked, links.last()))?;
                }
                continue;
            };
            let here = walk.path().join(&name);
            let inside = walk.inside().join(&name);
            if self.exclusions.hide(&inside) {
                return Err(Refusal::Hidden { path: asked.to_owned() });
            }
            let found = walk.here().symlink_metadata(&name).map(|metadata| Kind::of(&metadata));
            let is_last = walk.ahead.is_empty();
            match found {
                Ok(Kind::Link) => {
                    let link = here.display().to_string();
                    if !self.follow_links {
                        return Err(Refusal::Link { path: asked.to_owned(), link });
                    }
                    let target = walk
                        .here()
                        .read_link_contents(&name)
                        .map_err(|error| Refusal::io("follow", asked, error))?;
                    links.push(link);
                    if links.len() > MAX_LINKS {
                        return Err(Refusal::TooManyLinks { path: asked.to_owned(), limit: MAX_LINKS });
                    }
                    walk = self.follow(walk, &target).ok_or_else(|| escaped(asked, links.last()))?;
                }
                Ok(_) if is_last => return walk.end(Some(name), inside, here, asked),
                Err(error) if is_last && error.kind() == io::ErrorKind::NotFound => {
                    return walk.end(Some(name), inside, here, asked);
                }
                Err(error) if missing == Missing::Refuse || error.kind() != io::ErrorKind::NotFound => {
                    return Err(Refusal::io("reach", asked, error));
                }
                Ok(kind @ (Kind::File | Kind::Other)) => {
                    let path = here.display().to_string();
                    return Err(Refusal::Kind { path, found: kind.named(), wanted: "a directory" });
                }
                Ok(Kind::Directory) | Err(_) => {
                    if walk.below.len() == MAX_DEPTH {
                        return Err(Refusal::TooDeep { path: asked.to_owned(), limit: MAX_DEPTH });
                    }
                    if found.is_err() {
                        make(walk.here(), &name).map_err(|error| Refusal::io("make", asked, error))?;
                    }
                    let next = walk.here().open_dir_nofollow(&name);
                    let next = next.map_err(|error| Refusal::io("enter", asked, error))?;
                    walk.below.push((name, next));
                }
            }
        }
        let (inside, path) = (walk.inside(), walk.path());
        walk.end(None, inside, path, asked)
    }

    /// Begins a walk at the allowed directory that an absolute path lies in.
    fn begin(&self, path: &Path) -> Option<Walk<'_>> {
        let containing = self.roots.iter().filter(|root| path.starts_with(&root.path));
        let root = containing.max_by_key(|root| root.path.components().count())?;
        let rest = path.strip_prefix(&root.path).ok()?;
        Some(Walk { root, below: Vec::new(), ahead: steps(rest) })
    }

    /// Goes on where a link points to, with what is still ahead behind it.
    fn follow<'a>(&'a self, mut walk: Walk<'a>, target: &Path) -> Option<Walk<'a>> {
        if target.is_absolute() {
            let mut other = self.begin(target)?;
            other.ahead.append(&mut walk.ahead);
            return Some(other);
        }
        let mut ahead = steps(target);
        ahead.append(&mut walk.ahead);
        walk.ahead = ahead;
        Some(walk)
    }
}

fn make(directory: &Dir, name: &OsStr) -> io::Result<()> {
    match directory.create_dir(name) {
        // Somebody else was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn escaped(asked: &str, link: Option<&String>) -> Refusal {
    let path = asked.to_owned();
    match link {
        Some(link) => Refusal::LinkOutside { path, link: link.clone() },
        None => Refusal::Outside { path },
    }
}

#[derive(Debug)]
enum Step {
    Up,
    Into(OsString),
}

fn steps(path: &Path) -> VecDeque<Step> {
    let step = |component| match component {
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Into(name.to_owned())),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(step).collect()
}

struct Walk<'a> {
    root: &'a Root,
    /// The directories from the allowed one down to here.
    below: Vec<(OsString, Dir)>,
    ahead: VecDeque<Step>,
}

impl Walk<'_> {
    fn here(&self) -> &Dir {
        self.below.last().map_or(&self.root.directory, |(_, directory)| directory)
    }

    fn inside(&self) -> PathBuf {
        self.below.iter().map(|(name, _)| name).collect()
    }

    fn path(&self) -> PathBuf {
        self.root.path.iter().chain(self.below.iter().map(|(name, _)| name.as_os_str())).collect()
    }

    /// Where `..` leads to from the allowed directory, with what is ahead of it: another one may be there.
    fn above(&mut self) -> PathBuf {
        let mut path = self.root.path.parent().unwrap_or(Path::new("/")).to_owned();
        while let Some(Step::Up) = self.ahead.front() {
            self.ahead.pop_front();
            path.pop();
        }
        for step in &self.ahead {
            match step {
                Step::Up => path.push(".."),
                Step::Into(name) => path.push(name),
            }
        }
        path
    }

    fn end(
        mut self,
        name: Option<OsString>,
        inside: PathBuf,
        path: PathBuf,
        asked: &str,
    ) -> Result<Place, Refusal> {
        let directory = match self.below.pop() {
            Some((_, directory)) => directory,
            None => self.root.directory.try_clone().map_err(|error| Refusal::io("enter", asked, error))?,
        };
        Ok(Place { directory, name, inside, path })
    }
}

#[cfg(all(test, unix))]
mod tests;
