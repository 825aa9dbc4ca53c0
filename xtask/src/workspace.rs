//! What `cargo metadata` says about this workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use xshell::{Shell, cmd};

/// The part of `cargo metadata --no-deps` that the commands need.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The members, in the order cargo gives them.
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// What the manifest names: normal, build and dev dependencies, for every platform.
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The package's own name, also where the manifest renames it.
    pub(crate) name: String,
}

impl Workspace {
    pub(crate) fn load(sh: &Shell) -> Result<Self> {
        let metadata = cmd!(sh, "cargo metadata --no-deps --format-version 1").read()?;
        Self::parse(&metadata)
    }

    pub(crate) fn parse(metadata: &str) -> Result<Self> {
        serde_json::from_str(metadata).context("reading the output of `cargo metadata`")
    }
}

/// The directory of the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies inside the workspace")
}
