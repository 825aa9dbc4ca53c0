//! Daemons of our own, which can be restarted, hidden behind TLS, and cleared.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use mcp_deploy_core::{
    DeleteOptions, DeployOptions, Deployment, DeploymentBackend, DeploymentBackendExt, DockerSettings, Event,
    LogOptions, Selector, Status, one_line,
};
use mcp_deploy_docker::{DockerBackend, GarbageKind};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::fixture::Daemon;
use crate::site::{generation, new_name};

const PATIENCE: Duration = Duration::from_mins(1);
/// The bridge of a daemon that shares our network.
const BRIDGE: &str = "mcp-deploy-own";

/// A daemon of our own; it ends when it is dropped.
pub(crate) struct OwnDaemon {
    child: Child,
    directory: TempDir,
    arguments: Vec<String>,
    /// Whether it has a network of its own, so that it does not meddle with that of another daemon.
    is_apart: bool,
}

impl OwnDaemon {
    pub(crate) async fn start(is_apart: bool, arguments: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let child = spawn(directory.path(), is_apart, arguments);
        let daemon = Self { child, directory, arguments: arguments.to_owned(), is_apart };
        daemon.answers().await;
        daemon
    }

    pub(crate) fn settings(&self) -> DockerSettings {
        let host = format!("unix://{}/docker.sock", self.directory.path().display());
        DockerSettings { host: Some(host), ..DockerSettings::default() }
    }

    async fn answers(&self) {
        for _ in 0..300 {
            if DockerBackend::new(self.settings()).check().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "the daemon does not answer: {}",
            fs::read_to_string(self.directory.path().join("log")).unwrap()
        );
    }

    pub(crate) fn stop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }

    pub(crate) async fn restart(&mut self) {
        self.stop();
        self.child = spawn(self.directory.path(), self.is_apart, &self.arguments);
        self.answers().await;
    }
}

impl Drop for OwnDaemon {
    fn drop(&mut self) {
        self.stop();
        if !self.is_apart {
            ip(&["link", "delete", BRIDGE]);
        }
    }
}

fn ip(arguments: &[&str]) {
    let ended = Command::new("ip").args(arguments).status().unwrap();
    assert!(ended.success(), "ip {arguments:?}");
}

fn spawn(directory: &Path, is_apart: bool, arguments: &[String]) -> Child {
    let at = |name: &str| directory.join(name).display().to_string();
    let log = fs::File::create(directory.join("log")).unwrap();
    let mut command = if is_apart {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && exec dockerd \"$@\"", "dockerd"]);
        command
    } else {
        // Without a bridge of its own, it would take away that of the daemon beside it.
        ip(&["link", "add", BRIDGE, "type", "bridge"]);
        ip(&["address", "add", "172.31.255.1/24", "dev", BRIDGE]);
        let mut command = Command::new("dockerd");
        command.args(["--bridge", BRIDGE, "--iptables=false"]);
        command
    };
    command
        .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
        .args(["--host", &format!("unix://{}", at("docker.sock"))])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

pub(crate) async fn watch_and_logs_outlive_a_restart_of_the_daemon(_daemon: &Daemon) {
    let mut own = OwnDaemon::start(true, &[]).await;
    let daemon = Daemon::at(own.settings()).await.unwrap();
    let name = new_name();
    for number in [1, 2] {
        daemon.backend.deploy(&generation(&name, number), DeployOptions::default()).await.unwrap();
    }
    let before = daemon.backend.get(&name).await.unwrap();
    let mut events = daemon.backend.watch(Selector::default());
    let mut lines = daemon.backend.logs(&name, LogOptions { follow: true, ..LogOptions::default() });
    while timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap() != Event::Synced {}
    let first = timeout(PATIENCE, lines.next()).await.unwrap().unwrap().unwrap();
    assert!(first.message.contains("listening on"), "{first:?}");

    let again = async {
        let (mut is_synced, mut is_running) = (false, false);
        while !(is_synced && is_running) {
            match events.next().await.unwrap() {
                Ok(Event::Changed(deployment)) => is_running = deployment.status == Status::Running,
                Ok(Event::Synced) => is_synced = true,
                // While it is away, the watch says so.
                Ok(_) | Err(_) => {}
            }
        }
    };
    // It is read while the daemon is away, as by somebody who waits.
    let (again, ()) = tokio::join!(timeout(PATIENCE, again), own.restart());
    again.unwrap();
    let again = async {
        let mut told = Vec::new();
        while told.iter().filter(|line: &&String| line.contains("listening on")).count() == 0 {
            told.push(lines.next().await.unwrap().unwrap().message);
        }
        told
    };
    let told = timeout(PATIENCE, again).await.unwrap();
    // What was told is not told again.
    assert_eq!(told, ["received SIGTERM, stopping", "listening on 0.0.0.0:8080"]);
    let after = daemon.backend.get(&name).await.unwrap();
    assert_eq!((after.endpoint, after.revision), (before.endpoint, before.revision));
    let previous = daemon.inspect(&format!("{name}.previous")).await.state.unwrap();
    assert_eq!(previous.running, Some(false), "the revision before runs too");
    drop((events, lines));
    daemon.remove_all(&name).await;
}

pub(crate) async fn the_network_goes_with_the_last_deployment(_daemon: &Daemon) {
    let own = OwnDaemon::start(true, &[]).await;
    let daemon = Daemon::at(own.settings()).await.unwrap();
    let before = daemon.counts().await;
    let name = new_name();
    daemon.backend.deploy(&generation(&name, 1), DeployOptions::default()).await.unwrap();
    assert_eq!(daemon.backend.gc(false).await.unwrap(), []);
    // A stopped deployment needs it too.
    daemon.backend.scale(&name, 0).await.unwrap();
    assert_eq!(daemon.backend.gc(false).await.unwrap(), []);
    daemon.backend.delete(&name, DeleteOptions::default()).await.unwrap();
    let told = daemon.backend.gc(true).await.unwrap();
    assert_eq!(told.iter().map(|garbage| garbage.kind).collect::<Vec<_>>(), [GarbageKind::Network]);
    assert_ne!(daemon.counts().await, before, "a dry run removed it");
    assert_eq!(daemon.backend.gc(false).await.unwrap(), told);
    assert_eq!(daemon.counts().await, before);
    assert_eq!(daemon.backend.gc(false).await.unwrap(), []);
}

pub(crate) async fn a_network_that_somebody_has_removed_is_made_again(_daemon: &Daemon) {
    let own = OwnDaemon::start(true, &[]).await;
    let daemon = Daemon::at(own.settings()).await.unwrap();
    let [stopped, updated] = [new_name(), new_name()];
    daemon.backend.deploy(&generation(&stopped, 1), DeployOptions::default()).await.unwrap();
    for number in [1, 2] {
        daemon.backend.deploy(&generation(&updated, number), DeployOptions::default()).await.unwrap();
    }
    for name in [&stopped, &updated] {
        daemon.backend.scale(name, 0).await.unwrap();
    }
    daemon.docker.remove_network("mcp-platform").await.unwrap();
    let running = async |name| {
        let found = daemon.backend.wait_for(name, Deployment::is_settled);
        let found = timeout(PATIENCE, found).await.unwrap().unwrap();
        assert_eq!((found.status, found.failure), (Status::Running, None));
    };
    // By a start, and by a deploy of the same.
    daemon.backend.scale(&stopped, 1).await.unwrap();
    running(&stopped).await;
    daemon.backend.deploy(&generation(&updated, 2), DeployOptions::default()).await.unwrap();
    running(&updated).await;
    // The revision before is of the old network: it comes back as a new container.
    let back = daemon.backend.deploy(&generation(&updated, 1), DeployOptions::default()).await.unwrap();
    assert_eq!(back.revision, 3);
    running(&updated).await;
    for name in [&stopped, &updated] {
        daemon.remove_all(name).await;
    }
}

/// A certificate authority with a server and a client, made by openssl.
fn certificates(directory: &Path) {
    let openssl = |arguments: &str| {
        let status = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(directory)
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "openssl {arguments}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=test-ca"));
    for (name, extensions) in [
        ("server", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"),
        ("client", "extendedKeyUsage=clientAuth\n"),
    ] {
        fs::write(directory.join("extensions"), extensions).unwrap();
        openssl(&format!("req {key} -keyout {name}-key.pem -out {name}.csr -subj /CN={name}"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out {name}.pem -days 2 -extfile extensions"
        ));
    }
    fs::copy(directory.join("client.pem"), directory.join("cert.pem")).unwrap();
    fs::copy(directory.join("client-key.pem"), directory.join("key.pem")).unwrap();
}

pub(crate) async fn a_daemon_behind_tls_is_reached_by_its_certificates(_daemon: &Daemon) {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("tcp://127.0.0.1:{port}");
    let at = |name: &str| directory.path().join(name).display().to_string();
    let arguments = [
        "--host".to_owned(),
        address.clone(),
        "--tlsverify".to_owned(),
        format!("--tlscacert={}", at("ca.pem")),
        format!("--tlscert={}", at("server.pem")),
        format!("--tlskey={}", at("server-key.pem")),
    ];
    let _own = OwnDaemon::start(false, &arguments).await;
    let settings = DockerSettings {
        host: Some(address.clone()),
        cert_path: Some(directory.path().to_owned()),
        ..DockerSettings::default()
    };
    let health = DockerBackend::new(settings.clone()).check().await.unwrap();
    assert_eq!(health.scope, address);

    let plain = DockerSettings { cert_path: None, ..settings.clone() };
    let error = one_line(&DockerBackend::new(plain).check().await.unwrap_err());
    assert!(error.contains(&address), "{error}");
    // Another authority is not trusted.
    let stranger = tempfile::tempdir().unwrap();
    certificates(stranger.path());
    let other = DockerSettings { cert_path: Some(stranger.path().to_owned()), ..settings };
    let error = one_line(&DockerBackend::new(other).check().await.unwrap_err());
    assert!(error.contains("certificate"), "{error}");
}

pub(crate) async fn a_daemon_is_found_by_the_current_context(daemon: &Daemon) {
    let address = daemon.backend.check().await.unwrap().scope;
    let config = tempfile::tempdir().unwrap();
    let meta = config.path().join("contexts/meta/0123");
    fs::create_dir_all(&meta).unwrap();
    let context = json!({"Name": "mine", "Endpoints": {"docker": {"Host": address}}});
    fs::write(meta.join("meta.json"), context.to_string()).unwrap();
    fs::write(config.path().join("config.json"), json!({"currentContext": "mine"}).to_string()).unwrap();
    let settings = DockerSettings { config: Some(config.path().to_owned()), ..DockerSettings::default() };
    assert_eq!(DockerBackend::new(settings.clone()).check().await.unwrap().scope, address);
    let named = DockerSettings { context: Some("yours".to_owned()), ..settings };
    let error = DockerBackend::new(named).check().await.unwrap_err();
    assert!(error.to_string().contains("`yours`"), "{error}");
}
