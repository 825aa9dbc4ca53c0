//! How a server's image is had, and how its process is kept: restarted, hardened.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// When an image is pulled: at a deploy that changes something, and at a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PullPolicy {
    /// Each time.
    Always,
    /// When the platform does not have it.
    Missing,
    /// Never: it has to be there.
    Never,
}

impl PullPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Always, Self::Missing, Self::Never];

    /// The word, as it stands in templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Missing => "missing",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What happens when the server's process ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// It is started again, also after a restart of the platform.
    #[default]
    Always,
    /// It is started again when it ended with an error.
    OnFailure,
    /// It stays ended.
    Never,
}

impl RestartPolicy {
    /// The word, as it stands in templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// User, file system and capabilities; the default is the hardened one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Security {
    /// The user; default 1000.
    pub run_as_user: RunAsUser,
    /// Whether the root file system is read-only (`/tmp` and `HOME` are writable); default true.
    pub read_only_root: bool,
    /// Linux capabilities that are added to none.
    pub add_capabilities: Vec<String>,
}

impl Default for Security {
    fn default() -> Self {
        Self { run_as_user: RunAsUser::default(), read_only_root: true, add_capabilities: Vec::new() }
    }
}

impl Security {
    /// Which parts of the default hardening are taken back.
    pub fn relaxations(&self) -> Vec<Relaxation> {
        let Self { run_as_user, read_only_root, add_capabilities } = self;
        let mut relaxations = Vec::new();
        if matches!(run_as_user, RunAsUser::Image | RunAsUser::Id(0)) {
            relaxations.push(Relaxation::RunAsUser);
        }
        if !read_only_root {
            relaxations.push(Relaxation::ReadOnlyRoot);
        }
        if !add_capabilities.is_empty() {
            relaxations.push(Relaxation::AddCapabilities);
        }
        relaxations
    }
}

/// A part of the default hardening that a template takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Relaxation {
    /// It runs as root, or as whoever the image says.
    RunAsUser,
    /// Its root file system is writable.
    ReadOnlyRoot,
    /// It has Linux capabilities.
    AddCapabilities,
}

impl Relaxation {
    /// The word, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunAsUser => "run_as_user",
            Self::ReadOnlyRoot => "read_only_root",
            Self::AddCapabilities => "add_capabilities",
        }
    }
}

/// Who the server runs as: a number, or `image`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunAsUser {
    /// This user id.
    Id(u32),
    /// Whoever the image says.
    Image,
}

impl RunAsUser {
    /// The user id where a template says none.
    pub(crate) const DEFAULT_ID: u32 = 1000;
}

impl Default for RunAsUser {
    fn default() -> Self {
        Self::Id(Self::DEFAULT_ID)
    }
}

#[cfg(feature = "utoipa")]
impl utoipa::PartialSchema for RunAsUser {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ObjectBuilder, OneOfBuilder, Type};

        let id = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(u32::MAX));
        let image = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["image"]));
        let either = OneOfBuilder::new().item(id).item(image);
        either.description(Some("Who the server runs as: a number, or `image`.")).into()
    }
}

#[cfg(feature = "utoipa")]
impl utoipa::ToSchema for RunAsUser {}

impl Serialize for RunAsUser {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => serializer.serialize_u32(*id),
            Self::Image => serializer.serialize_str("image"),
        }
    }
}

impl<'de> Deserialize<'de> for RunAsUser {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == "image" => Ok(Self::Image),
            Value::Number(id) => match id.as_u64().map(u32::try_from) {
                Some(Ok(id)) => Ok(Self::Id(id)),
                _ => Err(de::Error::custom("`run_as_user` is a user id from 0 to 4294967295")),
            },
            _ => Err(de::Error::custom("`run_as_user` is a user id or `image`")),
        }
    }
}
