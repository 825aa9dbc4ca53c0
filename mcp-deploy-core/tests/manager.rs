//! The manager over mocks: routing, waiting, verifying, and what its errors say.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::time::Duration;

use futures_util::StreamExt;
use mcp_deploy_core::{
    Backends, Catalog, Change, Deploy, DeploymentManager, DeploymentName, Error, Event, FailureReason,
    LogOptions, Phase, Progress, Recovery, Request, Selector, Settings, Status, Template,
};
use mcp_deploy_mock::{Crash, Faults, HttpMode, MockBackend, MockOptions};
use tokio::sync::mpsc;

/// A manager of one mock, with the mock itself.
fn managed() -> (DeploymentManager, MockBackend) {
    let mock = MockBackend::default();
    (manager(mock.clone()), mock)
}

fn manager(mock: MockBackend) -> DeploymentManager {
    let backends = Backends::default().with(mock).without("docker", "docker");
    DeploymentManager::new(Catalog::default(), backends, &Settings::default())
}

fn demo() -> Template {
    let text = "{id: plain, name: Plain, description: Plain., version: '1', tools: [{name: echo}]}";
    Template::parse(text, "it", None).unwrap()
}

fn quickly() -> Deploy {
    Deploy { wait: Some(Duration::from_secs(2)), ..Deploy::default() }
}

fn name(text: &str) -> DeploymentName {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_built_in_template_becomes_a_server_that_answers() {
    let (manager, _) = managed();
    let template = manager.template("demo").unwrap();
    let spec = manager.resolve(&template, &Request::default()).unwrap();
    let deployed = manager.deploy(&spec, &Deploy::default()).await.unwrap();
    assert_eq!(deployed.change, Change::Created);
    let report = deployed.deployment.mcp.unwrap();
    assert_eq!(report.server.unwrap().name, "demo");
    assert_eq!(report.tools, ["say_hello", "say_goodbye"]);
    assert!(deployed.deployment.endpoint.unwrap().starts_with("http://127.0.0.1:"));
}

#[tokio::test]
async fn an_unknown_backend_says_which_there_are() {
    let (manager, _) = managed();
    let complaint =
        async |backend: &str| manager.get(Some(backend), &name("aa")).await.unwrap_err().to_string();
    assert_eq!(complaint("mok").await, "no backend `mok`: did you mean `mock`?");
    assert_eq!(
        complaint("docker").await,
        "no backend `docker`: this program was built without it; build it with `--features docker`"
    );
    assert_eq!(complaint("nomad").await, "no backend `nomad`: there is `mock`");
    let nothing = DeploymentManager::new(Catalog::default(), Backends::default(), &Settings::default());
    let error = nothing.get(None, &name("aa")).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("none is built in")), ("backend_not_found", true));
}

#[tokio::test]
async fn an_absent_name_comes_with_the_nearest() {
    let (manager, _) = managed();
    let spec = manager.resolve(&demo(), &Request::default().name("plain-one")).unwrap();
    manager.deploy(&spec, &Deploy { wait: None, ..Deploy::default() }).await.unwrap();
    let error = manager.get(None, &name("plain-ome")).await.unwrap_err();
    assert_eq!(error.to_string(), "no deployment `plain-ome` on mock; did you mean `plain-one`?");
    let error = manager.logs(None, &name("other"), LogOptions::default()).await.err().unwrap();
    assert_eq!(error.to_string(), "no deployment `other` on mock");
}

#[tokio::test]
async fn a_backend_that_is_away_does_not_hide_the_others() {
    let (manager, mock) = managed();
    mock.be_away(1).unwrap();
    let listed = manager.list(None, &Selector::default()).await.unwrap();
    assert!(listed.deployments.is_empty());
    assert!(
        matches!(listed.errors.as_slice(), [("mock", error)] if error.is_retryable()),
        "{:?}",
        listed.errors
    );
    assert!(manager.list(None, &Selector::default()).await.unwrap().errors.is_empty());
}

#[tokio::test]
async fn a_deploy_waits_through_a_platform_that_is_away_for_a_while() {
    let (manager, mock) = managed();
    mock.set_faults(Faults { unavailable_calls: 3, ..Faults::default() });
    let spec = manager.resolve(&demo(), &Request::default().name("patient")).unwrap();
    let deployed = manager.deploy(&spec, &quickly()).await.unwrap();
    assert_eq!(deployed.deployment.status, Status::Running);
}

#[tokio::test]
async fn a_server_that_wants_authorization_is_deployed() {
    let (manager, mock) = managed();
    mock.set_faults(Faults { answers: HttpMode::Unauthorized, ..Faults::default() });
    let spec = manager.resolve(&demo(), &Request::default().name("guarded")).unwrap();
    let deployed = manager.deploy(&spec, &quickly()).await.unwrap();
    assert!(deployed.deployment.mcp.unwrap().authorization_required);
}

#[tokio::test]
async fn what_keeps_a_server_from_answering_is_told_apart() {
    let (manager, mock) = managed();
    let reason = async |faults: Faults, deployment: &str| {
        mock.set_faults(faults);
        let spec = manager.resolve(&demo(), &Request::default().name(deployment)).unwrap();
        match manager.deploy(&spec, &quickly()).await.unwrap_err() {
            Error::Failed { failure, .. } => Ok(failure.reason),
            error => Err(error.to_string()),
        }
    };
    let answers = |answers| Faults { answers, ..Faults::default() };
    assert_eq!(reason(answers(HttpMode::HostRejected), "rejects").await, Ok(FailureReason::HostRejected));
    assert_eq!(reason(answers(HttpMode::NotMcp), "web-page").await, Ok(FailureReason::NotMcp));
    assert_eq!(
        reason(answers(HttpMode::Mute), "mute").await,
        Err("`mute` did not become an MCP server that answers within 2 s".to_owned())
    );
    assert_eq!(
        reason(Faults { never_ready: true, ..Faults::default() }, "unready").await,
        Err("`unready` did not become ready within 2 s".to_owned())
    );
    let taken = Faults { port_conflict: true, ..Faults::default() };
    assert_eq!(reason(taken, "taken").await, Ok(FailureReason::PortConflict));
}

#[tokio::test]
async fn an_update_that_does_not_answer_mcp_goes_back() {
    let (manager, _) = managed();
    let good = manager.resolve(&demo(), &Request::default().name("careful")).unwrap();
    let before = manager.deploy(&good, &quickly()).await.unwrap().deployment;
    let mut bad = good.clone();
    bad.mock = Some(serde_json::json!({"answers": "not_mcp"}));
    let Error::Failed { failure, recovery, .. } = manager.deploy(&bad, &quickly()).await.unwrap_err() else {
        panic!("a web page is no timeout");
    };
    assert_eq!((failure.reason, recovery), (FailureReason::NotMcp, Some(Recovery::Restored)));
    insta::assert_snapshot!(failure.message, @"what answers does not speak MCP: it answers with `text/html`, and MCP is JSON or an event stream");
    let after = manager.status(None, &good.name).await.unwrap();
    assert_eq!((after.mcp, after.endpoint), (before.mcp, before.endpoint));
}

#[tokio::test]
async fn a_way_back_that_fails_is_told_as_well() {
    let (manager, mock) = managed();
    let good = manager.resolve(&demo(), &Request::default().name("unlucky")).unwrap();
    manager.deploy(&good, &quickly()).await.unwrap();
    // From now on everything crashes, also what worked before.
    mock.set_faults(Faults { crash: Some(Crash { exit_code: 9, log: Vec::new() }), ..Faults::default() });
    let bad = manager.resolve(&demo(), &Request::default().name("unlucky").env("A", "b")).unwrap();
    let error = manager.deploy(&bad, &quickly()).await.unwrap_err();
    insta::assert_snapshot!(error, @"`unlucky` failed: crash_loop: the server ended with exit code 9; going back to the revision before failed: `unlucky` failed: crash_loop: the server ended with exit code 9");
}

#[tokio::test]
async fn a_platform_that_is_away_during_the_handshake_is_tried_again() {
    let (manager, mock) = managed();
    let spec = manager.resolve(&demo(), &Request::default().name("flaky")).unwrap();
    mock.set_faults(Faults { never_listens: true, ..Faults::default() });
    let options = Deploy { wait: Some(Duration::from_secs(1)), ..Deploy::default() };
    let away = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        mock.be_away(3).unwrap();
    };
    let (outcome, ()) = tokio::join!(manager.deploy(&spec, &options), away);
    assert_eq!(outcome.unwrap_err().code(), "timeout");
}

#[tokio::test]
async fn a_failed_update_does_not_take_back_what_another_has_deployed() {
    let (manager, mock) = managed();
    let spec = |request: Request| manager.resolve(&demo(), &request.name("contested")).unwrap();
    manager.deploy(&spec(Request::default()), &quickly()).await.unwrap();
    let mut bad = spec(Request::default().env("V", "bad"));
    bad.mock = Some(serde_json::json!({"never_listens": true}));
    let good = spec(Request::default().env("V", "good"));
    let options = quickly();
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        manager.deploy(&good, &options).await.unwrap()
    };
    let (outcome, deployed) = tokio::join!(manager.deploy(&bad, &options), meanwhile);
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), "superseded", "{error}");
    let after = mcp_deploy_core::DeploymentBackend::get(&mock, &good.name).await.unwrap();
    assert_eq!((after.revision, after.instances), (3, deployed.deployment.instances));
}

#[tokio::test]
async fn a_wait_of_all_eternity_is_no_panic() {
    let (manager, _) = managed();
    let spec = manager.resolve(&demo(), &Request::default().name("eternal")).unwrap();
    let options = Deploy { wait: Some(Duration::MAX), ..Deploy::default() };
    manager.deploy(&spec, &options).await.unwrap();
}

#[tokio::test]
async fn status_asks_the_server_and_says_when_it_does_not_answer() {
    let (manager, mock) = managed();
    let spec = manager.resolve(&demo(), &Request::default().name("asked")).unwrap();
    manager.deploy(&spec, &quickly()).await.unwrap();
    assert!(manager.status(None, &spec.name).await.unwrap().mcp.is_some());

    mock.set_faults(Faults { answers: HttpMode::NotMcp, ..Faults::default() });
    let other = manager.resolve(&demo(), &Request::default().name("silent")).unwrap();
    manager.deploy(&other, &Deploy { wait: None, ..Deploy::default() }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let silent = manager.status(None, &other.name).await.unwrap();
    assert_eq!((silent.status, silent.failure.unwrap().reason), (Status::Degraded, FailureReason::NotMcp));

    let all = manager.list(None, &Selector::default()).await.unwrap().deployments;
    let asked = manager.ask_all(all).await;
    assert_eq!(asked.iter().filter(|deployment| deployment.mcp.is_some()).count(), 1);
}

#[tokio::test]
async fn start_stop_and_start_again() {
    let (manager, _) = managed();
    let spec = manager.resolve(&demo(), &Request::default().name("sleeper")).unwrap();
    let before = manager.deploy(&spec, &quickly()).await.unwrap().deployment;
    assert_eq!(manager.start(None, &spec.name).await.unwrap().instances, before.instances);
    assert_eq!(manager.scale(None, &spec.name, 0).await.unwrap().status, Status::Stopped);
    manager.start(None, &spec.name).await.unwrap();
    let after = manager.wait(None, &spec.name, Duration::from_secs(5)).await.unwrap();
    assert_eq!((after.ready, &after.endpoint), (true, &before.endpoint));
}

#[tokio::test]
async fn a_deploy_tells_each_step() {
    let (manager, mock) = managed();
    let (sender, mut steps) = mpsc::unbounded_channel();
    let options = Deploy { progress: Some(sender), ..quickly() };
    let spec = |request: Request| manager.resolve(&demo(), &request.name("told")).unwrap();
    manager.deploy(&spec(Request::default()), &options).await.unwrap();
    mock.set_faults(Faults { crash: Some(Crash { exit_code: 1, log: Vec::new() }), ..Faults::default() });
    manager.deploy(&spec(Request::default().env("A", "b")), &options).await.unwrap_err();
    drop(options);
    let mut told = Vec::new();
    while let Some(Progress::Phase(phase)) = steps.recv().await {
        told.push(phase);
    }
    assert_eq!(told[..3], [Phase::Deploying, Phase::Starting, Phase::Verifying]);
    assert!(told[3..].contains(&Phase::GoingBack), "{told:?}");
}

#[tokio::test]
async fn a_watch_spans_all_backends() {
    let (manager, _) = managed();
    let mut events = manager.watch(None, &Selector::default()).unwrap();
    assert_eq!(events.next().await.unwrap().unwrap(), Event::Synced);
    let spec = manager.resolve(&demo(), &Request::default().name("watched")).unwrap();
    manager.deploy(&spec, &quickly()).await.unwrap();
    let event = events.next().await.unwrap().unwrap();
    assert!(matches!(event, Event::Changed(deployment) if deployment.name == spec.name));
}

#[tokio::test]
async fn two_handles_of_a_state_file_agree() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let state = Some(directory.path().join("mock.json"));
        manager(MockBackend::new(MockOptions { state, ..MockOptions::default() }))
    };
    let (one, other) = (open(), open());
    let spec = one.resolve(&demo(), &Request::default().name("shared").env("API_KEY", "k3y")).unwrap();
    let deployed = one.deploy(&spec, &quickly()).await.unwrap().deployment;
    assert_eq!(deployed.endpoint, None);
    assert_eq!(other.get(None, &spec.name).await.unwrap().instances, deployed.instances);
    assert_eq!(other.deploy(&spec, &quickly()).await.unwrap().change, Change::Unchanged);
    assert_eq!(other.tools(None, &spec.name).await.unwrap()[0].name, "echo");
    other.delete(None, &spec.name, mcp_deploy_core::DeleteOptions::default()).await.unwrap();
    assert!(matches!(one.get(None, &spec.name).await, Err(Error::NotFound { .. })));
}

#[cfg(feature = "mockall")]
mod strict {
    use mcp_deploy_core::{Capabilities, MockDeploymentBackend};

    use super::*;

    #[tokio::test]
    async fn a_first_deploy_that_fails_stays_for_a_look() {
        let mut backend = MockDeploymentBackend::new();
        backend.expect_name().return_const("strict");
        backend.expect_capabilities().return_const(Capabilities::LEAST);
        backend
            .expect_get()
            .returning(|name| Err(Error::NotFound { name: name.clone(), backend: "strict", nearest: None }));
        backend
            .expect_deploy()
            .times(1)
            .returning(|_, _| Err(Error::Denied { backend: "strict", action: "create it".to_owned() }));
        // Nothing else is expected: no delete, no second deploy, no revisions.
        let manager = DeploymentManager::new(
            Catalog::default(),
            Backends::default().with(backend),
            &Settings::default(),
        );
        let spec = manager.resolve(&demo(), &Request::default().name("strictly")).unwrap();
        let error = manager.deploy(&spec, &quickly()).await.unwrap_err();
        assert_eq!((error.code(), error.to_string()), ("denied", "strict denied create it".to_owned()));
    }
}
