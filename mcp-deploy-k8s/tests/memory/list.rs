//! Reading objects: one, or those that a selector chooses, page by page.

use std::ops::Bound;

use serde_json::{Value, json};

use super::object;
use super::route::Query;
use super::serve::Asked;
use super::status::Status;
use super::store::{Key, Store};

/// Which objects are chosen.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Debug, Clone)]
enum Requirement {
    Is(String, String),
    IsNot(String, String),
    IsThere(String),
    IsAbsent(String),
}

impl Selection {
    pub(super) fn of(query: &Query) -> Self {
        let parse = |parameter| {
            let words = query.get(parameter).unwrap_or_default().split(',');
            words.map(str::trim).filter(|word| !word.is_empty()).map(Requirement::parse).collect()
        };
        Self { labels: parse("labelSelector"), fields: parse("fieldSelector") }
    }

    pub(super) fn chooses(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str);
        let field = |key: &str| {
            let value = key.split('.').try_fold(object, |value, step| value.get(step));
            Some(value.and_then(Value::as_str).unwrap_or_default())
        };
        self.labels.iter().all(|requirement| requirement.is_met(label))
            && self.fields.iter().all(|requirement| requirement.is_met(field))
    }
}

impl Requirement {
    fn parse(word: &str) -> Self {
        let owned = |(key, value): (&str, &str)| (key.trim().to_owned(), value.trim().to_owned());
        if let Some((key, value)) = word.split_once("!=").map(owned) {
            return Self::IsNot(key, value);
        }
        if let Some((key, value)) = word.split_once("==").or_else(|| word.split_once('=')).map(owned) {
            return Self::Is(key, value);
        }
        match word.strip_prefix('!') {
            Some(key) => Self::IsAbsent(key.to_owned()),
            None => Self::IsThere(word.to_owned()),
        }
    }

    fn is_met<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::Is(key, wanted) => value(key) == Some(wanted),
            Self::IsNot(key, unwanted) => value(key) != Some(unwanted),
            Self::IsThere(key) => value(key).is_some(),
            Self::IsAbsent(key) => value(key).is_none(),
        }
    }
}

pub(super) fn get(store: &Store, asked: &Asked, name: &str) -> Result<Value, Status> {
    let found = store.read().found(&Key::of(&asked.route, name))?;
    Ok(if asked.only_metadata { object::only_metadata(&found.value) } else { Value::clone(&found.value) })
}

/// The rest of a list that was cut: the version at which it began, and the last object that was told.
fn place(token: &str) -> Option<(u64, String, String)> {
    let mut parts = token.split('/').map(str::to_owned);
    Some((parts.next()?.parse().ok()?, parts.next()?, parts.next()?))
}

pub(super) fn list(store: &Store, asked: &Asked) -> Result<Value, Status> {
    let kind = asked.route.kind;
    let namespace = asked.route.namespace.as_deref();
    let selection = Selection::of(&asked.query);
    let state = store.read();
    let mut version = state.version;
    let mut after = Bound::Unbounded;
    if let Some(token) = asked.query.get("continue") {
        let (began, namespace, name) =
            place(token).ok_or_else(|| Status::bad_request("continue key is not valid"))?;
        state.check_version(began)?;
        version = began;
        after = Bound::Excluded(Key::new(kind.resource, &namespace, &name));
    }
    let is_left = |key: &Key| match &after {
        Bound::Excluded(last) => key > last,
        _ => true,
    };
    let mut found =
        state.list(kind.resource, namespace).filter(|(key, value)| is_left(key) && selection.chooses(value));
    let limit = asked.query.number("limit").filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let remaining = found.count();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let (true, Some((last, _))) = (remaining > 0, page.last()) {
        metadata["continue"] = format!("{version}/{}/{}", last.namespace, last.name).into();
        metadata["remainingItemCount"] = remaining.into();
    }
    let items = page
        .into_iter()
        .map(|(_, value)| if asked.only_metadata { object::only_metadata(value) } else { item(value) });
    let items: Vec<Value> = items.collect();
    let (api_version, kind) = if asked.only_metadata {
        ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList".to_owned())
    } else {
        (kind.api_version(), format!("{}List", kind.kind))
    };
    Ok(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "items": items}))
}

/// The items of a list do not say of what kind they are.
fn item(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove("apiVersion");
        object.remove("kind");
    }
    value
}
