//! What is read from files, and read again when one of them changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// What files hold. While they are broken, it stays as it was.
#[derive(Debug)]
pub(crate) struct Reloaded<T> {
    files: Vec<PathBuf>,
    read: fn(&[PathBuf]) -> Result<T, String>,
    held: Mutex<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    changed_at: Vec<Option<SystemTime>>,
    value: Arc<T>,
}

impl<T> Reloaded<T> {
    /// # Errors
    ///
    /// What is wrong with the files now.
    pub(crate) fn new(
        files: Vec<PathBuf>,
        read: fn(&[PathBuf]) -> Result<T, String>,
    ) -> Result<Self, String> {
        // The times first: what changes while it is read is read once more.
        let changed_at = changed_at(&files);
        let value = Arc::new(read(&files)?);
        Ok(Self { files, read, held: Mutex::new(Held { changed_at, value }) })
    }

    pub(crate) fn get(&self) -> Arc<T> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let changed_at = changed_at(&self.files);
        if held.changed_at != changed_at {
            held.changed_at = changed_at;
            match (self.read)(&self.files) {
                Ok(value) => held.value = Arc::new(value),
                Err(error) => tracing::error!(error, "what was read before stays"),
            }
        }
        Arc::clone(&held.value)
    }
}

fn changed_at(files: &[PathBuf]) -> Vec<Option<SystemTime>> {
    files.iter().map(|file| fs::metadata(file).and_then(|metadata| metadata.modified()).ok()).collect()
}

/// Says which file cannot be read, and why.
pub(crate) fn unreadable(what: &str, file: &Path, error: impl std::fmt::Display) -> String {
    format!("the {what} `{}` cannot be read: {error}", file.display())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("number");
        let write = |text: &str, second: u64| {
            fs::write(&file, text).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            fs::File::options().append(true).open(&file).unwrap().set_modified(at).unwrap();
        };
        let number = |files: &[PathBuf]| -> Result<u32, String> {
            let text =
                fs::read_to_string(&files[0]).map_err(|error| unreadable("number", &files[0], error))?;
            text.parse().map_err(|_| "is no number".to_owned())
        };
        write("1", 1);
        let held = Reloaded::new(vec![file.clone()], number).unwrap();
        assert_eq!(*held.get(), 1);
        write("2", 2);
        assert_eq!(*held.get(), 2);
        write("nonsense", 3);
        assert_eq!(*held.get(), 2);
        fs::remove_file(&file).unwrap();
        assert_eq!(*held.get(), 2);
        assert!(Reloaded::new(vec![file], number).unwrap_err().contains("cannot be read"));
    }
}
