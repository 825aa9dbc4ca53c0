//! Docker's own configuration of a user: the current context, and where logins are kept.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mcp_deploy_core::{DockerSettings, Error, Result};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The file `config.json`, as far as we read it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ClientConfig {
    pub(crate) current_context: Option<String>,
    /// Logins by registry.
    pub(crate) auths: HashMap<String, Login>,
    /// The helper that keeps all logins.
    pub(crate) creds_store: Option<String>,
    /// Helpers that keep the logins of one registry.
    pub(crate) cred_helpers: HashMap<String, String>,
}

/// A login as the file keeps it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "lowercase")]
pub(crate) struct Login {
    /// User and password, in base64.
    pub(crate) auth: SecretString,
    pub(crate) identitytoken: Option<SecretString>,
}

impl ClientConfig {
    /// Where Docker keeps its own configuration.
    pub(crate) fn directory(settings: &DockerSettings) -> Option<PathBuf> {
        settings.config.clone().or_else(|| Some(std::env::home_dir()?.join(".docker")))
    }

    /// Reads it; where there is none, nothing is configured.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where it cannot be read.
    pub(crate) fn read(settings: &DockerSettings) -> Result<Self> {
        match Self::directory(settings) {
            Some(directory) => Ok(read_json(&directory.join("config.json"))?.unwrap_or_default()),
            None => Ok(Self::default()),
        }
    }
}

/// A context of Docker's own command line: a daemon with a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) host: String,
    /// The directory of its certificates, where it has some.
    pub(crate) certificates: Option<PathBuf>,
}

/// The file `meta.json` of a context.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ContextFile {
    name: String,
    endpoints: Endpoints,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Endpoint {
    host: String,
    #[serde(rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

impl Context {
    /// The context of a name.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where there is none, or where it asks for TLS without verification.
    pub(crate) fn find(settings: &DockerSettings, name: &str) -> Result<Self> {
        let directory = ClientConfig::directory(settings).unwrap_or_default().join("contexts");
        let entries = fs::read_dir(directory.join("meta")).into_iter().flatten().flatten();
        for entry in entries {
            let Some(ContextFile { name: found, endpoints }) = read_json(&entry.path().join("meta.json"))?
            else {
                continue;
            };
            if found != name {
                continue;
            }
            let Endpoint { host, skip_tls_verify } = endpoints.docker;
            if skip_tls_verify {
                let problem = format!("the Docker context `{name}` asks for TLS without verification");
                return Err(Error::invalid("", problem));
            }
            let certificates = directory.join("tls").join(entry.file_name()).join("docker");
            let certificates = Some(certificates).filter(|directory| directory.is_dir());
            return Ok(Self { host, certificates });
        }
        let problem = format!("there is no Docker context `{name}` in `{}`", directory.display());
        Err(Error::invalid("", problem))
    }
}

/// A JSON file, where it is there.
fn read_json<T: DeserializeOwned>(file: &Path) -> Result<Option<T>> {
    let unreadable = |error: &dyn std::error::Error| {
        let problem = format!("Docker's own configuration `{}` cannot be read: {error}", file.display());
        Error::invalid("", problem)
    };
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
    };
    serde_json::from_str(&text).map(Some).map_err(|error| unreadable(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(directory: &Path) -> DockerSettings {
        DockerSettings { config: Some(directory.to_owned()), ..DockerSettings::default() }
    }

    fn write(file: &Path, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn a_context_is_found_by_its_name_with_its_certificates() {
        let home = tempfile::tempdir().unwrap();
        let meta = |id: &str| home.path().join("contexts/meta").join(id).join("meta.json");
        write(&meta("1a"), r#"{"Name": "near", "Endpoints": {"docker": {"Host": "unix:///near.sock"}}}"#);
        write(
            &meta("2b"),
            r#"{"Name": "far", "Metadata": {}, "Endpoints": {"docker": {"Host": "tcp://far:2376", "SkipTLSVerify": false}}}"#,
        );
        write(&meta("3c"), r#"{"Name": "lax", "Endpoints": {"docker": {"SkipTLSVerify": true}}}"#);
        let certificates = home.path().join("contexts/tls/2b/docker");
        write(&certificates.join("ca.pem"), "");
        let find = |name| Context::find(&settings(home.path()), name);
        let near = Context { host: "unix:///near.sock".to_owned(), certificates: None };
        assert_eq!(find("near").unwrap(), near);
        assert_eq!(find("far").unwrap().certificates, Some(certificates));
        assert!(find("lax").unwrap_err().to_string().contains("without verification"));
        assert!(find("none").unwrap_err().to_string().contains("no Docker context `none`"));
    }

    #[test]
    fn a_configuration_that_is_broken_says_so_and_one_that_is_missing_is_empty() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(ClientConfig::read(&settings(home.path())).unwrap().current_context, None);
        write(&home.path().join("config.json"), r#"{"currentContext": "far", "unknown": 1}"#);
        let read = ClientConfig::read(&settings(home.path())).unwrap();
        assert_eq!(read.current_context.as_deref(), Some("far"));
        write(&home.path().join("config.json"), "{");
        let error = ClientConfig::read(&settings(home.path())).unwrap_err();
        assert!(error.to_string().contains("config.json` cannot be read"), "{error}");
    }
}
