//! Where the state is: in memory, or in a file that processes share.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mcp_deploy_core::Result;

use crate::error::StateError;
use crate::state::State;

/// Where the state is.
pub(crate) enum Store {
    Memory(Mutex<State>),
    /// Written whole, under a lock, and put in place by a rename; readable by its owner alone, because it
    /// holds the values of secrets.
    File(PathBuf),
}

impl Store {
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Looks at the state as it is now; in memory nobody changes it meanwhile.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        match self {
            Self::Memory(state) => look(&state.lock().unwrap_or_else(PoisonError::into_inner)),
            Self::File(path) => look(&read(path)?),
        }
    }

    /// Changes the state, or leaves it as it is where `change` fails.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        match self {
            Self::Memory(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                let mut changed = state.clone();
                let outcome = change(&mut changed)?;
                *state = changed;
                Ok(outcome)
            }
            Self::File(path) => {
                let _lock = lock(path)?;
                let mut state = read(path)?;
                let outcome = change(&mut state)?;
                write(path, &state)?;
                Ok(outcome)
            }
        }
    }
}

/// Held until it is dropped; beside the file, which a rename replaces.
fn lock(path: &Path) -> Result<File, StateError> {
    let failed = |source| StateError::Io { path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.with_file_name(name))
        .map_err(failed)?;
    lock.lock().map_err(failed)?;
    Ok(lock)
}

fn read(path: &Path) -> Result<State, StateError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::default()),
        Err(source) => {
            return Err(StateError::Io { path: path.to_owned(), source });
        }
    };
    serde_json::from_slice(&text).map_err(|source| StateError::Corrupt { path: path.to_owned(), source })
}

fn write(path: &Path, state: &State) -> Result<(), StateError> {
    // A rename would replace it all the same.
    if fs::metadata(path).is_ok_and(|metadata| metadata.permissions().readonly()) {
        return Err(StateError::ReadOnly { path: path.to_owned() });
    }
    replace(path, state).map_err(|source| StateError::Io { path: path.to_owned(), source })
}

fn replace(path: &Path, state: &State) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
    serde_json::to_writer(&mut file, state)?;
    file.flush()?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::error::Error as _;

    use mcp_deploy_core::Error;

    use super::*;

    fn occupy(store: &Store, name: &str) -> Result<()> {
        store.update(|state| {
            state.foreign.insert(name.to_owned());
            Ok(())
        })
    }

    fn foreign(store: &Store) -> Result<BTreeSet<String>> {
        store.look(|state| Ok(state.foreign.clone()))
    }

    fn cause(error: &Error) -> String {
        format!("{error}: {}", error.source().unwrap())
    }

    #[test]
    fn processes_that_write_at_once_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep").join("mock.json");
        std::thread::scope(|scope| {
            for name in 0..16 {
                let store = Store::File(path.clone());
                scope.spawn(move || occupy(&store, &name.to_string()).unwrap());
            }
        });
        assert_eq!(foreign(&Store::File(path)).unwrap().len(), 16);
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mock.json");
        occupy(&Store::File(path.clone()), "x").unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_corrupt_file_is_named_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mock.json");
        fs::write(&path, "{\"deployments\": 3}").unwrap();
        let store = Store::File(path.clone());
        let error = occupy(&store, "x").unwrap_err();
        assert!(
            cause(&error).contains("mock.json` is no state of a mock; it was kept as it is"),
            "{}",
            cause(&error)
        );
        assert!(foreign(&store).is_err());
        assert_eq!(fs::read_to_string(path).unwrap(), "{\"deployments\": 3}");
    }

    #[test]
    fn a_read_only_file_is_named_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mock.json");
        fs::write(&path, "{}").unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        let error = occupy(&Store::File(path.clone()), "x").unwrap_err();
        assert!(cause(&error).contains("mock.json` is read-only; it was kept as it is"), "{}", cause(&error));
        assert_eq!(fs::read_to_string(path).unwrap(), "{}");
    }

    #[test]
    fn a_change_that_fails_leaves_the_state_as_it_was() {
        let store = Store::Memory(Mutex::default());
        let outcome: Result<()> = store.update(|state| {
            state.foreign.insert("half".to_owned());
            Err(Error::invalid("", "no"))
        });
        assert!(outcome.is_err() && foreign(&store).unwrap().is_empty());
    }
}
