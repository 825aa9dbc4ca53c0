//! Image references, kept exactly as they were written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A reference to a container image: `[registry[:port]/]repository[:tag][@digest]`.
///
/// It is checked by the grammar of the OCI distribution specification and kept byte for byte: no registry,
/// tag or `library/` is put in that the author did not write.
///
/// ```
/// use mcp_deploy_core::ImageRef;
///
/// let image: ImageRef = "localhost:5000/team/demo:1.2".parse()?;
/// assert_eq!(image.tag(), Some("1.2"));
/// assert_eq!(image.with_tag("1.3")?.as_str(), "localhost:5000/team/demo:1.3");
/// # Ok::<(), mcp_deploy_core::ImageError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    written: String,
}

impl ImageRef {
    /// The reference as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The registry, where one was written; an image without one comes from Docker Hub.
    pub fn registry(&self) -> Option<&str> {
        let (name, _, _) = split(&self.written);
        split_registry(name).0
    }

    /// Whether its content is meant to change: the tag is `latest`, or there is neither tag nor digest.
    pub fn is_latest(&self) -> bool {
        self.digest().is_none() && self.tag().is_none_or(|tag| tag == "latest")
    }

    /// The tag, where one was written.
    pub fn tag(&self) -> Option<&str> {
        let (_, tag, _) = split(&self.written);
        tag
    }

    /// The digest (`sha256:…`), where one was written.
    pub fn digest(&self) -> Option<&str> {
        let (_, _, digest) = split(&self.written);
        digest
    }

    /// The same image with another tag; a digest, which would win over the tag, is dropped.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ImageError> {
        let (name, _, _) = split(&self.written);
        format!("{name}:{tag}").parse()
    }
}

/// The name, the tag and the digest of a reference.
fn split(written: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = match written.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (written, None),
    };
    // A colon before the last slash belongs to the registry's port.
    let path = rest.rfind('/').map_or(0, |slash| slash + 1);
    match rest[path..].rfind(':') {
        Some(colon) => (&rest[..path + colon], Some(&rest[path + colon + 1..]), digest),
        None => (rest, None, digest),
    }
}

/// Why a text is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{image}` is no image reference: {reason}")]
pub struct ImageError {
    image: String,
    reason: String,
}

impl TryFrom<String> for ImageRef {
    type Error = ImageError;

    fn try_from(written: String) -> Result<Self, ImageError> {
        match reason_against(&written) {
            None => Ok(Self { written }),
            Some(reason) => Err(ImageError { image: written, reason }),
        }
    }
}

fn reason_against(written: &str) -> Option<String> {
    if written.is_empty() {
        return Some("it is empty".to_owned());
    }
    if let Some(c) = written.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Some(format!("it contains `{}`", c.escape_debug()));
    }
    let (name, tag, digest) = split(written);
    if tag == Some("") {
        return Some("the tag after `:` is empty".to_owned());
    }
    if let Some(digest) = digest
        && let Some(reason) = digest_reason(digest)
    {
        return Some(reason);
    }
    if let Some(tag) = tag
        && let Some(reason) = tag_reason(tag)
    {
        return Some(reason);
    }
    let (registry, repository) = split_registry(name);
    registry.and_then(registry_reason).or_else(|| repository_reason(repository))
}

/// The registry and the repository: the first part is a registry only when it holds a dot or a port, or is
/// `localhost`.
fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((registry, path)) if registry.contains(['.', ':']) || registry == "localhost" => {
            (Some(registry), path)
        }
        _ => (None, name),
    }
}

/// A host name or an address, and maybe a port.
fn registry_reason(registry: &str) -> Option<String> {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if !is_address && !host.split('.').all(is_label) {
        return Some(format!("the registry `{host}` is no host name"));
    }
    let port =
        port.filter(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) || port.len() > 5)?;
    Some(format!("the registry's port `{port}` is no number"))
}

/// Parts of `a-z 0-9` with `.`, `_`, `__` or dashes between them, joined by `/`.
fn repository_reason(repository: &str) -> Option<String> {
    const LONGEST: usize = 255;
    if repository.len() > LONGEST {
        return Some(format!(
            "the repository has {} characters, and at most {LONGEST} fit",
            repository.len()
        ));
    }
    if repository.chars().any(|c| c.is_ascii_uppercase()) {
        return Some(format!("the repository `{repository}` may contain no capitals"));
    }
    let is_separator = |run: &str| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-');
    let is_part = |part: &str| {
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let mut runs = part.split(is_inner).filter(|run| !run.is_empty());
        part.starts_with(is_inner) && part.ends_with(is_inner) && runs.all(is_separator)
    };
    if repository.split('/').all(is_part) {
        return None;
    }
    Some(format!(
        "the repository `{repository}` has to be of `a-z 0-9`, with single `.`, `_`, `-` or `/` between them"
    ))
}

fn tag_reason(tag: &str) -> Option<String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let well_formed = tag.len() <= 128 && tag.chars().all(inner) && !tag.starts_with(['.', '-']);
    (!well_formed)
        .then(|| format!("the tag `{tag}` has to be of at most 128 letters, digits, `_`, `.` and `-`"))
}

fn digest_reason(digest: &str) -> Option<String> {
    let Some((algorithm, hex)) = digest.split_once(':') else {
        return Some(format!("the digest `{digest}` has no algorithm, as in `sha256:…`"));
    };
    let expected = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => {
            return Some(format!("the digest algorithm `{algorithm}` is none of sha256, sha384, sha512"));
        }
    };
    let well_formed = hex.len() == expected && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (!well_formed).then(|| format!("a {algorithm} digest has {expected} lower-case hexadecimal digits"))
}

impl FromStr for ImageRef {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.written)
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> Self {
        image.written
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:3b0a1c6f2f0c9a7d8e5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a3928170605";

    #[test]
    fn good_references_are_kept_exactly() {
        let with_digest = format!("ghcr.io/team/demo@{DIGEST}");
        let with_both = format!("reg.example:5000/a/b:v1@{DIGEST}");
        for (text, tag, digest) in [
            ("demo", None, None),
            ("library/demo:1.0", Some("1.0"), None),
            ("a__b/c--d.e_f", None, None),
            ("[::1]:5000/demo:x", Some("x"), None),
            ("localhost:5000/demo", None, None),
            ("localhost:5000/demo:latest", Some("latest"), None),
            (with_digest.as_str(), None, Some(DIGEST)),
            (with_both.as_str(), Some("v1"), Some(DIGEST)),
        ] {
            let image: ImageRef = text.parse().unwrap();
            assert_eq!((image.as_str(), image.tag(), image.digest()), (text, tag, digest));
        }
    }

    #[test]
    fn bad_references_say_what_is_wrong() {
        let complaint = |text: &str| text.parse::<ImageRef>().unwrap_err().to_string();
        insta::assert_snapshot!(complaint("a b"), @"`a b` is no image reference: it contains ` `");
        insta::assert_snapshot!(complaint("UPPER/x"), @"`UPPER/x` is no image reference: the repository `UPPER/x` may contain no capitals");
        insta::assert_snapshot!(complaint("x:"), @"`x:` is no image reference: the tag after `:` is empty");
        insta::assert_snapshot!(complaint("x@sha256:short"), @"`x@sha256:short` is no image reference: a sha256 digest has 64 lower-case hexadecimal digits");
        insta::assert_snapshot!(complaint(""), @"`` is no image reference: it is empty");
        insta::assert_snapshot!(complaint("a//b"), @"`a//b` is no image reference: the repository `a//b` has to be of `a-z 0-9`, with single `.`, `_`, `-` or `/` between them");
        insta::assert_snapshot!(complaint("-a"), @"`-a` is no image reference: the repository `-a` has to be of `a-z 0-9`, with single `.`, `_`, `-` or `/` between them");
        insta::assert_snapshot!(complaint("a...b"), @"`a...b` is no image reference: the repository `a...b` has to be of `a-z 0-9`, with single `.`, `_`, `-` or `/` between them");
        insta::assert_snapshot!(complaint("host..name/x"), @"`host..name/x` is no image reference: the registry `host..name` is no host name");
        insta::assert_snapshot!(complaint("host:80a/x"), @"`host:80a/x` is no image reference: the registry's port `80a` is no number");
        insta::assert_snapshot!(complaint("x:-tag"), @"`x:-tag` is no image reference: the tag `-tag` has to be of at most 128 letters, digits, `_`, `.` and `-`");
        insta::assert_snapshot!(complaint("größe"), @"`größe` is no image reference: the repository `größe` has to be of `a-z 0-9`, with single `.`, `_`, `-` or `/` between them");
        insta::assert_snapshot!(complaint("x@md5:ab"), @"`x@md5:ab` is no image reference: the digest algorithm `md5` is none of sha256, sha384, sha512");
    }

    proptest! {
        #[test]
        fn nothing_that_parses_changes_or_holds_a_space(text in "\\PC{0,40}") {
            if let Ok(image) = text.parse::<ImageRef>() {
                prop_assert_eq!(image.as_str(), &text);
                prop_assert!(!text.contains(char::is_whitespace));
            }
        }

        #[test]
        fn the_parts_of_a_reference_come_back(
            registry in "([a-z]{1,8}\\.io/|localhost:[1-9][0-9]{3}/)?",
            repository in "[a-z0-9]{1,8}(/[a-z0-9]{1,8})?",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        ) {
            let name = format!("{registry}{repository}");
            let text = tag.as_ref().map_or_else(|| name.clone(), |tag| format!("{name}:{tag}"));
            let image: ImageRef = text.parse().unwrap();
            prop_assert_eq!(image.tag(), tag.as_deref());
            let retagged = image.with_tag("next").unwrap();
            prop_assert_eq!(retagged.as_str(), format!("{name}:next"));
        }
    }
}
