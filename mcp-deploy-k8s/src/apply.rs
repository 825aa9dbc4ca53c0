//! Server-side apply, as the API server takes it (Kubernetes API concepts, "Server-Side Apply"), and the few writes
//! that are none.

use std::fmt::{Debug, Write};

use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use kube::api::{Patch, PatchParams, PostParams, ValidationDirective};
use kube::core::{PartialObjectMeta, Request};
use kube::{Api, Error as Kube, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The field manager of everything that is applied.
const MANAGER: &str = "mcp-deploy";
/// The version of no object: what is there has another, so an apply at this one makes, or conflicts.
const VERSION_OF_NOTHING: &str = "1";
/// Asks for the metadata of what was written, and no more of it (Kubernetes API concepts, "Resource representations").
const METADATA: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// How an object is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Where there is anything of the name, that is a conflict.
    Anew,
    /// Our fields are ours.
    ByForce,
    /// By force or not as it would be, and nothing is kept.
    DryRun { force: bool },
}

/// Applies an object, and tells what it is then.
pub(crate) async fn apply<K>(kind: &Api<K>, name: &str, object: &impl Serialize, how: How) -> Result<K>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug,
{
    let request = apply_request(kind, name, object, how)?;
    kind.clone().into_client().request(request).await
}

/// Applies an object, and tells its metadata alone, which costs the API server less.
pub(crate) async fn apply_briefly<K>(
    kind: &Api<K>,
    name: &str,
    object: &impl Serialize,
    how: How,
) -> Result<PartialObjectMeta<K>>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug,
{
    let mut request = apply_request(kind, name, object, how)?;
    request.headers_mut().insert(ACCEPT, METADATA);
    kind.clone().into_client().request(request).await
}

/// The API server reads the object as YAML, which takes some characters of JSON for line breaks and refuses others.
fn apply_request<K: kube::Resource>(
    kind: &Api<K>,
    name: &str,
    object: &impl Serialize,
    how: How,
) -> Result<http::Request<Vec<u8>>> {
    let params = PatchParams {
        dry_run: matches!(how, How::DryRun { .. }),
        force: matches!(how, How::ByForce | How::DryRun { force: true }),
        field_manager: Some(MANAGER.to_owned()),
        // The objects are typed: the API server need not read them once more for fields that it does not know.
        field_validation: Some(ValidationDirective::Ignore),
    };
    let mut object = serde_json::to_value(object).map_err(Kube::SerdeError)?;
    if how == How::Anew {
        object["metadata"]["resourceVersion"] = VERSION_OF_NOTHING.into();
    }
    let request = Request::new(kind.resource_url());
    let request = request.patch(name, &params, &Patch::Apply(&object)).map_err(Kube::BuildRequest)?;
    Ok(request.map(|body| yaml(&String::from_utf8_lossy(&body)).into_bytes()))
}

/// Creates an object; where there is anything of the name, that is a conflict.
pub(crate) async fn create<K>(kind: &Api<K>, object: &impl Serialize, dry_run: bool) -> Result<()>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug,
{
    let params = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
    let object = serde_json::to_vec(object).map_err(Kube::SerdeError)?;
    let request = Request::new(kind.resource_url()).create(&params, object);
    let mut request = request.map_err(Kube::BuildRequest)?;
    request.headers_mut().insert(ACCEPT, METADATA);
    kind.clone().into_client().request::<PartialObjectMeta<K>>(request).await.map(drop)
}

/// Merges a patch into an object (RFC 7396). What it takes away is nobody's afterwards, but what it sets would stay
/// when it is left out of what is applied: it is for taking away, and for objects that nothing is applied to.
pub(crate) async fn merge<K>(kind: &Api<K>, name: &str, patch: &Value) -> Result<K>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug,
{
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    kind.patch(name, &params, &Patch::Merge(patch)).await
}

/// Removes what somebody else has added to an object, at the version at which it was read (RFC 6902). What is
/// removed is nobody's: applying alone would leave it to whoever added it.
pub(crate) async fn remove_added<K>(kind: &Api<K>, name: &str, version: &str, added: &[&str]) -> Result<K>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug,
{
    let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": version});
    // From the end, so that the places in a list stay what they are.
    let removals = added.iter().rev().map(|pointer| json!({"op": "remove", "path": pointer}));
    let patch: Vec<Value> = [test].into_iter().chain(removals).collect();
    let request = http::Request::patch(format!("{}/{name}?fieldManager={MANAGER}", kind.resource_url()))
        .header(CONTENT_TYPE, "application/json-patch+json")
        .body(serde_json::to_vec(&patch).map_err(Kube::SerdeError)?)
        .map_err(Kube::HttpError)?;
    kind.clone().into_client().request(request).await
}

/// JSON that says the same in YAML: of what YAML 1.1 does not take as it is, the Go library of the API server knows
/// escapes of four digits, and no pairs of them.
fn yaml(json: &str) -> String {
    let mut yaml = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                write!(yaml, "\\u{:04x}", u32::from(c)).expect("writing to a String does not fail");
            }
            c => yaml.push(c),
        }
    }
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_does_not_take_is_escaped_and_says_the_same() {
        let text = "grüße, 世界, 🦀, \u{202e}, \u{7f}, \u{85}, \u{2028}, \u{feff}, \"quoted\\\"";
        let yaml = yaml(&serde_json::to_string(text).unwrap());
        assert!(!yaml.contains(['\u{7f}', '\u{85}', '\u{2028}', '\u{feff}']), "{yaml}");
        assert_eq!(serde_json::from_str::<String>(&yaml).unwrap(), text);
    }
}
