//! Logins for registries: those of the user's own Docker configuration and of its credential helpers.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bollard::auth::DockerCredentials;
use mcp_deploy_core::ImageRef;
use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::client_config::{ClientConfig, Login};

/// What Docker's configuration calls Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// How long a helper may take: a person may have to unlock a keychain.
const HELPER_PATIENCE: Duration = Duration::from_mins(1);
/// The user that a helper names where its secret is no password but a token.
const TOKEN_USER: &str = "<token>";

/// Why there is no login although one is configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("the credential helper `docker-credential-{helper}` cannot be run")]
    Run { helper: String, source: io::Error },
    #[error("the credential helper `docker-credential-{helper}` gave no answer within {} s", HELPER_PATIENCE.as_secs())]
    Mute { helper: String },
    #[error("the credential helper `docker-credential-{helper}` failed with {status}")]
    Failed { helper: String, status: std::process::ExitStatus },
    #[error("the answer of the credential helper `docker-credential-{helper}` is none")]
    Answer { helper: String },
    #[error(
        "the login for `{registry}` in Docker's configuration is none: it is not the base64 of `user:password`"
    )]
    Login { registry: String },
}

/// The user's login for the registry of an image, where there is one.
pub(crate) async fn of_image(
    config: &ClientConfig,
    image: &ImageRef,
) -> Result<Option<DockerCredentials>, CredentialError> {
    let registry = key(image);
    if let Some(helper) = config.cred_helpers.get(registry).or(config.creds_store.as_ref())
        && let Some(found) = ask(helper, &format!("docker-credential-{helper}"), registry).await?
    {
        return Ok(Some(found));
    }
    let same = |key: &str| key == registry || host(key) == registry;
    let login = config.auths.iter().find(|(key, _)| same(key)).map(|(_, login)| login);
    login.map_or(Ok(None), |login| of_file(registry, login))
}

/// What Docker's configuration calls the registry of an image.
pub(crate) fn key(image: &ImageRef) -> &str {
    match image.registry() {
        None | Some("docker.io" | "index.docker.io") => DOCKER_HUB,
        Some(registry) => registry,
    }
}

/// The host of a key as older versions wrote it: `https://registry.example/v1/`.
fn host(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn of_file(registry: &str, login: &Login) -> Result<Option<DockerCredentials>, CredentialError> {
    let Login { auth, identitytoken } = login;
    if let Some(token) = identitytoken {
        return Ok(Some(token_credentials(registry, token.expose_secret())));
    }
    if auth.expose_secret().is_empty() {
        return Ok(None);
    }
    let wrong = || CredentialError::Login { registry: registry.to_owned() };
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded =
        GeneralPurpose::new(&STANDARD, lenient).decode(auth.expose_secret()).map_err(|_| wrong())?;
    let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
    let (user, password) = decoded.split_once(':').ok_or_else(wrong)?;
    Ok(Some(password_credentials(registry, user, password.trim_end_matches('\0'))))
}

/// What a helper answers to `get`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks a helper, as <https://github.com/docker/docker-credential-helpers> describes it.
async fn ask(
    helper: &str,
    program: &str,
    registry: &str,
) -> Result<Option<DockerCredentials>, CredentialError> {
    let cannot_run = |source| CredentialError::Run { helper: helper.to_owned(), source };
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(cannot_run)?;
    let answered = async {
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that reads nothing says why by its exit.
            let _ = stdin.write_all(registry.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = match timeout(HELPER_PATIENCE, answered).await {
        Ok(output) => output.map_err(cannot_run)?,
        Err(_) => return Err(CredentialError::Mute { helper: helper.to_owned() }),
    };
    if !output.status.success() {
        if String::from_utf8_lossy(&output.stdout).contains("credentials not found") {
            return Ok(None);
        }
        return Err(CredentialError::Failed { helper: helper.to_owned(), status: output.status });
    }
    let Ok(Answer { username, secret }) = serde_json::from_slice(&output.stdout) else {
        return Err(CredentialError::Answer { helper: helper.to_owned() });
    };
    Ok(Some(match username.as_str() {
        TOKEN_USER => token_credentials(registry, &secret),
        user => password_credentials(registry, user, &secret),
    }))
}

fn token_credentials(registry: &str, token: &str) -> DockerCredentials {
    DockerCredentials {
        identitytoken: Some(token.to_owned()),
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    }
}

fn password_credentials(registry: &str, user: &str, password: &str) -> DockerCredentials {
    DockerCredentials {
        username: Some(user.to_owned()),
        password: Some(password.to_owned()),
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(config: &str, image: &str) -> Result<Option<DockerCredentials>, CredentialError> {
        of_image(&serde_json::from_str(config).unwrap(), &image.parse().unwrap()).await
    }

    #[tokio::test]
    async fn a_login_is_found_by_the_registry_of_the_image() {
        // `me:s3:cret`, with and without its padding.
        let config = r#"{"auths": {
            "localhost:5000": {"auth": "bWU6czM6Y3JldA=="},
            "https://old.example/v1/": {"auth": "bWU6czM6Y3JldA"},
            "https://index.docker.io/v1/": {"auth": "", "identitytoken": "t0ken"}
        }}"#;
        for image in ["localhost:5000/team/demo:1", "old.example/demo"] {
            let found = found(config, image).await.unwrap().unwrap();
            assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("me"), Some("s3:cret")));
        }
        for image in ["team/demo", "docker.io/team/demo", "index.docker.io/team/demo"] {
            let hub = found(config, image).await.unwrap().unwrap();
            assert_eq!(hub.identitytoken.as_deref(), Some("t0ken"), "{image}");
        }
        assert_eq!(found(config, "elsewhere.example/demo").await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_no_login_is_told_without_showing_it() {
        for auth in ["c4n4ry", "????c4n4ry"] {
            let config = format!(r#"{{"auths": {{"localhost:5000": {{"auth": "{auth}"}}}}}}"#);
            let error = found(&config, "localhost:5000/demo").await.unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(told.contains("localhost:5000") && !told.contains("c4n4ry"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_is_named() {
        let config = r#"{"credsStore": "that-nobody-has"}"#;
        let error = found(config, "localhost:5000/demo").await.unwrap_err();
        assert!(error.to_string().contains("`docker-credential-that-nobody-has` cannot be run"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_helper_is_asked_for_the_registry() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("docker-credential-test");
        let script = r#"#!/bin/sh
            [ "$1" = get ] || exit 9
            read -r registry || true
            case "$registry" in
                mine) echo '{"ServerURL": "mine", "Username": "me", "Secret": "s3cret"}' ;;
                token) echo '{"ServerURL": "token", "Username": "<token>", "Secret": "t0ken"}' ;;
                odd) echo 'c4n4ry' ;;
                broken) echo 'c4n4ry'; exit 7 ;;
                *) echo 'credentials not found in native keychain'; exit 1 ;;
            esac"#;
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = file.display().to_string();
        let ask = async |registry| ask("test", &program, registry).await;

        let found = ask("mine").await.unwrap().unwrap();
        assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("me"), Some("s3cret")));
        assert_eq!(ask("token").await.unwrap().unwrap().identitytoken.as_deref(), Some("t0ken"));
        assert_eq!(ask("theirs").await.unwrap(), None);
        for registry in ["odd", "broken"] {
            let error = ask(registry).await.unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(told.contains("test") && !told.contains("c4n4ry"), "{told}");
        }
    }
}
