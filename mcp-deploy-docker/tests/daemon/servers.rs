//! Several servers of the HTTP API over one daemon, each a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use mcp_deploy_core::conformance::Fixture;
use mcp_deploy_core::{DeploymentBackend, DeploymentName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::{self, Daemon, image};
use crate::own_daemon::OwnDaemon;
use crate::site::new_name;

const PATIENCE: Duration = Duration::from_mins(1);
/// Those who ask whether it is ready within this time share an answer.
const SHARED_FOR: Duration = Duration::from_secs(1);
const DEPLOYMENTS: &str = "/api/templates/deployments/";

/// Ended by its id when it is dropped.
struct Server {
    child: Child,
    address: String,
    _home: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    async fn start(daemon: &Daemon) -> Self {
        let home = tempfile::tempdir().unwrap();
        let template = home.path().join("templates/t-served");
        fs::create_dir_all(&template).unwrap();
        fs::write(template.join("template.json"), document().to_string()).unwrap();
        let mut child = Command::new(fixture::binaries().unwrap().join("mcp-deploy"))
            .args(["serve", "--bind", "127.0.0.1:0", "--backend", "docker"])
            .env_clear()
            .env("HOME", home.path())
            .env("DOCKER_HOST", daemon.backend.check().await.unwrap().scope)
            .env("MCP_TEMPLATES_DIR", home.path().join("templates"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let line = told.find(|line| line.starts_with("serving http://")).unwrap();
        let address = line.trim_start_matches("serving http://").split('/').next().unwrap().to_owned();
        // The pipe has to be read, or the server would wait to write its log.
        std::thread::spawn(move || told.for_each(drop));
        Self { child, address, _home: home }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let mut connection = self.send(method, path, &body).await;
        let mut answer = String::new();
        timeout(PATIENCE, connection.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, json!({})).await
    }

    /// How many sockets it has open: to clients, to the daemon, to listen at.
    fn sockets(&self) -> usize {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> TcpStream {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        let body = body.to_string();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all((head + &body).as_bytes()).await.unwrap();
        connection
    }

    async fn deploy(&self, name: &DeploymentName, generation: usize) -> (u16, Value) {
        let body = json!({"name": name, "configuration": {"generation": generation}});
        self.ask("POST", "/api/templates/deploy/t-served/", body).await
    }
}

fn document() -> Value {
    json!({
        "id": "t-served", "name": "Served", "description": "Echoes.", "version": "1.0.0",
        "docker_image": image::NAME, "command": ["/mcp-mock-server"],
        "environment_variables": {"MOCK_BEHAVIOUR": "echo-environment"},
        "config_schema": {"properties": {"generation": {"type": "integer"}}},
    })
}

pub(crate) async fn three_servers_on_one_daemon_agree(daemon: &Daemon) {
    let servers = [Server::start(daemon).await, Server::start(daemon).await, Server::start(daemon).await];
    let name = new_name();
    let one = format!("{DEPLOYMENTS}{name}/");

    // One spec, by all at once: each client has its deployment, and there is one.
    let answers = join_all(servers.iter().map(|server| server.deploy(&name, 0))).await;
    for (status, answer) in answers {
        assert!(matches!(status, 200 | 201), "{status} {answer}");
    }
    assert_eq!(daemon.objects(&name).await.unwrap(), [format!("container/{name}")]);

    // What one does, the others tell.
    let mut events = tokio::io::BufReader::new(
        servers[1].send("GET", &format!("{DEPLOYMENTS}events/?template=t-served"), &json!({})).await,
    );
    // Three specs at once: one wins, whole, and all say which.
    let deploys = servers.iter().zip(1..).map(|(server, generation)| server.deploy(&name, generation));
    let answers = join_all(deploys).await;
    assert!(answers.iter().any(|(status, _)| *status == 201), "{answers:?}");
    for (status, answer) in &answers {
        let is_told = matches!(answer["code"].as_str(), Some("superseded" | "conflict"));
        assert!(matches!(status, 200 | 201) || is_told, "{status} {answer}");
    }
    let seen = join_all(servers.iter().map(|server| server.get(&one))).await;
    let generation = seen[0].1["deployment"]["configuration"]["generation"].clone();
    assert!(generation.as_u64().is_some_and(|generation| (1..=3).contains(&generation)), "{seen:?}");
    for (status, answer) in &seen {
        assert_eq!((*status, &answer["deployment"]["configuration"]["generation"]), (200, &generation));
    }
    let told = format!("\"generation\":{generation}");
    let is_told = async {
        let mut line = String::new();
        while !line.contains(&told) {
            line.clear();
            assert_ne!(events.read_line(&mut line).await.unwrap(), 0, "the stream has ended");
        }
    };
    timeout(PATIENCE, is_told).await.expect("the change is told");

    let (status, _) = servers[2].ask("DELETE", &format!("{one}delete/"), json!({})).await;
    assert_eq!(status, 200);
    for server in &servers {
        assert_eq!(server.get(&one).await.0, 404);
    }
    assert_eq!(daemon.objects(&name).await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn who_is_gone_leaves_no_connection_to_the_daemon(daemon: &Daemon) {
    let server = Server::start(daemon).await;
    let name = new_name();
    assert_eq!(server.deploy(&name, 0).await.0, 201);
    let idle = server.sockets();
    let mut streams = Vec::new();
    for _ in 0..10 {
        for path in [format!("{DEPLOYMENTS}{name}/logs/?follow=true"), format!("{DEPLOYMENTS}events/")] {
            let mut stream = server.send("GET", &path, &json!({})).await;
            assert_ne!(timeout(PATIENCE, stream.read(&mut [0; 64])).await.unwrap().unwrap(), 0);
            streams.push(stream);
        }
    }
    // Each has its own, each log one to the daemon, and all events one, which may be one that was idle.
    let busy = server.sockets();
    assert!((idle + 30..=idle + 32).contains(&busy), "{busy} sockets, and {idle} before");
    drop(streams);
    let is_idle = async {
        while server.sockets() > idle {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), is_idle).await.expect("connections are left over");
    daemon.remove_all(&name).await;
}

pub(crate) async fn a_server_outlives_its_daemon(_daemon: &Daemon) {
    let mut own = OwnDaemon::start(true, &[]).await;
    let server = Server::start(&Daemon::at(own.settings()).await.unwrap()).await;
    let all = format!("{DEPLOYMENTS}?backend=docker");
    assert_eq!((server.get(&all).await.0, server.get("/ready").await.0), (200, 200));
    own.stop();
    tokio::time::sleep(SHARED_FOR).await;
    let (status, problem) = server.get(&all).await;
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")));
    let (status, ready) = server.get("/ready").await;
    assert_eq!((status, &ready["backends"]["docker"]["code"]), (503, &json!("unavailable")));
    // It costs its own requests only.
    assert_eq!(
        (server.get("/health").await.0, server.get(&format!("{DEPLOYMENTS}?backend=mock")).await.0),
        (200, 200)
    );
    own.restart().await;
    assert_eq!(server.get(&all).await.0, 200);
    tokio::time::sleep(SHARED_FOR).await;
    assert_eq!(server.get("/ready").await.0, 200);
}
