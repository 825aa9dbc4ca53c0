//! What happens to deployments, as the API server tells of them, of their pods and of events.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, select_all};
use futures_util::{StreamExt, stream};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment as Live;
use k8s_openapi::api::core::v1::{Event as PlatformEvent, Pod, PodSpec};
use kube::Resource;
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt, watcher};
use mcp_deploy_core::{Deployment, DeploymentName, Event, EventStream, Result, Selector};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::error::sorted_watch;
use crate::handle::KubernetesBackend;
use crate::index::{Belongs, Index, Key};
use crate::labels;
use crate::list::TROUBLE;
use crate::packed::Packed;
use crate::status::{self, Observed, Slim};

pub(crate) fn stream(backend: KubernetesBackend, selector: Selector) -> EventStream {
    let tries = (Some((backend, selector)), Pauses::default(), None);
    let opening = stream::unfold(tries, |(wanted, mut pauses, pause)| async move {
        let (backend, selector) = wanted?;
        if let Some(pause) = pause {
            sleep(pause).await;
        }
        match Watching::open(backend.clone(), selector.clone()).await {
            Ok(watching) => Some((watching.into_stream(), (None, pauses, None))),
            Err(error) => {
                let pause = pauses.next();
                Some((stream::iter([Err(error)]).boxed(), (Some((backend, selector)), pauses, pause)))
            }
        }
    });
    opening.flatten().boxed()
}

/// The pauses between tries of a watch that breaks: a person waits at the other end.
pub(crate) struct Pauses(Duration);

impl Pauses {
    const SHORTEST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(5);
}

impl Default for Pauses {
    fn default() -> Self {
        Self(Self::SHORTEST)
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(Self::LONGEST);
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// What the API server tells of one of the kinds.
enum News {
    Deployment(Box<watcher::Event<Live>>),
    Pod(Box<watcher::Event<Pod>>),
    Event(Box<watcher::Event<PlatformEvent>>),
}

struct Watching {
    backend: KubernetesBackend,
    news: BoxStream<'static, Result<News, watcher::Error>>,
    deployments: Known<Slim>,
    pods: Known<Pod>,
    events: Known<PlatformEvent>,
    /// Digests of what was told last; `None` until all three kinds are known.
    told: Option<BTreeMap<DeploymentName, u64>>,
    queue: VecDeque<Result<Event>>,
}

impl Watching {
    async fn open(backend: KubernetesBackend, selector: Selector) -> Result<Self> {
        let selected = watcher::Config::default().labels(&labels::selector(&selector));
        let trouble = watcher::Config::default().fields(TROUBLE);
        let news = select_all([
            backend.news(selected.clone(), News::Deployment, |_| {}).await?,
            backend.news(selected, News::Pod, slim_pod).await?,
            backend.news(trouble, News::Event, |_| {}).await?,
        ]);
        Ok(Self {
            backend,
            news: news.boxed(),
            deployments: Known::default(),
            pods: Known::default(),
            events: Known::default(),
            told: None,
            queue: VecDeque::new(),
        })
    }

    fn into_stream(self) -> EventStream {
        stream::unfold(self, |mut watching| async move { Some((watching.next().await?, watching)) }).boxed()
    }

    async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            match self.news.next().await? {
                Ok(news) => self.take_in(news),
                Err(error) => self.queue.push_back(Err(sorted_watch("watch deployments", error))),
            }
        }
    }

    fn take_in(&mut self, news: News) {
        let host = self.backend.ingress_host();
        let is_event = matches!(news, News::Event(_));
        let changed = match news {
            News::Deployment(event) => {
                self.deployments.take_in(*event, |live| Observed::of(live, host).map(Observed::slim))
            }
            News::Pod(event) => self.pods.take_in(*event, Some),
            News::Event(event) => self.events.take_in(*event, Some),
        };
        if !(self.deployments.is_whole && self.pods.is_whole && self.events.is_whole) {
            return;
        }
        match changed {
            Changed::Nothing => {}
            Changed::Of(object) if is_event => owners(&object).for_each(|name| self.tell(name)),
            Changed::Of(name) => self.tell(&name),
            Changed::Everything => self.tell_everything(),
        }
    }

    /// Queues what is new of one deployment.
    fn tell(&mut self, name: &str) {
        let Ok(key) = name.parse::<DeploymentName>() else { return };
        let now = self.deployments.objects.of(name).next().and_then(|slim| self.report(slim));
        let told = self.told.get_or_insert_default();
        match now {
            Some(now) => {
                let digest = digest(&now);
                if told.insert(key, digest) != Some(digest) {
                    self.queue.push_back(Ok(Event::Changed(Arc::new(now))));
                }
            }
            None if told.remove(&key).is_some() => self.queue.push_back(Ok(Event::Gone(key))),
            None => {}
        }
    }

    /// Queues the state, which comes again after a cut, and what has gone meanwhile.
    fn tell_everything(&mut self) {
        let reports = self.deployments.objects.all().filter_map(|slim| self.report(slim));
        let reports: Vec<Deployment> = reports.collect();
        let now: BTreeMap<_, _> =
            reports.iter().map(|report| (report.name.clone(), digest(report))).collect();
        let before = self.told.take().unwrap_or_default();
        let gone = before.into_keys().filter(|name| !now.contains_key(name));
        let there = reports.into_iter().map(Arc::new).map(Event::Changed);
        self.queue.extend(there.chain(gone.map(Event::Gone)).chain([Event::Synced]).map(Ok));
        self.told = Some(now);
    }

    fn report(&self, slim: &Packed<Slim>) -> Option<Deployment> {
        let observed = Observed::of_slim(slim.open())?;
        let pods = self.pods.objects.of(observed.ours.spec.name.as_str());
        let pods: Index<Pod> = pods.map(Packed::open).collect();
        let events = pods.all().flat_map(status::told_of).flat_map(|name| self.events.objects.of(name));
        let events = events.map(Packed::open).collect();
        Some(self.backend.report_on(&observed, &pods, &events))
    }
}

/// What tells one report from another, where the last one need not be remembered.
fn digest(report: &Deployment) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(report).expect("a report is JSON").hash(&mut hasher);
    hasher.finish()
}

/// The names that deployments may have whose pod or claim is called so: it begins with the deployment's.
fn owners(object: &str) -> impl Iterator<Item = &str> {
    object.match_indices('-').map(|(end, _)| &object[..end])
}

impl KubernetesBackend {
    async fn news<K>(
        &self,
        config: watcher::Config,
        wrap: fn(Box<watcher::Event<K>>) -> News,
        slim: fn(&mut K),
    ) -> Result<BoxStream<'static, Result<News, watcher::Error>>>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
        K::DynamicType: Default,
    {
        let slim = move |object: &mut K| {
            object.meta_mut().managed_fields = None;
            slim(object);
        };
        let events = watcher(self.objects::<K>().await?, config).modify(slim).backoff(Pauses::default());
        Ok(events.map(move |event| event.map(|event| wrap(Box::new(event)))).boxed())
    }
}

/// Without what no report is made of, for a memory of many: of its spec, all but the claims that it waits for.
fn slim_pod(pod: &mut Pod) {
    pod.metadata.owner_references = None;
    if let Some(spec) = &mut pod.spec {
        let claims = spec.volumes.take().into_iter().flatten();
        let claims = claims.filter(|volume| volume.persistent_volume_claim.is_some()).collect();
        *spec = PodSpec { volumes: Some(claims), ..PodSpec::default() };
    }
}

/// The objects of one kind, as far as they were told.
struct Known<T> {
    objects: Index<Packed<T>>,
    /// Those of a listing that is under way.
    coming: Index<Packed<T>>,
    /// Whether a listing has come to its end.
    is_whole: bool,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { objects: Index::default(), coming: Index::default(), is_whole: false }
    }
}

enum Changed {
    Nothing,
    /// What belongs to something.
    Of(String),
    Everything,
}

impl<T: Serialize + DeserializeOwned> Known<T> {
    /// `keep` makes of an object what is kept of it, where it is kept.
    fn take_in<K: Belongs>(&mut self, event: watcher::Event<K>, keep: impl Fn(K) -> Option<T>) -> Changed {
        match event {
            watcher::Event::Init => self.coming = Index::default(),
            watcher::Event::InitApply(object) => {
                let key = Key::of(&object);
                self.coming.extend(key.zip(keep(object).as_ref().map(Packed::of)));
            }
            watcher::Event::InitDone => {
                self.objects = mem::take(&mut self.coming);
                self.is_whole = true;
                return Changed::Everything;
            }
            watcher::Event::Apply(object) => return self.change(Key::of(&object), keep(object)),
            watcher::Event::Delete(object) => return self.change(Key::of(&object), None),
        }
        Changed::Nothing
    }

    fn change(&mut self, key: Option<Key>, kept: Option<T>) -> Changed {
        let Some(key) = key else { return Changed::Nothing };
        let owner = key.owner.clone();
        match kept {
            Some(kept) => self.objects.extend([(key, Packed::of(&kept))]),
            None => self.objects.remove(&key),
        }
        Changed::Of(owner)
    }
}
