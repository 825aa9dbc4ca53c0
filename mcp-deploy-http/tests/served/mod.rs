//! The API on a port of this machine, and a client for it that holds every answer against the API's document.

mod contract;

use std::fs;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use mcp_deploy_core::{
    Backends, Capabilities, Catalog, DeploymentManager, Error, HttpLimits, MockDeploymentBackend, Settings,
};
use mcp_deploy_http::{Api, configure};
use mcp_deploy_mock::{Faults, HttpMode, MockBackend, MockOptions};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long a platform may take here, and that no more is under way than a test can begin.
const LIMITS: HttpLimits = HttpLimits {
    answer_seconds: 3,
    change_seconds: 25,
    arrival_seconds: 2,
    grace_seconds: 5,
    streams: 8,
    deploys: 8,
};
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Served {
    pub(crate) api: Api,
    pub(crate) client: Client,
    url: String,
    templates: TempDir,
    serving: ServerHandle,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It is told so at once; nobody waits for the end.
        drop(self.serving.stop(false));
    }
}

impl Served {
    pub(crate) fn start() -> Self {
        Self::over(Backends::default().with(Self::mock()))
    }

    pub(crate) fn mock() -> MockBackend {
        MockBackend::from_settings(&Settings::default())
    }

    /// A platform that cannot be reached.
    pub(crate) fn away() -> MockDeploymentBackend {
        let unreachable = || Error::Unavailable { backend: "docker", source: "secret place".into() };
        let mut away = MockDeploymentBackend::new();
        away.expect_name().return_const("docker");
        away.expect_capabilities().return_const(Capabilities::LEAST);
        away.expect_check().returning(move || Err(unreachable()));
        away.expect_list().returning(move |_| Err(unreachable()));
        away
    }

    /// A platform whose servers never answer.
    pub(crate) fn mute() -> MockBackend {
        let faults = Faults { answers: HttpMode::Mute, ..Faults::default() };
        MockBackend::new(MockOptions { faults, ..MockOptions::default() })
    }

    pub(crate) fn over(backends: Backends) -> Self {
        let templates = tempfile::tempdir().unwrap();
        let catalog = Catalog::new([templates.path().to_owned()]);
        let manager = DeploymentManager::new(catalog, backends, &Settings::default());
        let api = Api::with_limits(manager, LIMITS);
        let mounted = api.clone();
        let server = HttpServer::new(move || App::new().configure(configure(&mounted)));
        let server =
            server.workers(1).h1_allow_half_closed(false).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let serving = server.handle();
        tokio::spawn(server);
        let client = Client::builder().timeout(PATIENCE).build().unwrap();
        Self { api, client, url, templates, serving }
    }

    pub(crate) fn write_template(&self, id: &str, template: &Value) {
        let directory = self.templates.path().join(id);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("template.json"), template.to_string()).unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(self.url(path))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.client.post(self.url(path)).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.client.delete(self.url(path))).await
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.client.execute(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Answer { status, headers, body: response.text().await.unwrap() };
        contract::check(&method, &path, &answer);
        answer
    }

    /// Waits until the one deployment that there is runs.
    pub(crate) async fn wait_until_running(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.get("/api/templates/deployments/?status=running").await.json()["count"] != 1 {
            assert!(Instant::now() < deadline, "it never ran");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stream(&self, path: &str) -> Events {
        Events::of(self.client.get(self.url(path))).await
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        self.body.split_terminator("\n\n").filter_map(event).collect()
    }

    /// The problem that the answer has to be.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: StatusCode, code: &str) -> Value {
        assert_eq!(
            (self.status, self.header("content-type")),
            (status, "application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.as_u16().into()));
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        problem
    }
}

/// Events as they come.
pub(crate) struct Events {
    response: Response,
    text: String,
}

impl Events {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.header("accept", "text/event-stream").send().await.unwrap();
        Self { response, text: String::new() }
    }

    pub(crate) async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((first, rest)) = self.text.split_once("\n\n") {
                let (first, rest) = (event(first), rest.to_owned());
                self.text = rest;
                if let Some(event) = first {
                    return event;
                }
                continue;
            }
            let chunk = self.response.chunk().await.unwrap().expect("the stream has ended");
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// All that comes until the end.
    pub(crate) async fn rest(mut self) -> String {
        while let Some(chunk) = self.response.chunk().await.unwrap() {
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
        self.text
    }
}

/// `None` for a comment.
fn event(text: &str) -> Option<(String, Value)> {
    let (kind, data) = text.strip_prefix("event: ")?.split_once("\ndata: ")?;
    Some((kind.to_owned(), serde_json::from_str(data).unwrap()))
}
