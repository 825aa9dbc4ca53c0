//! When repositories are fetched: when somebody asks, before a command reads an old copy, or in the background.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;

use super::Catalog;
use super::git::Stop;
use super::repository::{Busy, Freshness, Repository};
use crate::{Result, TemplateRepository, one_line};

/// For so long a person waits for templates that are not there yet.
const PATIENCE: Duration = Duration::from_mins(1);
/// And for so long for newer ones than those that are there.
const SHORT_PATIENCE: Duration = Duration::from_secs(10);
/// After a try that has told nothing of the next one.
const PAUSE: Duration = Duration::from_mins(1);

impl Catalog {
    /// Fetches all repositories now, at the same time; how that went for each, in their order.
    pub fn refresh(&self) -> Vec<Result<()>> {
        refresh_all(self.repositories.iter().map(|repository| (repository, PATIENCE)))
    }

    /// Fetches what is missing on this machine, and for a few seconds what is older than six hours; `before` is told
    /// of those that are missing. Where one cannot be fetched, that is told by [`list`](Self::list), and not tried
    /// again for some minutes.
    pub fn freshen(&self, mut before: impl FnMut(&TemplateRepository)) {
        let due: Vec<_> = self
            .repositories
            .iter()
            .filter_map(|repository| match repository.freshness() {
                Freshness::Fresh { .. } => None,
                Freshness::Old => Some((repository, SHORT_PATIENCE)),
                Freshness::Missing => {
                    before(repository.address());
                    Some((repository, PATIENCE))
                }
            })
            .collect();
        drop(refresh_all(due));
    }

    /// Fetches repositories in the background when their copies are missing or older than six hours, until what is
    /// returned is dropped. `None` where there are none.
    pub fn keep_fresh(self: &Arc<Self>) -> Option<KeptFresh> {
        if self.repositories.is_empty() {
            return None;
        }
        let (catalog, stop) = (Arc::clone(self), Arc::new(Stop::default()));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || while !stopped.sleep(catalog.fetch_what_is_due(&stopped)) {});
        Some(KeptFresh { stop, thread: Some(thread) })
    }

    /// Fetches it; how long nothing is due then.
    fn fetch_what_is_due(&self, stop: &Stop) -> Option<Duration> {
        for repository in &self.repositories {
            if matches!(repository.freshness(), Freshness::Fresh { .. }) {
                continue;
            }
            match repository.refresh(PATIENCE, Busy::Pass, stop) {
                Ok(()) => tracing::debug!(repository = %repository.address(), "fetched"),
                Err(error) => tracing::warn!("{}; what was fetched before stays in use", one_line(&error)),
            }
        }
        let now = Timestamp::now();
        let left = self.repositories.iter().filter_map(|repository| match repository.freshness() {
            Freshness::Fresh { until } => {
                until.map(|until| until.duration_since(now).unsigned_abs().max(Duration::from_secs(1)))
            }
            Freshness::Old | Freshness::Missing => Some(PAUSE),
        });
        left.min()
    }
}

/// The background work of [`Catalog::keep_fresh`]; it ends, with the git that it runs, when this is dropped.
#[derive(Debug)]
pub struct KeptFresh {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for KeptFresh {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Old copies are left to whoever fetches them already.
fn refresh_all<'a>(due: impl IntoIterator<Item = (&'a Repository, Duration)>) -> Vec<Result<()>> {
    thread::scope(|scope| {
        let fetch = |(repository, patience): (&'a Repository, Duration)| {
            let busy = if patience == SHORT_PATIENCE { Busy::Pass } else { Busy::Wait };
            scope.spawn(move || repository.refresh(patience, busy, &Stop::default()))
        };
        let running: Vec<_> = due.into_iter().map(fetch).collect();
        running.into_iter().map(|running| running.join().expect("a fetch does not panic")).collect()
    })
}
