//! What changes in a catalog, told as it happens.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{Broken, Catalog, Templates};
use crate::{Template, TemplateId};

/// A change is told when nothing more has happened for so long: files are rarely written alone.
const QUIET: Duration = Duration::from_millis(300);
/// And after so long even where more happens all the time.
const LATEST: Duration = Duration::from_secs(3);

/// What has changed in a catalog since this was told last.
#[derive(Debug, Default)]
pub struct CatalogChanges {
    /// Those that were not there.
    pub new: Vec<TemplateId>,
    /// Those that are not what they were.
    pub changed: Vec<TemplateId>,
    /// Those that are not there any more.
    pub gone: Vec<TemplateId>,
    /// What cannot be used and could, or is broken in another way.
    pub broken: Vec<Broken>,
}

impl CatalogChanges {
    fn between(before: &Templates, now: &Templates) -> Self {
        let mut changes = Self::default();
        for (id, template) in &now.templates {
            match before.templates.get(id) {
                None => changes.new.push(id.clone()),
                Some(known) if !is_same(known, template) => changes.changed.push(id.clone()),
                Some(_) => {}
            }
        }
        let gone = before.templates.keys().filter(|id| !now.templates.contains_key(*id));
        changes.gone.extend(gone.cloned());
        let message = |broken: &Broken| (broken.place.clone(), broken.error.to_string());
        let known: Vec<_> = before.broken.iter().map(message).collect();
        changes.broken.extend(now.broken.iter().filter(|broken| !known.contains(&message(broken))).cloned());
        changes
    }

    fn is_empty(&self) -> bool {
        let Self { new, changed, gone, broken } = self;
        new.is_empty() && changed.is_empty() && gone.is_empty() && broken.is_empty()
    }
}

/// A file that was written again may hold what it held.
fn is_same(one: &Arc<Template>, other: &Arc<Template>) -> bool {
    Arc::ptr_eq(one, other)
        || serde_json::to_value(one).ok().is_some_and(|one| serde_json::to_value(other).ok() == Some(one))
}

/// What [`Catalog::watch`] has begun; it ends when this is dropped.
#[derive(Debug)]
pub struct CatalogWatch {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Signal {
    Something,
    Stop,
}

impl Drop for CatalogWatch {
    fn drop(&mut self) {
        drop(self.signals.send(Signal::Stop));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Catalog {
    /// Tells of changes, soon after they have happened and from another thread, until what is returned is dropped.
    /// A change that the system cannot tell of, as on some network file systems, is not told; it counts all the same
    /// at the next access.
    pub fn watch(self: &Arc<Self>, tell: impl FnMut(&CatalogChanges) + Send + 'static) -> CatalogWatch {
        let (signals, signalled) = mpsc::channel();
        let watching = self.watcher(&signals);
        let (catalog, known, sender) = (Arc::clone(self), self.list(), signals.clone());
        let thread = thread::spawn(move || catalog.tell(watching, known, &sender, &signalled, tell));
        CatalogWatch { signals, thread: Some(thread) }
    }

    fn tell(
        &self,
        mut watching: Option<RecommendedWatcher>,
        mut known: Templates,
        signals: &Sender<Signal>,
        signalled: &Receiver<Signal>,
        mut tell: impl FnMut(&CatalogChanges),
    ) {
        while matches!(signalled.recv(), Ok(Signal::Something)) {
            if !wait_until_quiet(signalled) {
                return;
            }
            // Made anew before the look: a directory that was replaced is another one, under the same name.
            drop(watching.take());
            watching = self.watcher(signals);
            let now = self.list();
            let changes = CatalogChanges::between(&known, &now);
            known = now;
            if !changes.is_empty() {
                tell(&changes);
            }
        }
    }

    fn watcher(&self, signals: &Sender<Signal>) -> Option<RecommendedWatcher> {
        let signals = signals.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| changes_something(event.kind)) {
                drop(signals.send(Signal::Something));
            }
        });
        let mut watcher =
            watcher.inspect_err(|error| tracing::warn!("changes are not told: {error}")).ok()?;
        for place in self.places() {
            let place = nearest_directory(&place);
            if let Err(error) = watcher.watch(&place, RecursiveMode::NonRecursive) {
                tracing::warn!("changes in `{}` are not told: {error}", place.display());
            }
        }
        Some(watcher)
    }
}

/// Whether it went quiet; else it is over.
fn wait_until_quiet(signalled: &Receiver<Signal>) -> bool {
    let latest = Instant::now() + LATEST;
    while let Some(left) = latest.checked_duration_since(Instant::now()) {
        match signalled.recv_timeout(QUIET.min(left)) {
            Ok(Signal::Something) => {}
            Ok(Signal::Stop) => return false,
            Err(_) => return true,
        }
    }
    true
}

/// We read the files ourselves: that changes nothing.
fn changes_something(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

/// The directory itself, or the one that it will appear in.
fn nearest_directory(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(directory: &Path, id: &str, text: &str) {
        fs::create_dir_all(directory.join(id)).unwrap();
        fs::write(directory.join(id).join("template.yaml"), text).unwrap();
    }

    #[test]
    fn what_changes_on_disk_is_told_with_what_became_of_it() {
        let home = tempfile::tempdir().unwrap();
        // It is not there yet.
        let templates = home.path().join("deep/templates");
        let catalog = Arc::new(Catalog::new([templates.clone()]));
        let (sender, told) = mpsc::channel();
        let line = |changes: &CatalogChanges| {
            let CatalogChanges { new, changed, gone, broken } = changes;
            let broken: Vec<_> = broken.iter().map(|broken| broken.error.to_string()).collect();
            format!("new {new:?}, changed {changed:?}, gone {gone:?}, broken {}", broken.len())
        };
        let watch = catalog.watch(move |changes| drop(sender.send(line(changes))));
        let next = || told.recv_timeout(Duration::from_secs(20)).unwrap();

        fs::create_dir_all(&templates).unwrap();
        write(&templates, "alpha", "name: A\ndescription: Greets.\nversion: '1'\n");
        assert_eq!(next(), r#"new [TemplateId("alpha")], changed [], gone [], broken 0"#);
        write(&templates, "group/beta", "name: [");
        assert_eq!(next(), "new [], changed [], gone [], broken 1");
        write(&templates, "alpha", "name: A\ndescription: Greets.\nversion: '2'\n");
        assert_eq!(next(), r#"new [], changed [TemplateId("alpha")], gone [], broken 0"#);
        // Written again, with what it held.
        write(&templates, "alpha", "name: A\ndescription: Greets.\nversion: '2'\n");
        fs::remove_dir_all(templates.join("alpha")).unwrap();
        assert_eq!(next(), r#"new [], changed [], gone [TemplateId("alpha")], broken 0"#);

        drop(watch);
        assert!(told.recv().is_err(), "nothing is told any more");
    }
}
