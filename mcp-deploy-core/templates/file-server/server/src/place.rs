//! Where a walk through the allowed directories ended, and how what is there is opened.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, File, Metadata, OpenOptions};

use crate::listing::Kind;
use crate::refusal::Refusal;

/// An open directory, and a name in it unless the directory itself is meant.
///
/// The name was no symbolic link a moment ago, and need not exist. Who opens it follows none.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: Dir,
    pub(crate) name: Option<OsString>,
    /// The way from the allowed directory, which `exclude_patterns` are held against.
    pub(crate) inside: PathBuf,
    /// The same as an absolute path: where it is, whatever links led there.
    pub(crate) path: PathBuf,
}

impl Place {
    /// What is known of what is here; of a link, what is known of the link.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        match &self.name {
            Some(name) => self.directory.symlink_metadata(name),
            None => self.directory.dir_metadata(),
        }
    }

    /// Opens the directory that is here.
    pub(crate) fn open_directory(&self, path: &str) -> Result<Dir, Refusal> {
        let failed = |error| Refusal::io("open", path, error);
        let Some(name) = &self.name else {
            return self.directory.try_clone().map_err(failed);
        };
        let found = Kind::of(&self.directory.symlink_metadata(name).map_err(failed)?);
        if found != Kind::Directory {
            return Err(Refusal::Kind { path: path.to_owned(), found: found.named(), wanted: "a directory" });
        }
        self.directory.open_dir_nofollow(name).map_err(failed)
    }

    /// Opens the regular file that is here, without following a link, and tells its size.
    pub(crate) fn open_file(&self, path: &str, options: &mut OpenOptions) -> Result<(File, u64), Refusal> {
        let failed = |error| Refusal::io("open", path, error);
        let wrong = |found: Kind| {
            Err(Refusal::Kind { path: path.to_owned(), found: found.named(), wanted: "a file" })
        };
        let Some(name) = &self.name else {
            return wrong(Kind::Directory);
        };
        let before = Kind::of(&self.directory.symlink_metadata(name).map_err(failed)?);
        if before != Kind::File {
            return wrong(before);
        }
        // Something else may have taken the name: no link is followed, no pipe waited for, and the open file asked.
        options.follow(FollowSymlinks::No).nonblock(true);
        let file = self.directory.open_with(name, options).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        match Kind::of(&metadata) {
            Kind::File => Ok((file, metadata.len())),
            other => wrong(other),
        }
    }
}
