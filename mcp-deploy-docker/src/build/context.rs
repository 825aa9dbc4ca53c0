//! The context of a build: the files that are sent to the daemon, as an archive that is never held whole.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinHandle;

use super::error::BuildError;
use super::ignore::{self, Fate, Ignore, Matched};

/// How much of the archive is sent at once, and how many such pieces wait for the daemon.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES: usize = 4;
/// How many files the refusal of a large context names.
const NAMED: usize = 5;

/// What is sent to the daemon.
#[derive(Debug)]
pub(super) struct Context {
    directory: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Relative to the directory.
    path: PathBuf,
    metadata: Metadata,
}

impl Context {
    /// Looks through a directory, and leaves out what its `.dockerignore` says. Sockets, pipes and devices stay out
    /// too: no image can have them from here.
    pub(super) fn read(directory: &Path, dockerfile: &str) -> Result<Self, BuildError> {
        let ignore = match fs::read_to_string(directory.join(ignore::FILE)) {
            Ok(text) => Ignore::parse(&text, dockerfile)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ignore::default(),
            Err(source) => return Err(BuildError::Unreadable { path: ignore::FILE.into(), source }),
        };
        let mut context = Self { directory: directory.to_owned(), entries: Vec::new() };
        context.look_into(Path::new(""), None, &ignore)?;
        Ok(context)
    }

    fn look_into(
        &mut self,
        below: &Path,
        parent: Option<&Matched>,
        ignore: &Ignore,
    ) -> Result<(), BuildError> {
        let unreadable = |path: &Path| {
            let path = if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
            move |source| BuildError::Unreadable { path, source }
        };
        let entries = fs::read_dir(self.directory.join(below)).map_err(unreadable(below))?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>();
        let mut names = names.map_err(unreadable(below))?;
        // The same files are the same archive.
        names.sort_unstable();
        for name in names {
            let path = below.join(name);
            let metadata = fs::symlink_metadata(self.directory.join(&path)).map_err(unreadable(&path))?;
            let kind = metadata.file_type();
            let is_directory = kind.is_dir();
            let (fate, matched) = ignore.fate(&with_slashes(&path), is_directory, parent);
            if fate == Fate::Sent && (is_directory || kind.is_file() || kind.is_symlink()) {
                self.entries.push(Entry { path: path.clone(), metadata });
            }
            if is_directory && fate != Fate::LeftOut {
                self.look_into(&path, Some(&matched), ignore)?;
            }
        }
        Ok(())
    }

    /// How many bytes the files have.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.iter().map(Entry::bytes).sum()
    }

    /// Refuses a context that is larger than `most`, with the files that make it so.
    pub(super) fn within(self, most: u64) -> Result<Self, BuildError> {
        let bytes = self.bytes();
        if bytes <= most {
            return Ok(self);
        }
        let mut largest: Vec<_> = self.entries.into_iter().map(|entry| (entry.bytes(), entry.path)).collect();
        largest.sort_unstable_by(|one, other| other.cmp(one));
        largest.truncate(NAMED);
        Err(BuildError::TooLarge { directory: self.directory, bytes, most, largest })
    }

    /// The archive, piece by piece, with what has been sent of the files told to `sent`; and the thread that writes it
    /// as fast as the pieces are taken, which ends when nobody takes them any more.
    pub(super) fn archive(
        self,
        sent: impl Fn(u64) + Send + 'static,
    ) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, JoinHandle<io::Result<()>>) {
        let (pieces, taken) = mpsc::channel(PIECES);
        let writer = tokio::task::spawn_blocking(move || {
            let written = self.write(Pieces(pieces.clone()), sent);
            if let Err(error) = &written {
                // An archive that ends early would be taken for a whole one.
                let _ = pieces.blocking_send(Err(error.kind().into()));
            }
            written
        });
        (stream::unfold(taken, async |mut taken| Some((taken.recv().await?, taken))), writer)
    }

    fn write(self, pieces: Pieces, sent: impl Fn(u64)) -> io::Result<()> {
        let mut archive = Builder::new(BufWriter::with_capacity(PIECE_BYTES, pieces));
        let mut bytes = 0;
        for entry in &self.entries {
            entry.append(&self.directory, &mut archive).map_err(|error| {
                io::Error::new(error.kind(), format!("`{}`: {error}", entry.path.display()))
            })?;
            bytes += entry.bytes();
            sent(bytes);
        }
        archive.into_inner()?.flush()
    }
}

impl Entry {
    fn bytes(&self) -> u64 {
        if self.metadata.is_file() { self.metadata.len() } else { 0 }
    }

    fn append<W: Write>(&self, directory: &Path, archive: &mut Builder<W>) -> io::Result<()> {
        let Self { path, metadata } = self;
        let file = directory.join(path);
        let mut header = Header::new_gnu();
        header.set_mode(mode(metadata));
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(seconds(metadata));
        header.set_size(self.bytes());
        if metadata.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            return archive.append_link(&mut header, path, fs::read_link(file)?);
        }
        if metadata.is_dir() {
            header.set_entry_type(EntryType::Directory);
            return archive.append_data(&mut header, path.join(""), io::empty());
        }
        // It has the size that the archive announces, whatever somebody does to it meanwhile.
        let content = Exactly { file: File::open(file)?, missing: metadata.len() };
        archive.append_data(&mut header, path, content)
    }
}

/// The first bytes of a file, so many of them; an error where it has fewer.
struct Exactly {
    file: File,
    missing: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.file).take(self.missing).read(buffer)?;
        if read == 0 && self.missing > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was sent"));
        }
        self.missing -= read as u64;
        Ok(read)
    }
}

/// The sending end of the archive.
struct Pieces(Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(piece)));
        sent.map(|()| piece.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A relative path as patterns and archives write it.
fn with_slashes(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

fn seconds(metadata: &Metadata) -> u64 {
    let modified = metadata.modified().ok();
    let since = modified.and_then(|modified| modified.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_secs())
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::MetadataExt;

    metadata.mode() & 0o7777
}

/// Where files have no mode, all may be run, as Docker's own command line has it.
#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0o755
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::StreamExt;

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// The entries of the archive, with their modes and what they hold or lead to.
    async fn sent(root: &Path) -> BTreeMap<String, (u32, String)> {
        let context = Context::read(root, "Dockerfile").unwrap();
        let pieces: Vec<_> = context.archive(|_| {}).0.collect().await;
        let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap()).collect();
        let mut archive = tar::Archive::new(&bytes[..]);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            let mode = header.mode().unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            match entry.link_name().unwrap() {
                Some(target) => text = format!("-> {}", target.display()),
                None => drop(entry.read_to_string(&mut text).unwrap()),
            }
            (path, (mode, text))
        });
        entries.collect()
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn modes_links_long_names_and_empty_directories_are_kept_and_sockets_are_not() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "run.sh", "#!/bin/sh");
        fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o4750)).unwrap();
        let long = "l".repeat(180);
        write(root, &format!("{long}/file"), "x");
        fs::create_dir(root.join("empty")).unwrap();
        symlink("/etc/passwd", root.join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let sent = sent(root).await;
        assert_eq!(sent["run.sh"], (0o4750, "#!/bin/sh".to_owned()));
        assert_eq!(sent["link"].1, "-> /etc/passwd");
        assert_eq!(sent[&format!("{long}/file")].1, "x");
        assert!(sent.contains_key("empty/") && !sent.contains_key("socket"), "{sent:?}");
    }

    #[tokio::test]
    async fn what_is_left_out_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "Dockerfile", "FROM scratch");
        write(root, ".dockerignore", "*\n!kept\nkept/not");
        for path in ["kept/a", "kept/not/b", "secret/key"] {
            write(root, path, path);
        }
        let paths: Vec<String> = sent(root).await.into_keys().collect();
        assert_eq!(paths, [".dockerignore", "Dockerfile", "kept/", "kept/a"]);
    }

    #[tokio::test]
    async fn an_archive_that_nobody_takes_any_more_is_written_no_further() {
        let root = tempfile::tempdir().unwrap();
        File::create(root.path().join("large")).unwrap().set_len(1 << 30).unwrap();
        let context = Context::read(root.path(), "Dockerfile").unwrap();
        let (pieces, writer) = context.archive(|_| {});
        let mut pieces = Box::pin(pieces);
        assert!(pieces.next().await.unwrap().is_ok());
        drop(pieces);
        let error = writer.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_file_that_becomes_shorter_is_an_error_and_no_broken_archive() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "log", "long enough");
        let context = Context::read(root.path(), "Dockerfile").unwrap();
        write(root.path(), "log", "short");
        let (pieces, writer) = context.archive(|_| {});
        assert!(pieces.collect::<Vec<_>>().await.into_iter().any(|piece| piece.is_err()));
        let error = writer.await.unwrap().unwrap_err().to_string();
        assert_eq!(error, "`log`: it became shorter while it was sent");
    }

    #[test]
    fn a_context_that_is_too_large_names_its_largest_files() {
        let root = tempfile::tempdir().unwrap();
        for (name, bytes) in [("a.bin", 700), ("b.bin", 900), ("c", 1)] {
            File::create(root.path().join(name)).unwrap().set_len(bytes).unwrap();
        }
        let read = || Context::read(root.path(), "Dockerfile").unwrap();
        assert_eq!(read().within(1601).unwrap().bytes(), 1601);
        match read().within(1600).unwrap_err() {
            BuildError::TooLarge { largest, bytes, .. } => {
                assert_eq!((bytes, largest[0].0, largest[0].1.to_str()), (1601, 900, Some("b.bin")));
            }
            error => panic!("{error:?}"),
        }
    }
}
