//! The program's settings: flags, environment, file, defaults; in that order.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use mcp_deploy_core::{Error, Result, Settings};

use crate::args::GlobalOptions;

/// The variable that names the settings file.
pub(crate) const SETTINGS_VARIABLE: &str = "MCP_SETTINGS";
/// Our directory in the user's ones.
const DIRECTORY: &str = "mcp-deploy";

/// The settings. A file that is named has to be there; the one in the user's config directory need not.
///
/// # Errors
///
/// [`Error::Invalid`], with the file and the line, or the variable, that is wrong.
pub(crate) fn load(global: &GlobalOptions) -> Result<Settings> {
    let user = etcetera::choose_base_strategy().ok();
    let mut settings = match (named(global.settings.as_deref()), user.as_ref().map(usual_file)) {
        (Some(file), _) => read(&file)?,
        (None, Some(file)) if file.exists() => read(&file)?,
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

/// Relative paths in a settings file start where the file is.
fn read(file: &Path) -> Result<Settings> {
    let text = fs::read_to_string(file).map_err(|error| {
        Error::invalid("", format!("the settings file `{}` cannot be read: {error}", file.display()))
    })?;
    let mut settings = parse(&text, file)?;
    let directory = file.parent().unwrap_or(Path::new(""));
    for path in
        settings.templates.iter_mut().chain(&mut settings.mock.state).chain(&mut settings.http.tokens_file)
    {
        *path = directory.join(&path);
    }
    Ok(settings)
}

fn parse(text: &str, file: &Path) -> Result<Settings> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Error::invalid("", format!("{}:{line}: {}", file.display(), error.message()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_and_the_line() {
        let file = Path::new("mcp-deploy.toml");
        let message = |text| parse(text, file).unwrap_err().to_string();
        let unknown = message("backend = 'mock'\nbackedn = 'mock'\n");
        assert!(unknown.starts_with("mcp-deploy.toml:2: unknown field `backedn`"), "{unknown}");
        let broken = message("\n\nbackend = \n");
        assert!(broken.starts_with("mcp-deploy.toml:3: "), "{broken}");
    }

    #[test]
    fn paths_in_a_file_start_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("settings.toml");
        fs::write(&file, "templates = ['mine', '/opt/theirs']\n").unwrap();
        let settings = read(&file).unwrap();
        assert_eq!(settings.templates, [directory.path().join("mine"), PathBuf::from("/opt/theirs")]);
    }
}
