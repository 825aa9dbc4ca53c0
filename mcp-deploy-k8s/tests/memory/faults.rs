//! What goes wrong because a test wants it, and what was asked.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// `GET`, say; any where it is empty.
    pub(crate) method: &'static str,
    /// What the path with its query has in it; any where it is empty.
    pub(crate) path: String,
    /// How many requests it meets.
    pub(crate) times: usize,
    pub(crate) answer: Answer,
}

/// What a request is answered instead.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A `Status` of this code, perhaps with a `Retry-After` in seconds.
    Status { code: u16, message: String, retry_after: Option<u32> },
    /// Nothing, for ever.
    Hang,
    /// Nothing, and the connection is closed.
    Close,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    inner: Mutex<Inner>,
    cuts: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    script: Vec<Fault>,
    requests: Vec<(String, String)>,
}

impl Faults {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(super) fn script(&self, fault: Fault) {
        self.inner().script.push(fault);
    }

    pub(super) fn cut_watches(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Changes when watches have to end.
    pub(super) fn cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }

    pub(super) fn requests(&self) -> Vec<(String, String)> {
        self.inner().requests.clone()
    }

    /// Takes down a request, and says what goes wrong with it.
    pub(super) fn meet(&self, method: &str, path: &str) -> Option<Answer> {
        let mut inner = self.inner();
        inner.requests.push((method.to_owned(), path.to_owned()));
        let is_met = |fault: &&mut Fault| {
            fault.times > 0
                && (fault.method.is_empty() || fault.method == method)
                && path.contains(&fault.path)
        };
        let fault = inner.script.iter_mut().find(is_met)?;
        fault.times -= 1;
        Some(fault.answer.clone())
    }
}
