//! Names that are valid wherever they are used: as a container, a Service, a label.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::count;

/// The letters of a derived suffix: no vowels, so no words, and no digit that reads like a letter.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// Of one that has to tell the keys of all callers apart.
const DIGEST_SUFFIX_LENGTH: usize = 10;

/// The name of a deployment: 2 to 50 characters of `a-z 0-9 -`, a letter first, a letter or digit last.
///
/// Such a name is a valid RFC 1035 label, so it *is* the container name on Docker and the name of the
/// Deployment and the Service on Kubernetes; 50 characters leave room for what a platform appends.
/// `events` is reserved.
///
/// ```
/// use mcp_deploy_core::DeploymentName;
///
/// let name: DeploymentName = "demo-x7k2q".parse()?;
/// assert_eq!(name.as_str(), "demo-x7k2q");
/// assert!("Demo.1".parse::<DeploymentName>().is_err());
/// # Ok::<(), mcp_deploy_core::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "utoipa",
    derive(utoipa::ToSchema),
    schema(min_length = 2, max_length = 50, pattern = "^(?!events$)[a-z][a-z0-9-]*[a-z0-9]$")
)]
#[serde(try_from = "String", into = "String")]
pub struct DeploymentName(String);

impl DeploymentName {
    /// The fewest characters of a name.
    pub const MIN_LENGTH: usize = 2;
    /// The most characters of a name.
    pub const MAX_LENGTH: usize = 50;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A new name for a deployment of `template`: the template's id, cut where needed, and a random suffix
    /// of 5 characters.
    pub fn derived_from(template: &TemplateId) -> Self {
        Self::with_suffix(template.as_str(), random_places())
    }

    /// A new name for a trial of `template`, told from those of other deployments by its beginning, `test-`.
    pub fn for_test(template: &TemplateId) -> Self {
        Self::with_suffix(&format!("test-{template}"), random_places())
    }

    /// The name that belongs to a digest, of a key of the caller's: the same each time, with a suffix of a
    /// character for each of the digest's first 10 bytes.
    pub fn derived_from_digest(template: &TemplateId, digest: &[u8; 32]) -> Self {
        let template = template.as_str();
        Self::with_suffix(template, digest.iter().take(DIGEST_SUFFIX_LENGTH).map(|byte| usize::from(*byte)))
    }

    /// The suffix is of places in the alphabet, counted round.
    fn with_suffix(stem: &str, places: impl Iterator<Item = usize>) -> Self {
        let suffix: String =
            places.map(|place| char::from(SUFFIX_ALPHABET[place % SUFFIX_ALPHABET.len()])).collect();
        let room = Self::MAX_LENGTH - suffix.len() - 1;
        let stem = stem[..stem.len().min(room)].trim_end_matches('-');
        Self(format!("{stem}-{suffix}"))
    }
}

/// The places of a random suffix in its alphabet.
fn random_places() -> impl Iterator<Item = usize> {
    (0..SUFFIX_LENGTH).map(|_| fastrand::usize(..SUFFIX_ALPHABET.len()))
}

/// The id of a template: 2 to 63 characters of `a-z 0-9 -`, a letter first, a letter or digit last.
///
/// `deploy`, `deployments` and `validate` are reserved: they are words of the HTTP API's paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "utoipa",
    derive(utoipa::ToSchema),
    schema(
        min_length = 2,
        max_length = 63,
        pattern = "^(?!(deploy|deployments|validate)$)[a-z][a-z0-9-]*[a-z0-9]$"
    )
)]
#[serde(try_from = "String", into = "String")]
pub struct TemplateId(String);

impl TemplateId {
    /// The fewest characters of an id.
    pub const MIN_LENGTH: usize = 2;
    /// The most characters of an id; it is the value of a label, which has no room for more.
    pub const MAX_LENGTH: usize = 63;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no name: every rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no valid name: it {}", .broken.join(", it "))]
pub struct NameError {
    name: String,
    broken: Vec<String>,
}

impl NameError {
    /// The rules that are broken, each as a phrase that follows "it".
    pub fn broken_rules(&self) -> &[String] {
        &self.broken
    }
}

fn check(name: String, min: usize, max: usize, reserved: &[&str]) -> Result<String, NameError> {
    let mut broken = Vec::new();
    let length = name.chars().count();
    if length < min || max < length {
        broken.push(format!("has {} and needs {min} to {max}", count(length as u64, "character")));
    }
    let mut strange: Vec<char> = Vec::new();
    for c in name.chars() {
        if !matches!(c, 'a'..='z' | '0'..='9' | '-') && !strange.contains(&c) {
            strange.push(c);
        }
    }
    if !strange.is_empty() {
        let list: Vec<String> = strange.iter().take(5).map(|c| format!("`{}`", c.escape_debug())).collect();
        broken.push(format!("contains {} where only `a-z`, `0-9` and `-` are allowed", list.join(" ")));
    }
    if name.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        broken.push("does not begin with a letter".to_owned());
    }
    if name.ends_with('-') {
        broken.push("does not end with a letter or a digit".to_owned());
    }
    if reserved.contains(&name.as_str()) {
        broken.push("is reserved".to_owned());
    }
    if broken.is_empty() { Ok(name) } else { Err(NameError { name, broken }) }
}

impl TryFrom<String> for DeploymentName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        check(name, Self::MIN_LENGTH, Self::MAX_LENGTH, &["events"]).map(Self)
    }
}

impl TryFrom<String> for TemplateId {
    type Error = NameError;

    fn try_from(id: String) -> Result<Self, NameError> {
        check(id, Self::MIN_LENGTH, Self::MAX_LENGTH, &["deploy", "deployments", "validate"]).map(Self)
    }
}

macro_rules! text_newtype {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

text_newtype!(DeploymentName);
text_newtype!(TemplateId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complaint(name: &str) -> String {
        name.parse::<DeploymentName>().unwrap_err().to_string()
    }

    #[test]
    fn a_bad_name_is_refused_with_every_rule_that_it_breaks() {
        insta::assert_snapshot!(complaint("Demo.One"), @"`Demo.One` is no valid name: it contains `D` `.` `O` where only `a-z`, `0-9` and `-` are allowed");
        insta::assert_snapshot!(complaint("1demo"), @"`1demo` is no valid name: it does not begin with a letter");
        insta::assert_snapshot!(complaint("a"), @"`a` is no valid name: it has 1 character and needs 2 to 50");
        insta::assert_snapshot!(complaint("größe"), @"`größe` is no valid name: it contains `ö` `ß` where only `a-z`, `0-9` and `-` are allowed");
        insta::assert_snapshot!(complaint("-A-"), @"`-A-` is no valid name: it contains `A` where only `a-z`, `0-9` and `-` are allowed, it does not begin with a letter, it does not end with a letter or a digit");
        insta::assert_snapshot!(complaint("events"), @"`events` is no valid name: it is reserved");
        assert!(complaint(&"x".repeat(51)).contains("has 51 characters and needs 2 to 50"));
        assert!(complaint(&"x".repeat(64)).contains("has 64 characters"));
    }

    #[test]
    fn a_template_id_is_no_word_of_the_http_paths() {
        for id in ["deploy", "deployments", "validate"] {
            assert!(id.parse::<TemplateId>().is_err(), "{id}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_is_a_label_and_prints_as_it_was_written(text in "\\PC{0,60}") {
            if let Ok(name) = text.parse::<DeploymentName>() {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.len() >= 2 && text.len() <= 50);
                prop_assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                prop_assert!(text.as_bytes()[0].is_ascii_lowercase() && !text.ends_with('-'));
            }
        }

        #[test]
        fn every_well_formed_text_parses(text in "[a-z][a-z0-9-]{0,48}[a-z0-9]") {
            prop_assume!(text != "events");
            prop_assert!(text.parse::<DeploymentName>().is_ok());
        }

        #[test]
        fn a_derived_name_is_valid_and_keeps_the_stem(id in "[a-z][a-z0-9-]{0,61}[a-z0-9]") {
            let Ok(id) = id.parse::<TemplateId>() else { return Ok(()) };
            let name = DeploymentName::derived_from(&id);
            prop_assert_eq!(name.as_str().parse::<DeploymentName>().unwrap(), name.clone());
            let (stem, suffix) = name.as_str().rsplit_once('-').unwrap();
            prop_assert!(id.as_str().starts_with(stem));
            prop_assert_eq!(suffix.len(), 5);
        }

        #[test]
        fn the_name_of_a_trial_is_valid_and_says_what_it_is(id in "[a-z][a-z0-9-]{0,61}[a-z0-9]") {
            let Ok(id) = id.parse::<TemplateId>() else { return Ok(()) };
            let name = DeploymentName::for_test(&id);
            prop_assert_eq!(name.as_str().parse::<DeploymentName>().unwrap(), name.clone());
            let stem = name.as_str().rsplit_once('-').unwrap().0.strip_prefix("test-").unwrap();
            prop_assert!(id.as_str().starts_with(stem));
        }
    }
}
