//! The program's settings: flags, environment, file, defaults; in that order.

use std::env;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use mcp_deploy_core::{Result, Settings};

use crate::args::GlobalOptions;

/// The variable that names the settings file.
pub(crate) const SETTINGS_VARIABLE: &str = "MCP_SETTINGS";
/// Our directory in the user's ones.
const DIRECTORY: &str = "mcp-deploy";

/// The settings. A file that is named has to be there; the one in the user's config directory need not.
///
/// # Errors
///
/// `Error::Invalid`, with the file and the line, or the variable, that is wrong.
pub(crate) fn load(global: &GlobalOptions) -> Result<Settings> {
    let user = etcetera::choose_base_strategy().ok();
    let mut settings = match (named(global.settings.as_deref()), user.as_ref().map(usual_file)) {
        (Some(file), _) => Settings::read(&file)?,
        (None, Some(file)) if file.exists() => Settings::read(&file)?,
        _ => Settings::default(),
    };
    settings.apply_environment(|name| env::var(name).ok())?;
    #[cfg(feature = "kubernetes")]
    {
        let GlobalOptions { context, namespace, .. } = global;
        let kubernetes = &mut settings.kubernetes;
        kubernetes.context = context.clone().or(kubernetes.context.take());
        kubernetes.namespace = namespace.clone().unwrap_or(std::mem::take(&mut kubernetes.namespace));
    }
    if let (None, Some(user)) = (&settings.templates_cache, &user) {
        settings.templates_cache = Some(user.cache_dir().join(DIRECTORY).join("templates"));
    }
    if let (None, Some(user)) = (&settings.mock.state, user) {
        let directory = user.state_dir().unwrap_or_else(|| user.data_dir());
        settings.mock.state = Some(directory.join(DIRECTORY).join("mock.json"));
    }
    Ok(settings)
}

fn named(flag: Option<&Path>) -> Option<PathBuf> {
    let variable = || env::var_os(SETTINGS_VARIABLE).filter(|file| !file.is_empty());
    flag.map(Path::to_owned).or_else(|| variable().map(PathBuf::from))
}

fn usual_file(user: &impl BaseStrategy) -> PathBuf {
    user.config_dir().join(DIRECTORY).join("mcp-deploy.toml")
}
