//! Whose turn it is on a name.
//!
//! Within a process verbs on one name wait for each other at a lock. Between processes the container `NAME.next`
//! is the lock: a name is given once, so whoever has it replaces the current container, and everybody else waits
//! until it is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_deploy_core::DeploymentName;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

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

    /// Whether the verb before left this container half done.
    pub(crate) fn has_left(&self, id: &str) -> bool {
        self.0.as_deref() == Some(id)
    }
}
