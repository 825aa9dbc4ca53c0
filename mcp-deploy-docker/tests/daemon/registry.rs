//! Pulls from a real registry on the loopback interface.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{PushImageOptionsBuilder, RemoveImageOptionsBuilder};
use futures_util::StreamExt;
use mcp_deploy_core::{
    DeployOptions, DeploymentBackend, DeploymentSpec, DockerSettings, Error, Failure, FailureReason,
    Progress, Request,
};
use mcp_deploy_docker::DockerBackend;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::fixture::image::Content;
use crate::fixture::{Daemon, image};
use crate::site::{new_name, resolved};

pub(crate) const USER: &str = "me";
pub(crate) const PASSWORD: &str = "s3cret-c4n4ry";
/// The bcrypt of the password, which is the one kind that the registry knows.
const HASH: &str = "$2b$05$NGEkZZoAYkOWIyVXFeUpH.FFUgBaaCo6HCBfq3ZhEHV5Z2h7kbzcu";

/// A registry; it ends when it is dropped.
pub(crate) struct Registry {
    child: Child,
    pub(crate) host: String,
    _directory: TempDir,
}

impl Registry {
    pub(crate) async fn start(with_password: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let root = directory.path().display();
        let passwords = directory.path().join("htpasswd");
        fs::write(&passwords, format!("{USER}:{HASH}\n")).unwrap();
        let auth = if with_password {
            format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", passwords.display())
        } else {
            String::new()
        };
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root}/data}}}}\n\
             http: {{addr: '{host}'}}\n{auth}"
        );
        let file = directory.path().join("config.yml");
        fs::write(&file, config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { child, host, _directory: directory };
        for _ in 0..100 {
            if TcpStream::connect(&registry.host).is_ok() {
                return registry;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the registry does not listen");
    }

    /// Pushes an image of the mock server, of which then nothing is left on the daemon: no other image has its layer,
    /// so that a pull has something to bring.
    pub(crate) async fn with_image(&self, daemon: &Daemon, repository: &str, tag: &str) -> String {
        let name = format!("{}/{repository}", self.host);
        let pushed = format!("{name}:{tag}");
        let mark = tempfile::NamedTempFile::new().unwrap();
        fs::write(mark.path(), &pushed).unwrap();
        let content = [image::mock_server().unwrap(), Content { from: mark.path().to_owned(), to: "mark" }];
        image::import_of(&daemon.docker, &pushed, &content, &[]).await.unwrap();
        let login = DockerCredentials {
            username: Some(USER.to_owned()),
            password: Some(PASSWORD.to_owned()),
            ..DockerCredentials::default()
        };
        let options = PushImageOptionsBuilder::new().tag(tag).build();
        let mut steps = std::pin::pin!(daemon.docker.push_image(&name, Some(options), Some(login)));
        while let Some(step) = steps.next().await {
            step.unwrap();
        }
        forget(daemon, &pushed).await;
        pushed
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Removes a name of an image; the image itself stays where it has others.
pub(crate) async fn forget(daemon: &Daemon, image: &str) {
    let options = RemoveImageOptionsBuilder::new().build();
    let _ = daemon.docker.remove_image(image, Some(options), None).await;
}

fn with_image(image: &str) -> DeploymentSpec {
    resolved("well", json!({}), &Request::default().name(new_name().as_str()).image(image))
}

fn failure(outcome: Result<mcp_deploy_core::Deployment, Error>) -> Failure {
    match outcome {
        Err(Error::Failed { failure, .. }) => *failure,
        outcome => panic!("{outcome:?}"),
    }
}

pub(crate) async fn an_image_is_pulled_with_its_progress_told(daemon: &Daemon) {
    let registry = Registry::start(false).await;
    let pushed = registry.with_image(daemon, "team/demo", "1").await;
    let (sender, mut steps) = mpsc::unbounded_channel();
    let spec = with_image(&pushed);
    let options = DeployOptions { progress: Some(sender), ..DeployOptions::default() };
    daemon.backend.deploy(&spec, options).await.unwrap();
    let mut pulls = Vec::new();
    while let Some(step) = steps.recv().await {
        if let Progress::Pull { received, total, layers_received, layers, .. } = step {
            pulls.push((received, total, layers_received, layers));
        }
    }
    assert!(
        pulls.iter().all(|(received, total, ..)| total.is_none_or(|total| *received <= total)),
        "{pulls:?}"
    );
    assert!(pulls.is_sorted_by_key(|(received, ..)| *received), "{pulls:?}");
    let &(received, total, layers_received, layers) = pulls.last().unwrap();
    assert!(received > 0 && total == Some(received) && layers_received == layers && layers > 0, "{pulls:?}");
    daemon.deploy(&spec).await.unwrap();
    daemon.remove_all(&spec.name).await;
    forget(daemon, &pushed).await;
}

pub(crate) async fn every_failure_of_a_pull_has_its_reason(daemon: &Daemon) {
    let (open, closed) = (Registry::start(false).await, Registry::start(true).await);
    open.with_image(daemon, "team/demo", "1").await;
    let secret = closed.with_image(daemon, "team/demo", "1").await;
    let cases = [
        // This registry does not tell a repository that is not there from a tag that is not there.
        (format!("{}/team/none:1", open.host), FailureReason::ImageTagNotFound),
        (format!("{}/team/demo:none", open.host), FailureReason::ImageTagNotFound),
        (secret, FailureReason::ImageDenied),
        ("127.0.0.1:1/team/demo:1".to_owned(), FailureReason::ImagePull),
    ];
    for (image, reason) in cases {
        let spec = with_image(&image);
        let failure = failure(daemon.deploy(&spec).await);
        assert_eq!(failure.reason, reason, "{failure}");
        assert!(failure.message.contains(&image) && failure.hint.is_some(), "{failure:?}");
        daemon.has_nothing_of(&spec.name).await;
    }
}

pub(crate) async fn a_login_of_the_users_configuration_opens_a_registry(daemon: &Daemon) {
    let registry = Registry::start(true).await;
    let pushed = registry.with_image(daemon, "team/demo", "1").await;
    let config = tempfile::tempdir().unwrap();
    let write = |text: String| fs::write(config.path().join("config.json"), text).unwrap();
    let settings = DockerSettings { config: Some(config.path().to_owned()), ..daemon.settings().await };
    let backend = DockerBackend::new(settings);

    let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    write(json!({"auths": {&registry.host: {"auth": auth}}}).to_string());
    let spec = with_image(&pushed);
    backend.deploy(&spec, DeployOptions::default()).await.unwrap();
    daemon.remove_all(&spec.name).await;
    forget(daemon, &pushed).await;

    let wrong = STANDARD.encode(format!("{USER}:wr0ng-c4n4ry"));
    write(json!({"auths": {&registry.host: {"auth": wrong}}}).to_string());
    let failure = failure(backend.deploy(&spec, DeployOptions::default()).await);
    assert_eq!(failure.reason, FailureReason::ImageDenied, "{failure}");
    assert!(!format!("{failure:?}").contains("c4n4ry"), "{failure:?}");
}

pub(crate) async fn a_pull_policy_is_followed(daemon: &Daemon) {
    let registry = Registry::start(false).await;
    let pushed = registry.with_image(daemon, "team/demo", "1").await;
    let with = |policy: &str, image: &str| {
        resolved(
            "well",
            json!({}),
            &Request::default().name(new_name().as_str()).image(image).pull_policy(policy),
        )
    };
    let absent = with("never", &pushed);
    let refused = failure(daemon.backend.deploy(&absent, DeployOptions::default()).await);
    assert!(refused.message.contains("`never`"), "{refused}");

    let latest = registry.with_image(daemon, "team/demo", "latest").await;
    for image in [&pushed, &latest] {
        let spec = with_image(image);
        daemon.backend.deploy(&spec, DeployOptions::default()).await.unwrap();
        daemon.remove_all(&spec.name).await;
    }
    drop(registry);

    // Here by now: `missing` and `never` need no registry, `always` does.
    for policy in ["missing", "never"] {
        let spec = with(policy, &pushed);
        daemon.backend.deploy(&spec, DeployOptions::default()).await.unwrap();
        daemon.remove_all(&spec.name).await;
    }
    let outcome = daemon.backend.deploy(&with("always", &pushed), DeployOptions::default()).await;
    assert_eq!(failure(outcome).reason, FailureReason::ImagePull);

    // `latest` is tried, and what is here will do, with a warning.
    let (sender, mut steps) = mpsc::unbounded_channel();
    let spec = with_image(&latest);
    let options = DeployOptions { progress: Some(sender), ..DeployOptions::default() };
    daemon.backend.deploy(&spec, options).await.unwrap();
    let mut warnings = Vec::new();
    while let Some(step) = steps.recv().await {
        if let Progress::Warning(warning) = step {
            warnings.push(warning);
        }
    }
    assert!(warnings.len() == 1 && warnings[0].contains("the image that is here is used"), "{warnings:?}");
    daemon.remove_all(&spec.name).await;
    forget(daemon, &pushed).await;
    forget(daemon, &latest).await;
}
