//! What cases cannot run without.

use std::process::{Command, Stdio};

use super::{Behaviour, Fixture};
use crate::Logs;

/// What a case cannot run without.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Needs {
    /// A template whose server behaves so.
    Template(Behaviour),
    /// So many instances of one deployment.
    Replicas(u32),
    /// Others, with objects of their own on the platform.
    Others,
    /// Earlier specs, kept.
    Revisions,
    /// Logs of what runs.
    Logs,
    /// Logs of what is stopped.
    KeptLogs,
    /// That no other case of the program runs meanwhile: it counts what is there, or takes away what others use.
    Alone,
    /// A program on the `PATH`.
    Program(&'static str),
    /// A variable of the environment, and how it gets its value.
    Variable(&'static str, &'static str),
    /// Something else: what is missing of it, if anything is.
    Else(fn() -> Option<String>),
}

impl Needs {
    /// What is missing.
    pub(super) fn missing<F: Fixture + ?Sized>(self, fixture: &F) -> Option<String> {
        let capabilities = fixture.backend().capabilities();
        match self {
            Self::Template(behaviour) => {
                fixture.template(behaviour).is_none().then(|| format!("no template for {behaviour:?}"))
            }
            Self::Replicas(count) => (capabilities.max_replicas < count)
                .then(|| format!("at most {} replicas", capabilities.max_replicas)),
            Self::Others => fixture.others().is_none().then(|| "nobody else has objects there".to_owned()),
            Self::Revisions => (capabilities.revisions == 0).then(|| "no revisions".to_owned()),
            Self::Logs => (capabilities.logs == Logs::None).then(|| "no logs".to_owned()),
            Self::KeptLogs => {
                (capabilities.logs != Logs::Kept).then(|| "no logs of what is stopped".to_owned())
            }
            Self::Alone => None,
            Self::Program(program) => (!is_there(program)).then(|| format!("no {program}")),
            Self::Variable(name, how) => {
                std::env::var_os(name).is_none().then(|| format!("{name} is not set: {how}"))
            }
            Self::Else(missing) => missing(),
        }
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}
