//! The whole server over a real socket: whom it lets in, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, stream};
use mcp_deploy_core::{
    Backends, Catalog, DeploymentManager, Event, HttpLimits, HttpSettings, MockDeploymentBackend, Settings,
};
use mcp_deploy_http::{Role, ServeError, TokenEntry, serve};
use mcp_deploy_mock::{Faults, HttpMode, MockBackend, MockOptions};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

struct Server {
    url: String,
    client: Client,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

fn manager() -> DeploymentManager {
    let backends = Backends::default().with(MockBackend::from_settings(&Settings::default()));
    DeploymentManager::new(Catalog::default(), backends, &Settings::default())
}

async fn start(settings: HttpSettings) -> Server {
    start_over(manager(), settings).await
}

/// On a port that is free, whatever the settings say.
async fn start_over(manager: DeploymentManager, settings: HttpSettings) -> Server {
    let settings = HttpSettings { bind: SocketAddr::new(settings.bind.ip(), 0), ..settings };
    let (told, address) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let started = |address| told.send(address).unwrap();
        let stopped = async { drop(stopped.await) };
        serve(manager, &settings, started, stopped).await
    });
    let address = address.await.unwrap();
    let url = format!("http://127.0.0.1:{}", address.port());
    let client = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    Server { url, client, stop, serving }
}

impl Server {
    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    fn deploy(&self) -> RequestBuilder {
        self.client
            .post(format!("{}/api/templates/deploy/demo/", self.url))
            .json(&json!({"name": "demo-one"}))
    }
}

/// The status of an answer, and the code of the problem that it is.
async fn answer(request: RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success() || body["request_id"] == id, "{body}");
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

const LIST: &str = "/api/templates/deployments/";

#[tokio::test]
async fn a_name_that_leads_here_by_the_dns_of_others_is_refused() {
    let server =
        start(HttpSettings { allowed_hosts: vec!["deploy.example".to_owned()], ..Default::default() }).await;
    let called = |host: &str| answer(server.get(LIST).header("host", host));
    for host in ["127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]:8000", "deploy.example"] {
        assert_eq!(called(host).await.0, StatusCode::OK, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "10.0.0.1"] {
        assert_eq!(
            called(host).await,
            (StatusCode::MISDIRECTED_REQUEST, "host_refused".to_owned()),
            "{host}"
        );
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let allowed_origins = vec!["https://console.example".to_owned()];
    let server = start(HttpSettings { allowed_origins, ..Default::default() }).await;
    for origin in [server.url.as_str(), "https://console.example"] {
        assert_eq!(answer(server.get(LIST).header("origin", origin)).await.0, StatusCode::OK, "{origin}");
    }
    for origin in ["https://evil.example", "http://localhost:3000", "null", "https://console.example.evil"] {
        let refused = answer(server.deploy().header("origin", origin)).await;
        assert_eq!(refused, (StatusCode::FORBIDDEN, "origin_refused".to_owned()), "{origin}");
    }
}

#[tokio::test]
async fn the_browsers_of_allowed_pages_are_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    fs::write(&file, TokenEntry::new("a", Role::Admin, "token-a").line()).unwrap();
    let allowed_origins = vec!["https://console.example/".to_owned()];
    let server = start(HttpSettings { allowed_origins, tokens_file: Some(file), ..Default::default() }).await;
    let url = format!("{}/api/templates/deploy/demo/", server.url);
    let asked = |origin: &str| {
        let preflight = server.client.request(reqwest::Method::OPTIONS, &url).header("origin", origin);
        let preflight = preflight.header("access-control-request-method", "POST");
        preflight.header("access-control-request-headers", "authorization, content-type").send()
    };
    let told = asked("https://console.example").await.unwrap();
    assert!(told.status().is_success(), "{told:?}");
    assert_eq!(told.headers()["access-control-allow-origin"], "https://console.example");
    let told = server.get(LIST).bearer_auth("token-a").header("origin", "https://console.example").send();
    let told = told.await.unwrap();
    assert_eq!(told.headers()["access-control-allow-origin"], "https://console.example");
    let refused = server.get("/api/templates/nothing/").header("origin", "https://console.example").send();
    let refused = refused.await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["access-control-allow-origin"], "https://console.example");
    let told = asked("https://evil.example").await.unwrap();
    assert!(!told.status().is_success() && told.headers().get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn a_token_allows_what_its_role_does() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    let entries = [("r", Role::Reader), ("o", Role::Operator), ("a", Role::Admin)]
        .map(|(name, role)| TokenEntry::new(name, role, &format!("token-{name}")).line());
    fs::write(&file, entries.join("\n")).unwrap();
    let server = start(HttpSettings { tokens_file: Some(file.clone()), ..Default::default() }).await;

    let unknown = server.get(LIST).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(unknown.headers()["www-authenticate"], "Bearer realm=\"mcp-deploy\"");
    let unauthorized = (StatusCode::UNAUTHORIZED, "unauthorized".to_owned());
    assert_eq!(answer(server.get(LIST).bearer_auth("token-x")).await, unauthorized);
    for open in ["/health", "/openapi.json", "/docs/", "/docs/swagger-ui.css"] {
        assert_eq!(server.get(open).send().await.unwrap().status(), StatusCode::OK, "{open}");
    }
    assert_eq!(answer(server.get("/ready/")).await.0, StatusCode::OK);
    assert_eq!(answer(server.get("/nothing").bearer_auth("token-r")).await.1, "no_such_resource");

    let too_low = (StatusCode::FORBIDDEN, "role_too_low".to_owned());
    assert_eq!(answer(server.get(LIST).bearer_auth("token-r")).await.0, StatusCode::OK);
    assert_eq!(answer(server.deploy().bearer_auth("token-r")).await, too_low);
    assert_eq!(answer(server.deploy().bearer_auth("token-o")).await.0, StatusCode::CREATED);
    let delete = || server.client.delete(format!("{}{LIST}demo-one/delete/", server.url));
    assert_eq!(answer(delete().bearer_auth("token-o")).await, too_low);
    assert_eq!(answer(delete().bearer_auth("token-a")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_token_that_is_taken_from_the_file_lets_nobody_in() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    let write = |names: &[&str], second: u64| {
        let lines = names.iter().map(|name| TokenEntry::new(*name, Role::Reader, name).line() + "\n");
        fs::write(&file, lines.collect::<String>()).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        fs::File::options().append(true).open(&file).unwrap().set_modified(at).unwrap();
    };
    write(&["token-a", "token-b"], 1);
    let server = start(HttpSettings { tokens_file: Some(file.clone()), ..Default::default() }).await;
    let status = async |token| answer(server.get(LIST).bearer_auth(token)).await.0;
    assert_eq!((status("token-a").await, status("token-b").await), (StatusCode::OK, StatusCode::OK));
    write(&["token-b"], 2);
    assert_eq!(
        (status("token-a").await, status("token-b").await),
        (StatusCode::UNAUTHORIZED, StatusCode::OK)
    );
}

#[tokio::test]
async fn a_server_that_others_can_reach_needs_tokens() {
    let settings = |insecure_no_auth| HttpSettings {
        bind: "0.0.0.0:0".parse().unwrap(),
        insecure_no_auth,
        ..HttpSettings::default()
    };
    let refused = serve(manager(), &settings(false), |_| {}, std::future::pending()).await.unwrap_err();
    assert!(refused.to_string().contains("MCP_API_TOKENS_FILE"), "{refused}");
    let server = start(settings(true)).await;
    assert_eq!(answer(server.get(LIST).header("host", "deploy.example")).await.0, StatusCode::OK);
    let missing = HttpSettings { tokens_file: Some("/nowhere/tokens".into()), ..settings(false) };
    let refused = serve(manager(), &missing, |_| {}, std::future::pending()).await.unwrap_err();
    assert!(refused.to_string().contains("/nowhere/tokens"), "{refused}");
}

#[tokio::test]
async fn the_id_of_a_problem_is_that_of_the_answer() {
    let server = start(HttpSettings::default()).await;
    for path in ["/nothing", "/api/templates/nothing/", "/api/templates/deployments/nobody/"] {
        // Which `answer` checks.
        assert_eq!(answer(server.get(path)).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = HttpSettings { bind: taken.local_addr().unwrap(), ..HttpSettings::default() };
    let refused = serve(manager(), &settings, |_| {}, std::future::pending()).await.unwrap_err();
    assert!(matches!(&refused, ServeError::Bind { address, .. } if *address == settings.bind), "{refused}");
}

/// Tells when it is dropped.
struct Held(Arc<Semaphore>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

#[tokio::test]
async fn what_feeds_a_stream_is_let_go_of_when_its_client_is_gone() {
    let dropped = Arc::new(Semaphore::new(0));
    let mut backend = MockDeploymentBackend::new();
    backend.expect_name().return_const("docker");
    let held = Arc::clone(&dropped);
    backend.expect_watch().returning(move |_| {
        let held = Held(Arc::clone(&held));
        let synced = stream::iter([Ok(Event::Synced)]).chain(stream::pending());
        synced.inspect(move |_| assert!(!held.0.is_closed())).boxed()
    });
    let manager =
        DeploymentManager::new(Catalog::default(), Backends::default().with(backend), &Settings::default());
    let server = start_over(manager, HttpSettings::default()).await;
    let mut events = server.get("/api/templates/deployments/events/").send().await.unwrap();
    assert!(events.chunk().await.unwrap().unwrap().starts_with(b"event: synced"));
    assert_eq!(dropped.available_permits(), 0);
    drop(events);
    drop(timeout(Duration::from_secs(5), dropped.acquire()).await.expect("it is still held").unwrap());
}

#[tokio::test]
async fn it_ends_with_its_streams_and_what_is_under_way_is_finished() {
    let server = start(HttpSettings::default()).await;
    let mut events = server.get("/api/templates/deployments/events/").send().await.unwrap();
    let deploying = tokio::spawn(server.deploy().send());
    let mut told = String::new();
    while !told.contains("demo-one") {
        told += std::str::from_utf8(&events.chunk().await.unwrap().unwrap()).unwrap();
    }
    server.stop.send(()).unwrap();
    while let Some(chunk) = events.chunk().await.unwrap() {
        told += std::str::from_utf8(&chunk).unwrap();
    }
    assert!(told.ends_with(": the server ends\n\n"), "{told}");
    timeout(Duration::from_secs(40), server.serving).await.unwrap().unwrap().unwrap();
    assert_eq!(deploying.await.unwrap().unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn who_asks_too_often_is_held_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    fs::write(&file, TokenEntry::new("a", Role::Admin, "token-a").line()).unwrap();
    let settings = HttpSettings { tokens_file: Some(file), rate_limit: 5, ..Default::default() };
    let server = start(settings).await;
    // Who guesses tokens, too.
    let guesses = stream::iter(0..20).then(|_| server.get(LIST).bearer_auth("token-x").send());
    let refused: Vec<_> = guesses.map(Result::unwrap).collect().await;
    let last = refused.last().unwrap();
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(last.headers()["retry-after"], "1");
    // Another client of the same address is not.
    assert_eq!(answer(server.get(LIST).bearer_auth("token-a")).await.0, StatusCode::OK);
    let limited = (StatusCode::TOO_MANY_REQUESTS, "rate_limited".to_owned());
    assert_eq!(answer(server.get("/openapi.json")).await, limited);
    // Nobody takes a flood for the end of the process.
    assert_eq!(answer(server.get("/health")).await.0, StatusCode::OK);
    assert_eq!(answer(server.get("/ready")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_origin_that_is_none_is_refused_at_the_start() {
    for origin in ["*", "console.example", "https://", "https://console.example/path"] {
        let settings = HttpSettings { allowed_origins: vec![origin.to_owned()], ..HttpSettings::default() };
        let refused = serve(manager(), &settings, |_| {}, std::future::pending()).await.unwrap_err();
        assert!(refused.to_string().contains(origin), "{refused}");
    }
}

#[tokio::test]
async fn metrics_need_a_token_unless_they_are_open() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    fs::write(&file, TokenEntry::new("r", Role::Reader, "token-r").line()).unwrap();
    let settings = |open_metrics| HttpSettings {
        tokens_file: Some(file.clone()),
        open_metrics,
        ..HttpSettings::default()
    };
    let closed = start(settings(false)).await;
    assert_eq!(closed.get("/metrics").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let shown = closed.get("/metrics").bearer_auth("token-r").send().await.unwrap();
    let metrics = shown.text().await.unwrap();
    assert!(metrics.contains("status=\"401\"} 1"), "{metrics}");
    let open = start(settings(true)).await;
    assert_eq!(open.get("/metrics").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_whose_head_does_not_come_is_not_waited_for() {
    let limits = HttpLimits { arrival_seconds: 1, ..HttpLimits::default() };
    let server = start(HttpSettings { limits, ..Default::default() }).await;
    let mut connection = TcpStream::connect(server.url.replace("http://", "")).await.unwrap();
    connection.write_all(b"GET /health HTTP/1.1\r\nhost: loc").await.unwrap();
    let mut answer = String::new();
    let closed = timeout(Duration::from_secs(10), connection.read_to_string(&mut answer)).await;
    closed.expect("the connection stays open").unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn what_takes_longer_than_the_grace_is_cut() {
    let mute = MockOptions {
        faults: Faults { answers: HttpMode::Mute, ..Faults::default() },
        ..MockOptions::default()
    };
    let backends = Backends::default().with(MockBackend::new(mute));
    let manager = DeploymentManager::new(Catalog::default(), backends, &Settings::default());
    let limits = HttpLimits { grace_seconds: 1, ..HttpLimits::default() };
    let server = start_over(manager, HttpSettings { limits, ..HttpSettings::default() }).await;
    let deploying = tokio::spawn(server.deploy().send());
    while server.get("/metrics").send().await.unwrap().text().await.unwrap().contains("backend=\"mock\"} 0") {
    }
    server.stop.send(()).unwrap();
    timeout(Duration::from_secs(5), server.serving).await.expect("it goes on").unwrap().unwrap();
    assert!(deploying.await.unwrap().is_err());
}
