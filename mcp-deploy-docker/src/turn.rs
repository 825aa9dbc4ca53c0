//! Whose turn it is on a name.
//!
//! Within a process verbs on one name wait for each other at a lock. Between processes the container `NAME.next`
//! is the lock: a name is given once, so whoever has it replaces the current container, and everybody else waits
//! until it is gone. One that stays for too long was left by somebody who was interrupted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_deploy_core::{DeploymentName, Result};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep};

use crate::backend::DockerBackend;
use crate::container::STOP_SECONDS;
use crate::containers::Found;
use crate::names::Role;

/// Between two looks at somebody else's work.
const PAUSE: Duration = Duration::from_millis(250);
/// A replacement takes no longer: its longest step is to stop the current container.
pub(crate) const ABANDONED: Duration = Duration::from_secs(STOP_SECONDS.unsigned_abs() as u64 + 10);

/// The locks of one process.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<DeploymentName, Arc<AsyncMutex<UnderWay>>>>);

/// The id of the container that is about to take over; it stays where the verb was dropped in between.
type UnderWay = Option<String>;

/// The turn of one verb on a name.
#[derive(Debug)]
pub(crate) struct Turn(OwnedMutexGuard<UnderWay>);

impl Turns {
    /// Waits for the turn.
    pub(crate) async fn take(&self, name: &DeploymentName) -> Turn {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| {
                Arc::strong_count(lock) > 1 || lock.try_lock().is_ok_and(|under_way| under_way.is_some())
            });
            Arc::clone(locks.entry(name.clone()).or_default())
        };
        Turn(lock.lock_owned().await)
    }
}

impl Turn {
    /// From here on the container of this id is about to take over.
    pub(crate) fn begins(&mut self, id: &str) {
        *self.0 = Some(id.to_owned());
    }

    /// Nothing is half done any more.
    pub(crate) fn ends(&mut self) {
        *self.0 = None;
    }

    fn has_left(&self, id: &str) -> bool {
        self.0.as_deref() == Some(id)
    }
}

impl DockerBackend {
    /// The current container of a name, as soon as nobody is about to replace it. What an interrupted update has
    /// left is mended.
    pub(crate) async fn settled(&self, name: &DeploymentName, turn: &mut Turn) -> Result<Option<Found>> {
        let mut watched: Option<(String, Instant)> = None;
        loop {
            let Some(next) = self.find(name, Role::Next).await? else {
                turn.ends();
                let current = self.find(name, Role::Current).await?;
                // Between the two looks somebody may have come so far that the name was free for a moment.
                if current.is_none() && self.find(name, Role::Next).await?.is_some() {
                    continue;
                }
                return Ok(current);
            };
            let since = watched.as_ref().filter(|(id, _)| *id == next.id).map(|(_, since)| *since);
            if turn.has_left(&next.id) || since.is_some_and(|since| since.elapsed() >= ABANDONED) {
                self.mend(name, &next).await?;
                continue;
            }
            if since.is_none() {
                tracing::debug!(deployment = %name, "somebody else replaces the container");
                watched = Some((next.id, Instant::now()));
            }
            sleep(PAUSE).await;
        }
    }

    /// Ends what was left half done: where the name is free, `next` had all but the name; else it goes, or
    /// becomes what it may have been, the revision before.
    pub(crate) async fn mend(&self, name: &DeploymentName, next: &Found) -> Result<()> {
        tracing::warn!(deployment = %name, container = %next.id, "an interrupted update is mended");
        if self.find(name, Role::Current).await?.is_none() {
            return self.rename(&next.id, name, Role::Current).await.map(drop);
        }
        if next.was_started() && self.find(name, Role::Previous).await?.is_none() {
            return self.retire(next).await;
        }
        self.remove(&next.id).await
    }
}
