//! Trials of templates over mocks: what each step tells, and that nothing is left over.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::needless_pass_by_value, reason = "`json!` makes values")]

use std::future::{pending, ready};
use std::time::Duration;

use async_trait::async_trait;
use mcp_deploy_core::{
    BackendHealth, Backends, Capabilities, Catalog, Connection, DeleteOptions, DeployOptions, Deployment,
    DeploymentBackend, DeploymentManager, DeploymentName, DeploymentSpec, Error, EventStream, LogOptions,
    LogStream, Request, Result, Revision, Selector, Settings, Template, TestReport, Trial, Verdict,
};
use mcp_deploy_mock::MockBackend;
use serde_json::{Value, json};
use tokio::time::sleep;

/// A template with these tests, and more fields.
fn template(tests: &Value, more: Value) -> Template {
    let mut document = json!({
        "id": "tried", "name": "Tried", "description": "Is tried.", "version": "1.2.3",
        "volumes": [{"name": "data", "path": "/data"}],
        "tools": [{"name": "say_hello", "input_schema": {
            "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
        }}, {"name": "environment"}],
        "tests": tests,
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Template::from_value(document, None).unwrap()
}

fn manager(backend: impl DeploymentBackend) -> DeploymentManager {
    DeploymentManager::new(Catalog::default(), Backends::default().with(backend), &Settings::default())
}

fn quickly() -> Trial {
    Trial {
        wait: Duration::from_secs(5),
        call: Duration::from_millis(300),
        removal: Duration::from_secs(2),
        ..Trial::default()
    }
}

/// Tries a template on a mock until `stop` comes; the report, and what is left on the mock.
async fn tried_until(template: &Template, stop: impl Future<Output = ()>) -> (TestReport, Vec<String>) {
    let mock = MockBackend::default();
    let report = manager(mock.clone()).test(template, &Request::default(), &quickly(), stop).await.unwrap();
    (report, mock.objects().unwrap())
}

async fn tried(template: &Template) -> (TestReport, Vec<String>) {
    tried_until(template, pending()).await
}

/// The steps as `name: verdict`, those that were skipped and failed with why.
fn told(report: &TestReport) -> String {
    let line = |step: &mcp_deploy_core::TestStep| match &step.verdict {
        Verdict::Passed => format!("{}: passed\n", step.name),
        Verdict::Failed { why, .. } => format!("{}: failed: {why}\n", step.name),
        Verdict::Skipped { why } => format!("{}: skipped: {why}\n", step.name),
    };
    let told: String = report.steps.iter().map(line).collect();
    told.replace(report.deployment_name.as_str(), "NAME")
}

#[tokio::test]
async fn a_template_that_keeps_its_promises_passes_and_leaves_nothing() {
    let template = template(
        &json!([
            {"tool": "say_hello", "arguments": {"name": "Ada"}, "contains": "Ada"},
            {"tool": "say_hello", "arguments": {"name": "Ada"}, "equals": {"tool": "say_hello", "arguments": {"name": "Ada"}}},
            {"tool": "say_hello", "arguments": {}, "fails": true, "contains": "name"},
        ]),
        json!({}),
    );
    let (report, left) = tried(&template).await;
    insta::assert_snapshot!(told(&report), @"
    deploy: passed
    start: passed
    handshake: passed
    tools: passed
    call say_hello: passed
    call say_hello #2: passed
    call say_hello #3: passed
    status: passed
    list: passed
    delete: passed
    ");
    assert!(report.passed && report.log_tail.is_empty(), "{report:?}");
    assert!(report.deployment_name.as_str().starts_with("test-tried-"), "{}", report.deployment_name);
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn every_failing_call_is_told_with_the_log_and_the_rest_is_tried() {
    let template = template(
        &json!([
            {"tool": "say_hello", "arguments": {"name": "Ada"}, "contains": "Bob"},
            {"tool": "say_hello", "arguments": {}},
            {"tool": "say_hello", "arguments": {"name": "Ada"}, "fails": true},
        ]),
        json!({}),
    );
    let (report, left) = tried(&template).await;
    insta::assert_snapshot!(told(&report), @r#"
    deploy: passed
    start: passed
    handshake: passed
    tools: passed
    call say_hello: failed: the answer does not contain `Bob`: it is `{"arguments":{"name":"Ada"},"tool":"say_hello"}`
    call say_hello #2: failed: the tool answered that it failed: `the arguments of `say_hello` do not fit its input schema:
    - "name" is a required property`
    call say_hello #3: failed: the tool was to fail, and answered `{"arguments":{"name":"Ada"},"tool":"say_hello"}`
    status: passed
    list: passed
    logs: passed
    delete: passed
    "#);
    assert!(!report.passed && report.failures().count() == 3, "{report:?}");
    assert_eq!(report.log_tail, ["listening on 0.0.0.0:8080"]);
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_crashes_is_told_with_its_last_lines_and_removed() {
    let crash = json!({"mock": {"crash": {"exit_code": 3, "log": ["fatal: no API key"]}}});
    let (report, left) = tried(&template(&json!([]), crash)).await;
    insta::assert_snapshot!(told(&report), @"
    deploy: passed
    start: failed: `NAME` failed: crash_loop: the server ended with exit code 3
    handshake: skipped: the server did not start
    tools: skipped: the server did not start
    calls: skipped: the server did not start
    status: skipped: the server did not start
    list: skipped: the server did not start
    logs: passed
    delete: passed
    ");
    assert_eq!(report.log_tail.last().map(String::as_str), Some("fatal: no API key"));
    let hint = report.failures().find_map(|step| match &step.verdict {
        Verdict::Failed { hint, .. } => hint.clone(),
        _ => None,
    });
    assert!(hint.is_some_and(|hint| hint.contains("last log lines")));
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_no_mcp_server_is_told_and_its_platform_is_asked_all_the_same() {
    let page = json!({"mock": {"answers": "not_mcp"}});
    let options = Trial { wait: Duration::from_secs(1), ..quickly() };
    let mock = MockBackend::default();
    let tried = template(&json!([{"tool": "say_hello"}]), page);
    let report = manager(mock.clone()).test(&tried, &Request::default(), &options, pending()).await.unwrap();
    insta::assert_snapshot!(told(&report), @"
    deploy: passed
    start: passed
    handshake: failed: `NAME` failed: not_mcp: what answers does not speak MCP: it answers with `text/html`, and MCP is JSON or an event stream
    tools: skipped: the server did not answer
    calls: skipped: the server did not answer
    status: passed
    list: passed
    logs: passed
    delete: passed
    ");
    assert_eq!(mock.objects().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_wants_authorization_is_tried_as_far_as_it_lets_anybody() {
    let (report, _) = tried(&template(&json!([]), json!({"mock": {"answers": "unauthorized"}}))).await;
    assert!(told(&report).contains("tools: skipped: the server wants authorization"), "{}", told(&report));
    assert!(report.passed, "{report:?}");
}

#[tokio::test]
async fn a_call_that_hangs_ends_by_itself() {
    let tests = json!([{"tool": "say_hello", "arguments": {"name": "Ada"}}, {"tool": "environment"}]);
    let (report, left) = tried(&template(&tests, json!({"mock": {"answers": "mute_calls"}}))).await;
    let failed: Vec<&str> = report.failures().map(|step| step.name.as_str()).collect();
    assert_eq!(failed, ["call say_hello", "call environment"]);
    assert!(told(&report).contains("did not answer within 300 ms"), "{}", told(&report));
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn a_trial_that_is_stopped_in_any_step_leaves_nothing() {
    let tests = json!([{"tool": "say_hello", "arguments": {"name": "Ada"}}]);
    let steps = [
        ("start", json!({"slow_start_ms": 60_000})),
        ("handshake", json!({"answers": "mute"})),
        ("call say_hello", json!({"answers": "mute_calls"})),
    ];
    for (step, faults) in steps {
        let mock = MockBackend::default();
        let options = Trial { wait: Duration::from_mins(1), call: Duration::from_mins(1), ..quickly() };
        let template = template(&tests, json!({"mock": faults}));
        let stop = sleep(Duration::from_millis(500));
        let report =
            manager(mock.clone()).test(&template, &Request::default(), &options, stop).await.unwrap();
        let told = told(&report);
        assert!(told.contains(&format!("\n{step}: skipped: the trial was stopped here\n")), "{told}");
        assert!(told.ends_with("delete: passed\n"), "{told}");
        assert!(report.interrupted && !report.passed && report.left_over.is_none(), "{report:?}");
        assert_eq!(mock.objects().unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_trial_that_is_stopped_before_it_begins_deploys_nothing() {
    let (report, left) = tried_until(&template(&json!([]), json!({})), ready(())).await;
    assert!(told(&report).starts_with("deploy: skipped: the trial was stopped\n"), "{}", told(&report));
    assert!(report.interrupted && left.is_empty(), "{report:?}");
}

#[tokio::test]
async fn what_cannot_be_removed_is_told_with_the_way_to_remove_it() {
    let mock = MockBackend::default();
    let tests = json!([{"tool": "say_hello", "arguments": {"name": "Ada"}}]);
    let template = template(&tests, json!({"mock": {"answers": "mute_calls"}}));
    let (manager, request, options) = (manager(mock.clone()), Request::default(), quickly());
    let away = async {
        sleep(Duration::from_millis(250)).await;
        mock.be_away(u32::MAX).unwrap();
    };
    let (report, ()) = tokio::join!(manager.test(&template, &request, &options, pending()), away);
    let report = report.unwrap();
    let name = &report.deployment_name;
    assert_eq!(
        report.left_over,
        Some(format!("`{name}` may still be on mock: `delete {name} --volumes` removes it"))
    );
    assert!(told(&report).contains("delete: failed: mock cannot be reached"), "{}", told(&report));
    assert!(report.duration < Duration::from_secs(10), "{:?}", report.duration);
}

#[tokio::test]
async fn a_platform_that_is_away_for_a_while_keeps_nothing_from_being_removed() {
    let mock = MockBackend::default();
    let template = template(&json!([]), json!({"mock": {"answers": "mute"}}));
    let stop = async {
        sleep(Duration::from_millis(300)).await;
        mock.be_away(2).unwrap();
    };
    let options = Trial { removal: Duration::from_secs(20), ..quickly() };
    let report = manager(mock.clone()).test(&template, &Request::default(), &options, stop).await.unwrap();
    assert!(told(&report).ends_with("delete: passed\n"), "{}", told(&report));
    assert_eq!(mock.objects().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_secret_is_in_no_report_even_where_the_server_answers_it() {
    const CANARY: &str = "c4n4ry \"quoted\"";
    let echoes = json!({
        "mock": {"echo_environment": true},
        "config_schema": {"properties": {"key": {"type": "string", "sensitive": true}}},
    });
    let template = template(&json!([{"tool": "environment", "contains": "nothing of it"}]), echoes);
    let request = Request::default().value("key", CANARY).env("OTHER_TOKEN", "0ther-c4n4ry");
    let options = Trial { call: Duration::from_secs(5), ..quickly() };
    let report =
        manager(MockBackend::default()).test(&template, &request, &options, pending()).await.unwrap();
    let shown = format!("{report:?}{}", serde_json::to_string(&report).unwrap());
    assert!(told(&report).contains(r#""KEY":"***""#), "the server does not answer it: {}", told(&report));
    assert!(!shown.contains("c4n4ry"), "{shown}");
}

#[tokio::test]
async fn what_is_to_be_kept_stays_for_a_look() {
    let mock = MockBackend::default();
    let options = Trial { keep: true, ..quickly() };
    let template = template(&json!([]), json!({}));
    let report =
        manager(mock.clone()).test(&template, &Request::default(), &options, pending()).await.unwrap();
    assert!(
        report.passed && told(&report).contains("`delete NAME --volumes` removes it"),
        "{}",
        told(&report)
    );
    assert!(mock.get(&report.deployment_name).await.unwrap().ready);
}

#[tokio::test]
async fn what_is_wrong_before_anything_is_touched_is_an_error() {
    let mock = MockBackend::default();
    let manager = manager(mock.clone());
    let error = async |template: &Template, request: &Request| {
        manager.test(template, request, &quickly(), pending()).await.unwrap_err().code()
    };
    let good = template(&json!([]), json!({}));
    assert_eq!(error(&good, &Request::default().replicas(100_000)).await, "invalid");
    assert_eq!(
        error(&template(&json!([]), json!({"mock": {"crsh": {}}})), &Request::default()).await,
        "invalid"
    );
    mock.be_away(1).unwrap();
    assert_eq!(error(&good, &Request::default()).await, "unavailable");
    assert_eq!(mock.objects().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_deploy_that_is_cut_off_is_removed_although_it_comes_about_late() {
    tokio::time::pause();
    let mock = MockBackend::default();
    let late = Late { mock: mock.clone(), after: Duration::from_millis(11_500) };
    let options = Trial { removal: Duration::from_mins(1), ..quickly() };
    let stop = sleep(Duration::from_millis(500));
    let template = template(&json!([]), json!({}));
    let report = manager(late).test(&template, &Request::default(), &options, stop).await.unwrap();
    assert!(told(&report).starts_with("deploy: skipped: the trial was stopped here\n"), "{}", told(&report));
    assert_eq!(mock.objects().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_deploy_that_is_soon_done_is_let_go_to_its_end() {
    tokio::time::pause();
    let mock = MockBackend::default();
    let late = Late { mock: mock.clone(), after: Duration::from_secs(3) };
    let stop = sleep(Duration::from_millis(500));
    let report = manager(late)
        .test(&template(&json!([]), json!({})), &Request::default(), &quickly(), stop)
        .await
        .unwrap();
    assert!(told(&report).ends_with("delete: passed\n"), "{}", told(&report));
    assert_eq!(mock.objects().unwrap(), Vec::<String>::new());
}

/// A mock to which a deploy comes late, also one that nobody waits for any more.
#[derive(Debug, Clone)]
struct Late {
    mock: MockBackend,
    after: Duration,
}

#[async_trait]
impl DeploymentBackend for Late {
    fn name(&self) -> &'static str {
        "late"
    }

    fn capabilities(&self) -> Capabilities {
        self.mock.capabilities()
    }

    async fn check(&self) -> Result<BackendHealth> {
        self.mock.check().await
    }

    async fn deploy(&self, spec: &DeploymentSpec, options: DeployOptions) -> Result<Deployment> {
        let (mock, after, spec) = (self.mock.clone(), self.after, spec.clone());
        let deploy = tokio::spawn(async move {
            sleep(after).await;
            mock.deploy(&spec, options).await
        });
        deploy.await.map_err(|error| Error::backend("late", "deploy", error))?
    }

    async fn get(&self, name: &DeploymentName) -> Result<Deployment> {
        self.mock.get(name).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<std::sync::Arc<Deployment>>> {
        self.mock.list(selector).await
    }

    async fn scale(&self, name: &DeploymentName, replicas: u32) -> Result<Deployment> {
        self.mock.scale(name, replicas).await
    }

    async fn restart(&self, name: &DeploymentName) -> Result<Deployment> {
        self.mock.restart(name).await
    }

    async fn delete(&self, name: &DeploymentName, options: DeleteOptions) -> Result<()> {
        self.mock.delete(name, options).await
    }

    async fn revisions(&self, name: &DeploymentName) -> Result<Vec<Revision>> {
        self.mock.revisions(name).await
    }

    async fn connect(&self, name: &DeploymentName) -> Result<Connection> {
        self.mock.connect(name).await
    }

    fn logs(&self, name: &DeploymentName, options: LogOptions) -> LogStream {
        self.mock.logs(name, options)
    }

    fn watch(&self, selector: Selector) -> EventStream {
        self.mock.watch(selector)
    }
}
