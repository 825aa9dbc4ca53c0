//! The contract of images, with images that break each clause of it.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use mcp_deploy_core::{DeploymentBackend, Request, Selector, resolve};
use mcp_deploy_docker::{Build, BuildOptions, Clause, ContractReport, Verdict};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::build::{REGISTRY, directory, forget_all, template};
use crate::fixture::{Daemon, image};

/// Builds an image of the mock server, with more lines in its Dockerfile, and holds it against the contract. Several
/// may be under way at once: most of the time is waited.
async fn checked(daemon: &Daemon, behaviour: &str, lines: &str, more: Value) -> ContractReport {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let dockerfile = format!(
        "FROM {}\nENV MOCK_BEHAVIOUR={behaviour}\nENTRYPOINT [\"/mcp-mock-server\"]\n{lines}\n",
        image::NAME
    );
    let served = json!({"id": "t-served", "name": "S", "description": "S.", "version": "1"}).to_string();
    let root = directory(&[("Dockerfile", &dockerfile), ("served.json", &served)]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let owner_alone = fs::Permissions::from_mode(0o600);
        fs::set_permissions(root.path().join("served.json"), owner_alone).unwrap();
    }
    let id = format!("t-contract-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let template = template(root.path(), &id, more);
    let built = Build::of_template(&template, REGISTRY, BuildOptions::default()).unwrap();
    let built = daemon.backend.build(&built, None).await.unwrap();
    let spec = resolve(&template, &Request::default(), REGISTRY).unwrap();
    let report = daemon.backend.check_contract(&spec, std::future::pending()).await.unwrap().unwrap();
    has_nothing_of(daemon, &id).await;
    forget_all(daemon, &built.tags).await;
    report
}

/// Nothing is left of what was started of a template.
async fn has_nothing_of(daemon: &Daemon, template: &str) {
    let template = Some(template.parse().unwrap());
    let left = daemon.backend.list(&Selector { template, ..Selector::default() }).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

fn verdict(report: &ContractReport, clause: Clause) -> (Verdict, String) {
    let found = report.clauses.iter().find(|report| report.clause == clause).unwrap();
    (found.verdict, found.detail.clone().unwrap_or_default())
}

/// The clauses that are broken, and no others.
fn check_broken(report: &ContractReport, expected: &[Clause]) {
    let broken: Vec<Clause> = report.broken().map(|report| report.clause).collect();
    assert_eq!(broken, expected, "{report:?}");
    assert_eq!(report.failure().is_none(), expected.is_empty());
}

pub(crate) async fn an_image_that_keeps_the_contract_keeps_every_clause(daemon: &Daemon) {
    let more = json!({"health": {}, "volumes": [{"name": "data", "path": "/data", "size": "1Gi"}]});
    let report = checked(daemon, "well", "", more).await;
    check_broken(&report, &[]);
    assert!(report.clauses.iter().all(|report| report.verdict == Verdict::Kept), "{report:?}");
    assert_eq!(report.clauses.iter().map(|report| report.clause).collect::<Vec<_>>(), Clause::ALL);
    assert!(verdict(&report, Clause::Mcp).1.contains("mcp-mock-server, 1 tool"), "{report:?}");

    let report = checked(daemon, "unauthorized", "", json!({})).await;
    check_broken(&report, &[]);
    assert_eq!(verdict(&report, Clause::Ready).0, Verdict::NotPromised);

    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["clauses"][2]["clause"], "health");
    assert_eq!(json["clauses"][2]["verdict"], "not_promised");
}

pub(crate) async fn each_clause_that_is_broken_is_told(daemon: &Daemon) {
    let paths = json!({"health": {"liveness": "/alive", "readiness": "/set"}});
    let (crashes, elsewhere, other, absent, stdio, mute, stubborn) = tokio::join!(
        checked(daemon, "crash:3", "", json!({"health": {}})),
        checked(daemon, "well", "", paths),
        checked(daemon, "not-mcp", "", json!({})),
        checked(daemon, "well", "ENTRYPOINT [\"/no-such-program\"]", json!({})),
        checked(daemon, "stdio", "", json!({})),
        checked(daemon, "never-listens", "", json!({"transport": {"port": 9000}})),
        checked(daemon, "ignore-sigterm", "", json!({})),
    );

    check_broken(&crashes, &[Clause::StaysUp]);
    assert!(verdict(&crashes, Clause::StaysUp).1.contains("exit code 3"), "{crashes:?}");
    assert_eq!(verdict(&crashes, Clause::Hardened).0, Verdict::NotSeen);
    assert!(crashes.log_tail.iter().any(|line| line.contains("told to crash")), "{crashes:?}");
    let failure = crashes.failure().unwrap();
    assert!(failure.message.contains("breaks the contract: stays_up: "), "{failure}");

    check_broken(&elsewhere, &[Clause::Health, Clause::Ready]);
    assert_eq!(verdict(&elsewhere, Clause::Health).1, "`/alive` answers 404, and 200 is promised");

    check_broken(&other, &[Clause::Mcp]);
    assert!(verdict(&other, Clause::Mcp).1.contains("does not speak MCP"), "{other:?}");

    check_broken(&absent, &[Clause::StaysUp]);
    assert!(absent.log_tail.iter().any(|line| line.contains("/no-such-program failed")), "{absent:?}");

    // It ends at once where nobody writes to it.
    check_broken(&stdio, &[Clause::StaysUp]);
    assert!(verdict(&stdio, Clause::StaysUp).1.contains("HTTP transport"), "{stdio:?}");

    check_broken(&mute, &[Clause::Listens]);
    assert!(verdict(&mute, Clause::Listens).1.contains("nothing listens on port 9000"), "{mute:?}");
    assert_eq!(verdict(&mute, Clause::Mcp).0, Verdict::NotSeen);
    assert_eq!(verdict(&mute, Clause::StaysUp).0, Verdict::Kept);

    check_broken(&stubborn, &[Clause::Terminates]);
    assert!(
        verdict(&stubborn, Clause::Terminates).1.contains("went on for 10 s after SIGTERM"),
        "{stubborn:?}"
    );
}

pub(crate) async fn what_an_image_needs_taken_back_is_found_by_trying(daemon: &Daemon) {
    let served =
        "COPY served.json /served.json\nENTRYPOINT [\"/mcp-mock-server\", \"--template\", \"/served.json\"]";
    let cases = [
        // Everybody may write there, but for the read-only root.
        ("write:/data/x", "", r#""security": {"read_only_root":false}"#),
        // Root alone may read it.
        ("well", served, r#""security": {"run_as_user":"image"}"#),
        // Root alone may write there, and not with a read-only root.
        ("write:/x", "", r#""security": {"read_only_root":false,"run_as_user":"image"}"#),
    ];
    join_all(cases.map(|(behaviour, lines, field)| async move {
        let report = checked(daemon, behaviour, lines, json!({"health": {}})).await;
        check_broken(&report, &[Clause::Hardened]);
        let detail = verdict(&report, Clause::Hardened).1;
        assert!(detail.contains(field) && detail.contains("exit code 1"), "{detail}");
        assert!(!report.log_tail.is_empty(), "{report:?}");

        // With exactly that field it keeps the contract.
        let document: Value = serde_json::from_str(&format!("{{{field}}}")).unwrap();
        let report = checked(daemon, behaviour, lines, document).await;
        check_broken(&report, &[]);
        assert!(verdict(&report, Clause::Hardened).1.contains("the template takes back"), "{report:?}");
    }))
    .await;
}

pub(crate) async fn a_check_that_is_stopped_leaves_nothing(daemon: &Daemon) {
    let dockerfile = format!("FROM {}\nENTRYPOINT [\"/mcp-mock-server\"]\n", image::NAME);
    let root = directory(&[("Dockerfile", &dockerfile)]);
    let template = template(
        root.path(),
        "t-stopped",
        json!({"environment_variables": {"MOCK_BEHAVIOUR": "never-listens"}}),
    );
    let build = Build::of_template(&template, REGISTRY, BuildOptions::default()).unwrap();
    daemon.backend.build(&build, None).await.unwrap();
    let spec = resolve(&template, &Request::default(), REGISTRY).unwrap();
    let started = Instant::now();
    let outcome = daemon.backend.check_contract(&spec, sleep(Duration::from_secs(2))).await.unwrap();
    assert_eq!(outcome, None);
    assert!(started.elapsed() < Duration::from_secs(8), "it went on for {:?}", started.elapsed());
    has_nothing_of(daemon, "t-stopped").await;
    forget_all(daemon, &build.tags).await;
}
