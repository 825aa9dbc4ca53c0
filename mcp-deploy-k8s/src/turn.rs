//! Whose turn it is on a name: within a process, deploys of one name wait for each other. Between processes the
//! version of the Deployment decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_deploy_core::DeploymentName;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The locks of one process.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<DeploymentName, Arc<AsyncMutex<()>>>>);

impl Turns {
    /// Waits for the turn.
    pub(crate) async fn take(&self, name: &DeploymentName) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(name.clone()).or_default())
        };
        lock.lock_owned().await
    }
}
