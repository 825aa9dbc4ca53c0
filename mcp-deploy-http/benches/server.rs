//! What the HTTP server promises about speed and memory, side by side with nginx, which serves the same bytes from a
//! file, as rows of a Markdown table: `cargo xtask bench` prints them. Needs `nginx` and `wrk`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "its rows are its output")]

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

const STARTS: usize = 11;
const LISTED: usize = 100;
const ROUNDS: usize = 5;
const CONNECTIONS: usize = 64;
const ROUND: &str = "4s";
const STREAMS: usize = 1000;
const CHANGES: usize = 11;
const PATIENCE: Duration = Duration::from_mins(1);

const LIST: &str = "/api/templates/deployments/";

#[tokio::main]
async fn main() {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let started = Instant::now();
        let server = Server::start().await;
        starts.push(started.elapsed());
        drop(server);
    }
    row("`mcp-deploy-server`, from its start to its first answer", "≤ 50 ms", &millis(median(starts)));

    let server = Server::start().await;
    server.get("/ready").await;
    row(
        "the memory of `mcp-deploy-server` when idle, with one backend",
        "≤ 25 MB",
        &megabytes(server.resident_bytes()),
    );
    server.deploy_many().await;

    let nginx =
        Nginx::start(&[(LIST, server.get(LIST).await), ("/health", server.get("/health").await)]).await;
    for (path, target) in [("/health", "≥ 0.7"), (LIST, "≥ 0.3")] {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..ROUNDS {
            ours.push(Load::on(server.address, path));
            theirs.push(Load::on(nginx.address, path));
        }
        let (one, other) = (rate(&ours), rate(&theirs));
        let what = format!("`GET {path}`, by nginx with the same bytes, {CONNECTIONS} connections");
        row(&what, target, &format!("{:.2} ({one:.0}/s by {other:.0}/s)", one / other));
        if path == LIST {
            let slowest = median(ours.iter().map(|load| load.p99).collect());
            row(
                &format!("`GET {path}` of {LISTED} deployments, 99th percentile"),
                "≤ 10 ms",
                &millis(slowest),
            );
        }
    }
    drop(nginx);

    let (slowest, bytes) = server.stream_to_many().await;
    row(
        &format!("the memory of `mcp-deploy-server` with {STREAMS} event streams"),
        "≤ 150 MB",
        &megabytes(bytes),
    );
    row(
        &format!("a change, until the last of {STREAMS} streams has told it, the slowest of {CHANGES}"),
        "≤ 250 ms",
        &millis(slowest),
    );
}

/// The program, on a port that is free.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    /// Ends when it has answered.
    async fn start() -> Self {
        let address = free();
        let mut program = Command::new(env!("CARGO_BIN_EXE_mcp-deploy-server"));
        program.env_clear().env("RUST_LOG", "error");
        program.env("MCP_BIND", address.to_string()).env("MCP_RATE_LIMIT", "0");
        let server = Self { child: program.spawn().unwrap(), address };
        until_it_answers(address).await;
        server
    }

    async fn get(&self, path: &str) -> Vec<u8> {
        ask(self.address, "GET", path, "").await.unwrap()
    }

    async fn deploy_many(&self) {
        for number in 0..LISTED {
            let body = json!({"name": format!("bench-{number}")}).to_string();
            ask(self.address, "POST", "/api/templates/deploy/demo/", &body).await.unwrap();
        }
    }

    fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// How long a change takes to the last of many streams, and the memory of the server with them.
    async fn stream_to_many(&self) -> (Duration, u64) {
        let (told, mut heard) = mpsc::unbounded_channel();
        let streams: Vec<_> =
            (0..STREAMS).map(|_| tokio::spawn(listen(self.address, told.clone()))).collect();
        let mut all_heard = async || {
            for _ in 0..STREAMS {
                timeout(PATIENCE, heard.recv()).await.expect("each stream is told").unwrap();
            }
        };
        all_heard().await;
        let mut slowest = Duration::ZERO;
        for number in 0..CHANGES {
            let path = format!("{LIST}bench-{number}/stop/");
            let changed_at = Instant::now();
            ask(self.address, "POST", &path, "{}").await.unwrap();
            all_heard().await;
            slowest = slowest.max(changed_at.elapsed());
        }
        let bytes = self.resident_bytes();
        streams.iter().for_each(tokio::task::JoinHandle::abort);
        (slowest, bytes)
    }
}

/// Tells once when the state is there, and then each time that a deployment is stopped.
async fn listen(address: SocketAddr, told: mpsc::UnboundedSender<()>) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {LIST}events/ HTTP/1.1\r\nhost: localhost\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let (mut buffer, mut rest) = (vec![0; 16 * 1024], Vec::new());
    loop {
        let read = connection.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "the stream has ended");
        rest.extend_from_slice(&buffer[..read]);
        while let Some(end) = rest.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = rest.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            if event.contains("event: synced") || event.contains("\"status\":\"stopped\"") {
                told.send(()).unwrap();
            }
        }
    }
}

/// nginx with as many workers as cores, serving files.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends its workers when it is asked to end.
        drop(Command::new("kill").arg(self.child.id().to_string()).status());
        drop(self.child.wait());
    }
}

impl Nginx {
    async fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let address = free();
        let mut locations = String::new();
        for (number, (path, bytes)) in files.iter().enumerate() {
            fs::write(root.join(number.to_string()), bytes).unwrap();
            let root = root.display();
            writeln!(locations, "location = {path} {{ root {root}; try_files /{number} =404; }}").unwrap();
        }
        fs::write(root.join("nginx.conf"), configuration(root, address, &locations)).unwrap();
        let mut program = Command::new("nginx");
        program.args(["-e", "stderr", "-c"]).arg(root.join("nginx.conf")).stderr(Stdio::null());
        let nginx = Self { child: program.spawn().expect("nginx is there"), address, _directory: directory };
        until_it_answers(address).await;
        nginx
    }
}

fn configuration(root: &Path, address: SocketAddr, locations: &str) -> String {
    let root = root.display();
    format!(
        "daemon off;\nuser root;\nworker_processes auto;\npid {root}/pid;\nevents {{ worker_connections 1024; }}\n\
         http {{\naccess_log off;\nsendfile on;\ntcp_nopush on;\nopen_file_cache max=10;\n\
         keepalive_requests 100000000;\ndefault_type application/json;\n\
         client_body_temp_path {root}/body;\nproxy_temp_path {root}/proxy;\nfastcgi_temp_path {root}/fastcgi;\n\
         uwsgi_temp_path {root}/uwsgi;\nscgi_temp_path {root}/scgi;\n\
         server {{\nlisten {address};\n{locations}}}\n}}\n"
    )
}

/// What `wrk` measures.
struct Load {
    per_second: f64,
    p99: Duration,
}

impl Load {
    fn on(address: SocketAddr, path: &str) -> Self {
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{ROUND}"), "--latency"]);
        let output = wrk.arg(format!("http://{address}{path}")).output().expect("wrk is there");
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(!output.contains("Non-2xx") && !output.contains("Socket errors"), "{output}");
        let after = |name: &str| {
            let line = output.lines().find_map(|line| line.trim().strip_prefix(name)).expect(&output);
            line.trim().to_owned()
        };
        Self { per_second: after("Requests/sec:").parse().unwrap(), p99: duration(&after("99%")) }
    }
}

/// As `wrk` writes it: `1.23ms`.
fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap());
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => panic!("{text} is no time"),
    };
    Duration::from_secs_f64(number.parse::<f64>().unwrap() * seconds)
}

fn rate(loads: &[Load]) -> f64 {
    let mut rates: Vec<f64> = loads.iter().map(|load| load.per_second).collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn until_it_answers(address: SocketAddr) {
    let answered = async {
        while ask(address, "GET", "/health", "").await.is_none() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, answered).await.expect("it answers");
}

/// The body of an answer, where one comes and is good.
async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<Vec<u8>> {
    let mut connection = TcpStream::connect(address).await.ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.ok()?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let is_good = answer.starts_with(b"HTTP/1.1 2");
    is_good.then(|| answer.split_off(head + 4))
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

fn row(figure: &str, target: &str, measured: &str) {
    println!("| {figure} | {target} | {measured} |");
}
