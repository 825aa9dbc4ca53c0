//! Pulls from a real registry on the loopback interface, which is the node's too.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mcp_deploy_core::FailureReason;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::fixture::Cluster;
use crate::site::spec;

/// A registry without an image; it ends when it is dropped.
struct Registry {
    child: Child,
    host: String,
    _directory: TempDir,
}

impl Registry {
    async fn start(with_password: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let root = directory.path().display();
        let passwords = directory.path().join("htpasswd");
        fs::write(&passwords, "").unwrap();
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
        let mut program = Command::new("docker-registry");
        let child =
            program.arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while TcpStream::connect(&host).is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        Self { child, host, _directory: directory }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn every_failure_of_a_pull_has_its_reason(cluster: &Cluster) {
    let open = Registry::start(false).await;
    let closed = Registry::start(true).await;
    let cases = [
        (format!("{}/none:1", open.host), json!({}), FailureReason::ImageTagNotFound),
        (format!("{}/none:1", closed.host), json!({}), FailureReason::ImageDenied),
        ("127.0.0.1:1/none:1".to_owned(), json!({}), FailureReason::ImagePull),
        (format!("{}/none:1", open.host), json!({"pull_policy": "never"}), FailureReason::ImageNotFound),
    ];
    for (image, mut more, reason) in cases {
        more["docker_image"] = image.clone().into();
        let spec = spec("well", more);
        let failure = cluster.failure(&spec).await;
        assert_eq!(failure.reason, reason, "{failure:?}");
        assert!(failure.message.contains(&image) && failure.hint.is_some(), "{failure:?}");
        cluster.remove_all(&spec.name).await;
    }
}
