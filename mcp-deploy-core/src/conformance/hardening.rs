//! Hardening, as the server itself sees it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::site::Site;
use super::{Behaviour, CaseResult, Fixture, ensure};
use crate::{AccessMode, BoxError, Connection, Request, Volume, probe};

/// The answer of a tool, or why it was refused.
async fn ask(
    connection: &Connection,
    tool: &str,
    arguments: &[(&str, &str)],
) -> Result<Result<Value, String>, BoxError> {
    let arguments: Map<String, Value> =
        arguments.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let answer = probe::call_tool(connection.url(), tool, arguments, Duration::from_secs(30)).await?;
    let text = answer.text.concat();
    if answer.is_error {
        return Ok(Err(text));
    }
    Ok(Ok(serde_json::from_str(&text)?))
}

/// No capability, no way to get one, a filter of system calls, and a user that is not root.
pub async fn a_server_runs_without_privileges(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (spec, deployment) = site.deployed(Behaviour::Explores).await?;
    ensure!(deployment.relaxations.is_empty(), "it is relaxed: {:?}", deployment.relaxations);
    let connection = site.backend.connect(&spec.name).await?;
    let status = ask(&connection, "read", &[("path", "/proc/self/status")]).await??;
    let status = status["text"].as_str().unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        ensure!(field(set).chars().all(|digit| digit == '0'), "{set} is {}", field(set));
    }
    ensure!(field("NoNewPrivs") == "1", "NoNewPrivs is {}", field("NoNewPrivs"));
    ensure!(field("Seccomp") == "2", "Seccomp is {}", field("Seccomp"));
    ensure!(field("Uid") == "1000 1000 1000 1000", "the user is {}", field("Uid"));
    site.remove(&spec.name).await
}

/// The root is read-only; `/tmp`, `HOME` and named volumes are not.
pub async fn a_server_writes_where_it_may_and_nowhere_else(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let mut spec = site.spec(Behaviour::Explores, Request::default())?;
    let mut writable = vec!["/tmp".to_owned()];
    if site.backend.capabilities().volumes {
        // The image has no such directory.
        let path = "/var/lib/t-case".to_owned();
        writable.push(path.clone());
        spec.volumes.push(Volume {
            name: "data".to_owned(),
            path,
            size: None,
            access_mode: AccessMode::default(),
            storage_class: None,
        });
    }
    site.deploy(&spec).await?;
    let connection = site.backend.connect(&spec.name).await?;
    let environ = ask(&connection, "read", &[("path", "/proc/self/environ")]).await??;
    let environ = environ["text"].as_str().unwrap_or_default().to_owned();
    let home =
        environ.split('\0').find_map(|variable| variable.strip_prefix("HOME=")).ok_or("there is no HOME")?;
    writable.push(home.to_owned());
    for directory in writable {
        let path = format!("{}/t-case", directory.trim_end_matches('/'));
        let written = ask(&connection, "write", &[("path", &path), ("text", "here")]).await?;
        ensure!(written.is_ok(), "{path} is not writable: {written:?}");
    }
    let written = ask(&connection, "write", &[("path", "/t-case"), ("text", "here")]).await?;
    ensure!(written.is_err(), "the root is writable");
    site.remove(&spec.name).await
}

/// What a template takes back it gets, and it is told.
pub async fn a_relaxation_is_granted_and_told(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let mut spec = site.spec(Behaviour::Explores, Request::default())?;
    spec.security.read_only_root = false;
    let deployment = site.deploy(&spec).await?.deployment;
    ensure!(
        deployment.relaxations == [crate::Relaxation::ReadOnlyRoot],
        "told: {:?}",
        deployment.relaxations
    );
    let connection = site.backend.connect(&spec.name).await?;
    let mounts = ask(&connection, "read", &[("path", "/proc/self/mounts")]).await??;
    let mounts = mounts["text"].as_str().unwrap_or_default().to_owned();
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap_or_default();
    let options = root.split(' ').nth(3).unwrap_or_default();
    ensure!(options.split(',').any(|option| option == "rw"), "the root is mounted {options}");
    site.remove(&spec.name).await
}

/// A server that is refused what it needs says so in its log, and the failure says which field grants it.
pub async fn a_server_that_needs_a_writable_root_gets_the_hint(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let spec = site.spec(Behaviour::WritesToTheRoot, Request::default())?;
    let outcome = site.deploy(&spec).await;
    let Err(crate::Error::Failed { failure, .. }) = &outcome else {
        return Err(format!("it ended with {outcome:?}").into());
    };
    let hint = failure.hint.as_deref().unwrap_or_default();
    ensure!(hint.contains("read_only_root"), "the hint is `{hint}`, the log {:?}", failure.log_tail);
    site.remove(&spec.name).await
}
