//! The `git` program: never through a shell, never longer than a deadline, and never with a question to a person.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::address::TemplateRepository;

/// What names another repository than the one that is meant, as a hook of git has it in its environment.
const OF_A_REPOSITORY: [&str; 7] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_WORK_TREE",
];
/// What a person's or a machine's own settings of git may ask for, and must not happen here.
const SETTINGS: [&str; 6] = [
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
];
/// As much as is told of what git says.
const MAX_WORDS: usize = 300;

/// Why git did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    #[error("there is no program `git` here: install it, or take the repository out of the settings")]
    Missing,
    #[error("`git` cannot be started: {0}")]
    Start(io::Error),
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    #[error("it was stopped")]
    Stopped,
    #[error("{0}")]
    Failed(String),
}

/// How git is run for one repository.
#[derive(Debug)]
pub(super) struct Git<'a> {
    repository: &'a TemplateRepository,
    home: &'a Path,
    patience: Duration,
    deadline: Instant,
    stop: &'a Stop,
}

impl<'a> Git<'a> {
    /// It runs in the directory `home`; for all that it is asked there is so much time as `patience`.
    pub(super) fn new(
        repository: &'a TemplateRepository,
        home: &'a Path,
        patience: Duration,
        stop: &'a Stop,
    ) -> Self {
        Self { repository, home, patience, deadline: Instant::now() + patience, stop }
    }

    /// What git prints.
    pub(super) fn run<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String, GitError> {
        let mut command = Command::new("git");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        for variable in OF_A_REPOSITORY {
            command.env_remove(variable);
        }
        command
            .current_dir(self.home)
            // The settings of a repository that we happen to be in are not meant.
            .env("GIT_CEILING_DIRECTORIES", self.home.parent().unwrap_or(self.home))
            .env("GIT_ALLOW_PROTOCOL", "file:http:https:ssh")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = self.output(&mut command)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(GitError::Failed(self.words(&String::from_utf8_lossy(&output.stderr))))
    }

    fn output(&self, command: &mut Command) -> Result<Output, GitError> {
        own_group(command);
        let child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => GitError::Missing,
            _ => GitError::Start(error),
        })?;
        let group = Group::of(&child);
        let (ended, end) = mpsc::channel();
        let stopped = self.stop.watch(ended.clone());
        // It ends with git, which ends here at the latest when it is killed.
        let waiting = thread::spawn(move || drop(ended.send(Some(child.wait_with_output()))));
        let outcome = match end.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(Some(output)) => output.map_err(GitError::Start),
            Ok(None) => Err(GitError::Stopped),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(GitError::Late(self.patience))
            }
        };
        drop(stopped);
        if matches!(outcome, Err(GitError::Stopped | GitError::Late(_))) {
            group.kill();
            drop(waiting.join());
        }
        outcome
    }

    /// The first thing that git complains of, without what no terminal should show.
    fn words(&self, told: &str) -> String {
        let is_talk = |line: &str| {
            let line = line.to_lowercase();
            line.is_empty()
                || ["warning:", "hint:", "remote: counting"].iter().any(|talk| line.starts_with(talk))
        };
        let line = told.lines().map(str::trim).find(|line| !is_talk(line)).unwrap_or("git told no reason");
        let line = line.trim_start_matches("fatal: ").trim_start_matches("error: ");
        let line = line.replace(self.repository.url(), &self.repository.shown_url());
        let mut words: String = line.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect();
        if words.contains("terminal prompts disabled") {
            words += "; give the credentials by a credential helper of git";
        }
        words
    }
}

/// What ends the waiting for git, and other waiting, from another thread.
#[derive(Debug, Default)]
pub(super) struct Stop {
    state: Mutex<Stopping>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct Stopping {
    is_stopped: bool,
    running: Option<Sender<Option<io::Result<Output>>>>,
}

impl Stop {
    /// Ends it, now and from now on.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.is_stopped = true;
        if let Some(running) = state.running.take() {
            drop(running.send(None));
        }
        self.stopped.notify_all();
    }

    /// Waits for so long, or until it is stopped: then `true`.
    pub(super) fn sleep(&self, duration: Option<Duration>) -> bool {
        let goes_on = |state: &mut Stopping| !state.is_stopped;
        let state = self.state();
        let state = match duration {
            Some(duration) => {
                let waited = self.stopped.wait_timeout_while(state, duration, goes_on);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.stopped.wait_while(state, goes_on).unwrap_or_else(PoisonError::into_inner),
        };
        state.is_stopped
    }

    fn state(&self) -> MutexGuard<'_, Stopping> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells `running` when it is stopped, until what is returned is dropped.
    fn watch(&self, running: Sender<Option<io::Result<Output>>>) -> Watched<'_> {
        let mut state = self.state();
        if state.is_stopped {
            drop(running.send(None));
        } else {
            state.running = Some(running);
        }
        drop(state);
        Watched(self)
    }
}

struct Watched<'a>(&'a Stop);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.state().running = None;
    }
}

/// A process and all that it has started.
#[derive(Debug)]
struct Group {
    leader: u32,
}

impl Group {
    fn of(child: &Child) -> Self {
        Self { leader: child.id() }
    }

    #[cfg(unix)]
    fn kill(&self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        if let Some(leader) = i32::try_from(self.leader).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    #[cfg(not(unix))]
    fn kill(&self) {
        drop(Command::new("taskkill").args(["/F", "/T", "/PID", &self.leader.to_string()]).output());
    }
}

/// Lets what git starts be ended together with it.
#[cfg(unix)]
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

#[cfg(not(unix))]
fn own_group(_command: &mut Command) {}
