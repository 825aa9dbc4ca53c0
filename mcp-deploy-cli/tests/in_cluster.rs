//! A server in a real cluster, set up by what `setup kubernetes --in-cluster --print` prints: `cargo xtask e2e kubernetes`
//! names the cluster and the image.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const NAMESPACE: &str = "mcp-deploy-e2e-server";
const PATIENCE: Duration = Duration::from_mins(1);

fn kubectl(arguments: &[&str]) -> Command {
    let mut kubectl = Command::new("kubectl");
    kubectl.env("KUBECONFIG", env::var_os("MCP_DEPLOY_E2E_KUBECONFIG").expect("a cluster is named"));
    kubectl.args(["--namespace", NAMESPACE]).args(arguments);
    kubectl
}

fn text(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn mcp_deploy(arguments: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mcp-deploy"));
    text(program.env("MCP_NAMESPACE", NAMESPACE).args(arguments))
}

/// Removes everything when it is dropped.
struct Namespace;

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found"]).output());
    }
}

/// A way to one of the server's replicas, which ends with it.
struct Forward {
    kubectl: Child,
    address: String,
    /// Held, since it writes a line for each connection.
    _told: BufReader<ChildStdout>,
}

impl Drop for Forward {
    fn drop(&mut self) {
        drop(self.kubectl.kill());
        drop(self.kubectl.wait());
    }
}

impl Forward {
    fn open() -> Option<Self> {
        let mut forward = kubectl(&["port-forward", "service/mcp-platform-backend", ":8000"]);
        let mut kubectl = forward.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut told = BufReader::new(kubectl.stdout.take().unwrap());
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        let address = line.strip_prefix("Forwarding from ").and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_default().to_owned();
        let forward = Self { kubectl, address, _told: told };
        (!forward.address.is_empty()).then_some(forward)
    }

    fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let body = body.to_string();
        let mut connection = TcpStream::connect(&self.address).ok()?;
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            connection,
            "{method} /api/templates/{path} HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().unwrap(), serde_json::from_str(body).unwrap()))
    }
}

/// Asks by a way that is opened anew where one breaks.
fn ask(token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = Forward::open().and_then(|forward| forward.ask(token, method, path, body));
        match answer {
            Some(answer) => return answer,
            None => assert!(Instant::now() < deadline, "no replica answers"),
        }
        sleep(Duration::from_millis(200));
    }
}

fn wait_for_both_replicas() {
    text(&mut kubectl(&["rollout", "status", "deployment/mcp-platform-backend", "--timeout=60s"]));
}

#[test]
#[ignore = "needs a cluster: cargo xtask e2e kubernetes"]
fn a_server_in_the_cluster_deploys_there_and_survives_the_end_of_a_replica() {
    let image = env::var("MCP_DEPLOY_E2E_SERVER_IMAGE").expect("the image of the server is named");
    let made: Value =
        serde_json::from_str(&mcp_deploy(&["token", "new", "e2e", "--role", "admin", "-o", "json"])).unwrap();
    let (token, line) = (made["token"].as_str().unwrap(), made["line"].as_str().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (tokens, objects) = (file("tokens"), file("objects.yaml"));
    fs::write(&tokens, line).unwrap();
    let setup =
        ["setup", "kubernetes", "--in-cluster", "--print", "--image", &image, "--tokens-file", &tokens];
    let printed = mcp_deploy(&setup);
    assert!(!printed.contains(token), "{printed}");
    fs::write(&objects, printed).unwrap();

    let _namespace = Namespace;
    text(&mut kubectl(&["apply", "--filename", &objects]));
    wait_for_both_replicas();

    let (status, deployed) = ask(token, "POST", "deploy/demo/", &json!({"name": "demo-one"}));
    let deployment = &deployed["deployment"];
    assert_eq!(status, 201, "{deployed}");
    // Which the server has asked at that address.
    assert_eq!(deployment["endpoint"], format!("http://demo-one.{NAMESPACE}.svc/mcp"));
    assert_eq!(deployment["mcp"]["tools"], json!(["say_goodbye", "say_hello"]));
    let (status, refused) = ask("nobody's", "GET", "deployments/", &json!({}));
    assert_eq!((status, &refused["code"]), (401, &json!("unauthorized")));

    let selector = "app.kubernetes.io/name=mcp-platform-backend";
    let replicas = text(&mut kubectl(&["get", "pods", "--selector", selector, "--output", "name"]));
    let replicas: Vec<&str> = replicas.lines().collect();
    assert_eq!(replicas.len(), 2, "{replicas:?}");
    text(&mut kubectl(&["delete", replicas[0], "--grace-period=0", "--force", "--wait=false"]));
    let (status, listed) = ask(token, "GET", "deployments/", &json!({}));
    assert_eq!((status, &listed["count"]), (200, &json!(1)));
    let call = "deployments/demo-one/tools/say_hello/call/";
    let (status, answer) = ask(token, "POST", call, &json!({"arguments": {"name": "Ada"}}));
    assert_eq!((status, &answer["is_error"]), (200, &json!(false)), "{answer}");
    wait_for_both_replicas();

    let (status, deleted) = ask(token, "DELETE", "deployments/demo-one/delete/", &json!({}));
    assert_eq!((status, &deleted["deleted"]), (200, &json!(true)));
}
