//! Objects by what they belong to.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment as Live;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{Resource, ResourceExt};

use crate::labels;

/// A kind whose objects belong to something that has a name.
pub(crate) trait Belongs: Resource {
    /// `None` where an object belongs to nothing of ours.
    fn belongs_to(&self) -> Option<String>;
}

impl Belongs for Live {
    fn belongs_to(&self) -> Option<String> {
        labels::deployment(&self.metadata).map(|name| name.to_string())
    }
}

impl Belongs for Pod {
    fn belongs_to(&self) -> Option<String> {
        labels::deployment(&self.metadata).map(|name| name.to_string())
    }
}

/// An event belongs to the object that it tells of.
impl Belongs for Event {
    fn belongs_to(&self) -> Option<String> {
        self.involved_object.name.clone()
    }
}

/// What an object belongs to, and its own name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) owner: String,
    name: String,
}

impl Key {
    pub(crate) fn of(object: &impl Belongs) -> Option<Self> {
        Some(Self { owner: object.belongs_to()?, name: object.name_any() })
    }
}

/// What is kept of the objects of one kind.
#[derive(Debug)]
pub(crate) struct Index<T>(BTreeMap<Key, T>);

impl<T> Index<T> {
    pub(crate) fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Those that belong to something.
    pub(crate) fn of(&self, owner: &str) -> impl Iterator<Item = &T> {
        let first = Key { owner: owner.to_owned(), name: String::new() };
        let from = self.0.range(first..);
        from.take_while(move |(key, _)| key.owner == owner).map(|(_, kept)| kept)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.values()
    }
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Extend<(Key, T)> for Index<T> {
    fn extend<I: IntoIterator<Item = (Key, T)>>(&mut self, kept: I) {
        self.0.extend(kept);
    }
}

impl<K: Belongs> FromIterator<K> for Index<K> {
    fn from_iter<I: IntoIterator<Item = K>>(objects: I) -> Self {
        Self(objects.into_iter().filter_map(|object| Some((Key::of(&object)?, object))).collect())
    }
}
