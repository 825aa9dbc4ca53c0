//! A container: the mock server, which behaves as its environment tells it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mcp_deploy_core::Tool;
use mcp_deploy_mock::{HttpMode, HttpServer, ServerProfile};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::memory::logs::Run;
use crate::memory::store::{Key, State};

/// How long after SIGTERM the kubelet ends who ignores it.
const KILLED_AFTER: Duration = Duration::from_millis(300);

/// The environment of the container of a pod, or why it cannot be had.
pub(super) fn environment(
    state: &State,
    namespace: &str,
    pod: &Value,
) -> Result<BTreeMap<String, String>, String> {
    let container = &pod["containers"][0];
    let mut environment = BTreeMap::new();
    for source in container["envFrom"].as_array().into_iter().flatten() {
        let (resource, noun, name) = match source["configMapRef"]["name"].as_str() {
            Some(name) => ("configmaps", "configmap", name),
            None => ("secrets", "secret", source["secretRef"]["name"].as_str().unwrap_or_default()),
        };
        let found = state.get(&Key::new(resource, namespace, name));
        let found = found.ok_or_else(|| format!("{noun} \"{name}\" not found"))?;
        for (name, value) in found.value["data"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            let value = if resource == "secrets" { plain(value) } else { value.to_owned() };
            environment.insert(name.clone(), value);
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let of = |field: &str| variable[field].as_str().unwrap_or_default().to_owned();
        environment.insert(of("name"), of("value"));
    }
    Ok(environment)
}

fn plain(encoded: &str) -> String {
    let bytes = BASE64_STANDARD.decode(encoded).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a start comes to.
pub(super) enum End {
    /// It exits with this code.
    Exits(u8),
    /// It goes on to serve here.
    Serves(SocketAddr),
}

pub(super) struct Container {
    environment: BTreeMap<String, String>,
    behaviour: String,
    /// Where it may write: everywhere where it is empty.
    writable: Vec<String>,
    log: Arc<Run>,
    server: Option<HttpServer>,
}

impl Container {
    pub(super) fn new(pod: &Value, environment: BTreeMap<String, String>, log: Arc<Run>) -> Self {
        let container = &pod["containers"][0];
        let behaviour = environment.get("MOCK_BEHAVIOUR").filter(|behaviour| !behaviour.is_empty());
        let behaviour = behaviour.map_or("well", String::as_str).to_owned();
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        let mounts = mounts.filter_map(|mount| Some(mount["mountPath"].as_str()?.to_owned()));
        let is_read_only = container["securityContext"]["readOnlyRootFilesystem"] == true;
        let writable = if is_read_only { mounts.collect() } else { vec![String::new()] };
        Self { environment, behaviour, writable, log, server: None }
    }

    /// Comes to its end, or listens; where it does neither, the future goes on.
    pub(super) async fn start(&mut self) -> End {
        let behaviour = self.behaviour.clone();
        let mode = match behaviour.split_once(':').unwrap_or((&behaviour, "")) {
            ("crash", code) => {
                self.log.write("starting");
                self.log.write(&format!("fatal: told to crash with exit code {code}"));
                return End::Exits(code.parse().unwrap());
            }
            ("write", path) if !self.writable.iter().any(|writable| path.starts_with(writable)) => {
                self.log
                    .write(&format!("error: failed to write {path}: Read-only file system (os error 30)"));
                return End::Exits(1);
            }
            // Nobody speaks to its standard input, which is at its end at once.
            ("stdio", _) => return End::Exits(0),
            ("never-listens", _) => std::future::pending().await,
            ("slow", millis) => {
                sleep(Duration::from_millis(millis.parse().unwrap())).await;
                HttpMode::Mcp
            }
            ("not-mcp", _) => HttpMode::NotMcp,
            ("mute", _) => HttpMode::Mute,
            ("unauthorized", _) => HttpMode::Unauthorized,
            _ => HttpMode::Mcp,
        };
        End::Serves(self.serve(mode).await)
    }

    async fn serve(&mut self, mode: HttpMode) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let variable = |name: &str| self.environment.get(name).map(String::as_str);
        let path = format!("/{}", variable("MCP_PATH").unwrap_or("/mcp").trim_start_matches('/'));
        self.log.write(&format!("listening on 0.0.0.0:{}", variable("PORT").unwrap_or("8080")));
        let server = HttpServer::start(listener, self.profile(), mode, path);
        self.server.insert(server).address()
    }

    fn profile(&self) -> ServerProfile {
        let schema = json!({"type": "object"});
        ServerProfile {
            name: "mcp-mock-server".to_owned(),
            version: "1".to_owned(),
            tools: vec![Tool {
                name: "echo".to_owned(),
                description: Some("Answers its arguments".to_owned()),
                input_schema: schema.as_object().cloned().unwrap_or_default(),
            }],
            environment: self.environment.clone(),
            echo_environment: self.behaviour == "echo-environment",
            explores: false,
        }
    }

    /// SIGTERM, and SIGKILL where that does not do.
    pub(super) async fn stop(mut self) {
        if self.behaviour == "ignore-sigterm" {
            self.log.write("received SIGTERM, ignoring it");
            sleep(KILLED_AFTER).await;
        } else {
            self.log.write("received SIGTERM, stopping");
        }
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        self.end();
    }

    /// Its log comes to its end.
    pub(super) fn end(self) {
        self.log.end();
    }
}
