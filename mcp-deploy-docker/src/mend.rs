//! What an interrupted update has left: told from one that goes on, and mended.

use std::time::Duration;

use mcp_deploy_core::{DeploymentName, Result};
use tokio::time::{Instant, sleep};

use crate::container::STOP_SECONDS;
use crate::containers::Found;
use crate::handle::DockerBackend;
use crate::names::Role;
use crate::turn::Turn;

/// Between two looks at somebody else's work.
const PAUSE: Duration = Duration::from_millis(250);
/// A replacement takes no longer: its longest step is to stop the current container.
pub(crate) const ABANDONED: Duration = Duration::from_secs(STOP_SECONDS.unsigned_abs() as u64 + 10);

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
