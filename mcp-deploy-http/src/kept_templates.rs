//! What a server does with its catalog beside its requests: it fetches the repositories, and logs what changes.

use std::sync::Arc;

use mcp_deploy_core::{Catalog, CatalogChanges, CatalogWatch, KeptFresh};
use tokio::task::{JoinHandle, spawn_blocking};

/// Goes on until it is ended, or dropped.
#[derive(Debug)]
pub(crate) struct KeptTemplates(JoinHandle<(CatalogWatch, Option<KeptFresh>)>);

impl KeptTemplates {
    /// Begins at once, and keeps nobody waiting: it reads all templates first.
    pub(crate) fn begin(catalog: &Arc<Catalog>) -> Self {
        let catalog = Arc::clone(catalog);
        Self(spawn_blocking(move || (catalog.watch(log), catalog.keep_fresh())))
    }

    /// Ends it.
    pub(crate) async fn end(self) {
        let Ok(kept) = self.0.await else { return };
        // It waits for its threads.
        drop(spawn_blocking(move || drop(kept)).await);
    }
}

fn log(CatalogChanges { new, changed, gone, broken }: &CatalogChanges) {
    let told = [(new, "a new template"), (changed, "a template has changed"), (gone, "a template is gone")];
    for (templates, what) in told {
        for template in templates {
            tracing::info!(%template, "{what}");
        }
    }
    for broken in broken {
        tracing::warn!("{} is left out: {}", broken.place, broken.error);
    }
}
