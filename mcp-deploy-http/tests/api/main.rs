//! The API over a real socket, on the mock.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../served/mod.rs"]
mod served;

mod hanging;
mod limits;

use futures_util::{StreamExt, stream};
use mcp_deploy_core::{Backends, DeploymentBackend, Error};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::hanging::Hanging;
use crate::served::{Answer, Events, Served};

#[tokio::test]
async fn a_deployment_lives_its_life() {
    let api = Served::start();
    let created = api.post("/api/templates/deploy/demo/", &json!({"name": "demo-one"})).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    assert_eq!(created.header("location"), "/api/templates/deployments/demo-one/");
    let deployment = &created.json()["deployment"];
    assert_eq!(deployment["deployment_name"], "demo-one");
    assert_eq!(deployment["template_id"], "demo");
    assert_eq!(deployment["status"], "running");
    assert_eq!(deployment["mcp"]["tools"], json!(["say_hello", "say_goodbye"]));

    let again = api.post("/api/templates/deploy/demo", &json!({"name": "demo-one"})).await;
    assert_eq!((again.status, &again.json()["change"]), (StatusCode::OK, &json!("unchanged")));

    let listed = api.get("/api/templates/deployments/").await.json();
    assert_eq!(listed["count"], 1);
    assert_eq!(listed["deployments"][0]["deployment_name"], "demo-one");
    let one = api.get("/api/templates/deployments/demo-one/").await;
    assert_eq!((one.status, &one.json()["deployment"]["ready"]), (StatusCode::OK, &json!(true)));

    let tools = api.get("/api/templates/deployments/demo-one/tools/").await.json();
    assert_eq!(tools["tools"][0]["name"], "say_hello");
    let call = "/api/templates/deployments/demo-one/tools/say_hello/call/";
    let answer = api.post(call, &json!({"arguments": {"name": "Ada"}})).await.json();
    assert_eq!(answer["is_error"], false);
    let answer = api.post(&call.replace("say_hello", "say_no"), &json!({})).await;
    let problem = answer.assert_problem(StatusCode::NOT_FOUND, "tool_not_found");
    assert!(problem["detail"].as_str().unwrap().contains("it has `say_hello`"), "{problem}");
    let log = api.get("/api/templates/deployments/demo-one/logs/?tail=1").await;
    assert!(log.header("content-type").starts_with("text/plain") && log.body.ends_with('\n'), "{log:?}");

    let stopped = api.post("/api/templates/deployments/demo-one/stop/", &json!({})).await.json();
    assert_eq!(stopped["deployment"]["status"], "stopped");
    let asked = api.get("/api/templates/deployments/demo-one/tools/").await;
    let problem = asked.assert_problem(StatusCode::CONFLICT, "not_listening");
    assert_eq!(problem["hint"], "`start` starts it");
    let started = api.post("/api/templates/deployments/demo-one/start/", &json!({})).await;
    assert_eq!(started.json()["deployment"]["replicas"]["desired"], 1);
    for replicas in [json!(3), json!(2.0)] {
        let body = json!({"replicas": replicas});
        let scaled = api.post("/api/templates/deployments/demo-one/scale/", &body).await;
        assert_eq!(scaled.json()["deployment"]["replicas"]["desired"].as_f64(), replicas.as_f64());
    }
    let restarted = api.post("/api/templates/deployments/demo-one/restart/", &json!({})).await;
    assert_eq!(restarted.status, StatusCode::OK);

    let deleted = api.delete("/api/templates/deployments/demo-one/delete/").await;
    assert_eq!(deleted.json(), json!({"deployment_name": "demo-one", "deleted": true}));
    let gone = api.get("/api/templates/deployments/demo-one/").await;
    gone.assert_problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(api.get("/api/templates/deployments/").await.json()["count"], 0);
}

#[tokio::test]
async fn every_violation_of_a_request_is_told_at_once() {
    let api = Served::start();
    let body = json!({"configuration": {"log_level": "loud", "hello": 1}, "name": "Demo.1"});
    let wrong = api.post("/api/templates/deploy/demo/", &body).await;
    let problem = wrong.assert_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid");
    let pointers: Vec<&str> =
        problem["violations"].as_array().unwrap().iter().map(|it| it["pointer"].as_str().unwrap()).collect();
    for pointer in ["/name", "/configuration/log_level", "/configuration/hello"] {
        assert!(pointers.contains(&pointer), "{pointers:?} lack {pointer}");
    }

    let body = json!({"nmae": "demo-one", "wait": "yes", "overrides": {"replicas": -1, "memroy": "1Gi"}});
    let wrong = api.post("/api/templates/deploy/demo/", &body).await;
    let problem = wrong.assert_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid");
    let pointers: Vec<&Value> =
        problem["violations"].as_array().unwrap().iter().map(|it| &it["pointer"]).collect();
    assert_eq!(pointers, ["/wait", "/overrides/replicas", "/overrides/memroy", "/nmae"]);

    let wrong = api.get("/api/templates/deployments/?limit=few&stauts=running&status=well").await;
    let problem = wrong.assert_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid");
    assert_eq!(problem["violations"].as_array().unwrap().len(), 3, "{problem}");
}

#[tokio::test]
async fn what_http_says_of_methods_and_bodies_holds() {
    let api = Served::start();
    let other = api.send(api.client.put(api.url("/api/templates/deployments/"))).await;
    other.assert_problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    assert_eq!(other.header("allow"), "GET, HEAD, OPTIONS");
    let asked = api.client.request(reqwest::Method::OPTIONS, api.url("/api/templates/deploy/demo/"));
    let options = api.send(asked).await;
    assert_eq!((options.status, options.header("allow")), (StatusCode::NO_CONTENT, "POST, OPTIONS"));
    let head = api.send(api.client.head(api.url("/api/templates/deployments/"))).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
    api.get("/api/templates/deployments/demo-one/nothing")
        .await
        .assert_problem(StatusCode::NOT_FOUND, "no_such_resource");

    let deploy = || api.client.post(api.url("/api/templates/deploy/demo/"));
    let text = api.send(deploy().header("content-type", "text/plain").body("{}")).await;
    text.assert_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
    let broken = api.send(deploy().header("content-type", "application/json").body("{\"name\": ")).await;
    broken.assert_problem(StatusCode::BAD_REQUEST, "broken_body");
    let large = json!({"configuration": {"hello_from": "x".repeat(1024 * 1024)}});
    api.post("/api/templates/deploy/demo/", &large)
        .await
        .assert_problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large");
}

#[tokio::test]
async fn a_request_has_the_id_that_its_client_gave_or_a_new_one() {
    let api = Served::start();
    let asked = api.client.get(api.url("/api/templates/nothing/")).header("x-request-id", "abc-1");
    let answer = api.send(asked).await;
    assert_eq!(answer.header("x-request-id"), "abc-1");
    let problem = answer.assert_problem(StatusCode::NOT_FOUND, "template_not_found");
    assert_eq!(problem["request_id"], "abc-1");
    let asked = api.client.get(api.url("/health")).header("x-request-id", "a b\tc");
    let answer = api.send(asked).await;
    assert_eq!(answer.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn templates_are_listed_shown_and_checked() {
    let api = Served::start();
    let listed = api.get("/api/templates").await.json();
    assert!(listed["count"].as_u64().unwrap() >= 2, "{listed}");
    let demo = api.get("/api/templates/demo/").await.json();
    assert!(demo["template"]["config_schema"]["properties"].get("hello_from").is_some(), "{demo}");
    let nearest = api.get("/api/templates/demmo/").await;
    let problem = nearest.assert_problem(StatusCode::NOT_FOUND, "template_not_found");
    assert!(problem["detail"].as_str().unwrap().contains("did you mean `demo`?"), "{problem}");

    let good = json!({"id": "mine", "name": "Mine", "description": "Mine.", "version": "1"});
    let checked = api.post("/api/templates/validate/", &good).await;
    assert_eq!((checked.status, &checked.json()["template_id"]), (StatusCode::OK, &json!("mine")));
    let bad = api.post("/api/templates/validate/", &json!({"id": "No", "transport": 3})).await;
    let problem = bad.assert_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid");
    assert!(problem["violations"].as_array().unwrap().len() > 2, "{problem}");
}

#[tokio::test]
async fn a_template_that_says_all_there_is_to_say_is_as_the_document_describes_it() {
    let api = Served::start();
    let template = json!({
        "id": "whole", "name": "W", "description": "W.", "version": "1", "author": "us", "license": "MIT",
        "docker_image": "team/whole:1", "pull_policy": "missing", "command": ["run"], "args": ["-v"],
        "environment_variables": {"A": "b"}, "volume_mounts": ["/data:/data:ro"], "default_config": {"a": 1},
        "volumes": [{"name": "data", "path": "/var/data", "size": "1Gi", "storage_class": "fast"}],
        "config_schema": {"properties": {"a": {"type": "integer"}}}, "health": {"interval": "1m30s"},
        "tools": [{"name": "look", "description": "Looks.", "parameters": {"at": {"type": "string"}}}],
        "resources": {"limits": {"cpu": "500m", "memory": "1Gi", "pids": 9}}, "autoscaling": {"max_replicas": 3},
        "placement": {"node_selector": {"disk": "ssd"}}, "exposure": {"host": "whole.example"}, "mock": {},
        "security": {"run_as_user": "image", "add_capabilities": ["NET_ADMIN"]}, "restart": "on-failure",
        "network": {"allow": [{"cidr": "10.0.0.0/8", "ports": [443]}, {"host": "example.org"}]},
    });
    api.write_template("whole", &template);
    let told = api.get("/api/templates/whole/").await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    assert_eq!(told.json()["template"]["health"]["interval"], "90s");
    let listed = api.get("/api/templates/").await.json();
    assert_eq!(listed["broken"], json!([]));
    assert_eq!(listed["sources"]["whole"], json!({"kind": "directory", "repository": null, "commit": null}));
    assert_eq!(
        (&listed["sources"]["demo"]["kind"], &told.json()["source"]["kind"]),
        (&json!("built_in"), &json!("directory"))
    );

    // What is broken says why, and not where it lies on the server.
    api.write_template("half", &json!([1]));
    let listed = api.get("/api/templates/").await.json();
    let (name, reason) = (&listed["broken"][0]["template"], listed["broken"][0]["reason"].as_str().unwrap());
    assert_eq!(name, "half");
    let one = api.get("/api/templates/half/").await;
    let problem = one.assert_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid");
    assert_eq!(problem["detail"], reason);
    assert!(!reason.contains('/') && reason.contains("the template"), "{reason}");
}

#[tokio::test]
async fn lists_are_filtered_and_come_in_pages() {
    let api = Served::start();
    for name in ["demo-a", "demo-b", "demo-c"] {
        let body = json!({"name": name, "wait": false});
        let accepted = api.post("/api/templates/deploy/demo/", &body).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    }
    api.post("/api/templates/deployments/demo-b/stop/", &json!({})).await;
    let stopped = api.get("/api/templates/deployments/?status=stopped").await.json();
    assert_eq!(names(&stopped), ["demo-b"]);
    let first = api.get("/api/templates/deployments/?limit=2").await.json();
    assert_eq!((names(&first), &first["count"]), (vec!["demo-a", "demo-b"], &json!(3)));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = api.get(&format!("/api/templates/deployments/?limit=2&cursor={cursor}")).await.json();
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["demo-c"], &Value::Null));
    for limit in ["0", "1001", "few"] {
        let wrong = api.get(&format!("/api/templates/deployments/?limit={limit}")).await;
        wrong.assert_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid");
    }
    let none = api.get("/api/templates/deployments/?template=file-server").await.json();
    assert_eq!(none["count"], 0);
    api.get("/api/templates/deployments/?backend=moon")
        .await
        .assert_problem(StatusCode::NOT_FOUND, "backend_not_found");
}

fn names(listed: &Value) -> Vec<&str> {
    let deployments = listed["deployments"].as_array().unwrap();
    deployments.iter().map(|deployment| deployment["deployment_name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_deploy_tells_of_its_steps_and_ends_with_the_deployment() {
    let api = Served::start();
    let deploy = |body: Value| {
        let post = api.client.post(api.url("/api/templates/deploy/demo/")).json(&body);
        api.send(post.header("accept", "text/event-stream"))
    };
    let told = deploy(json!({"name": "demo-one"})).await;
    assert_eq!(told.header("content-type"), "text/event-stream");
    let events = told.events();
    assert!(events.iter().any(|(kind, it)| kind == "progress" && it["step"] == "verifying"), "{events:?}");
    let (kind, last) = events.last().unwrap();
    assert_eq!((kind.as_str(), &last["deployment"]["status"]), ("deployment", &json!("running")));
    let told = deploy(json!({"name": "demo-one", "overrides": {"image": "bad image"}})).await;
    told.assert_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid");
}

#[tokio::test]
async fn a_deploy_that_fails_says_why_as_an_answer_and_as_an_event() {
    let api = Served::start();
    let crash = json!({"exit_code": 3, "log": ["fatal: no API key"]});
    api.write_template(
        "crash",
        &json!({
            "name": "Crash", "description": "Ends at once.", "version": "1.0.0", "docker_image": "unused",
            "tools": [], "mock": {"crash": crash},
        }),
    );
    let deploy = |name: &str| {
        let deploy = api.client.post(api.url("/api/templates/deploy/crash/"));
        deploy.json(&json!({"name": name}))
    };
    let failed = api.send(deploy("crash-one")).await;
    let problem = failed.assert_problem(StatusCode::BAD_GATEWAY, "failed");
    assert_eq!(
        (&problem["failure"]["reason"], &problem["failure"]["exit_code"]),
        (&json!("crash_loop"), &json!(3))
    );
    let told = api.send(deploy("crash-two").header("accept", "text/event-stream")).await;
    let (kind, last) = told.events().pop().unwrap();
    assert_eq!((kind.as_str(), &last["failure"]), ("problem", &problem["failure"]));
    // It stays for a look.
    let seen = api.get("/api/templates/deployments/crash-one/").await.json();
    assert_eq!(seen["deployment"]["status"], "failed");
}

#[tokio::test]
async fn a_log_has_its_times_and_begins_where_it_is_asked_to() {
    let api = Served::start();
    api.post("/api/templates/deploy/demo/", &json!({"name": "demo-one"})).await;
    let log = "/api/templates/deployments/demo-one/logs/";
    let told = api.get(&format!("{log}?timestamps=true&tail=1")).await;
    let (at, _) = told.body.split_once(' ').unwrap();
    assert!(at.ends_with('Z') && at.starts_with("20"), "{told:?}");
    assert_eq!(api.get(&format!("{log}?since=2999-01-01T00:00:00Z")).await.body, "");
}

#[tokio::test]
async fn a_deploy_goes_on_when_its_client_is_gone() {
    let api = Served::start();
    let post = api.client.post(api.url("/api/templates/deploy/demo/")).json(&json!({"name": "demo-one"}));
    let mut told = Events::of(post).await;
    assert_eq!(told.next().await, ("progress".to_owned(), json!({"step": "deploying"})));
    drop(told);
    api.wait_until_running().await;
    api.api.finished().await;
}

#[tokio::test]
async fn a_deploy_that_is_sent_again_with_its_key_is_the_same() {
    let api = Served::start();
    let deploy = |key: &'static str| {
        let post = api.client.post(api.url("/api/templates/deploy/demo/")).json(&json!({}));
        api.send(post.header("idempotency-key", key))
    };
    let first = deploy("a").await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    let again = deploy("a").await;
    assert_eq!((again.status, again.json()["change"].as_str()), (StatusCode::OK, Some("unchanged")));
    assert_eq!(again.json()["deployment"]["deployment_name"], first.json()["deployment"]["deployment_name"]);
    assert_eq!(deploy("b").await.status, StatusCode::CREATED);
    deploy("").await.assert_problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid");
    assert_eq!(api.get("/api/templates/deployments/").await.json()["count"], 2);
}

#[tokio::test]
async fn what_hangs_is_given_up() {
    let api = Served::over(Backends::default().with(Served::mute()));
    let body = json!({"name": "demo-one", "wait": false});
    assert_eq!(api.post("/api/templates/deploy/demo/", &body).await.status, StatusCode::ACCEPTED);
    api.wait_until_running().await;
    let asked = api.get("/api/templates/deployments/demo-one/tools/").await;
    asked.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "deadline_exceeded");
    assert_eq!(asked.header("retry-after"), "5");
    assert_eq!(api.get("/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn events_are_the_state_then_synced_then_changes() {
    let api = Served::start();
    api.post("/api/templates/deploy/demo/", &json!({"name": "demo-one"})).await;
    let mut events = api.stream("/api/templates/deployments/events/").await;
    let (kind, first) = events.next().await;
    assert_eq!((kind.as_str(), &first["deployment_name"]), ("changed", &json!("demo-one")));
    assert_eq!(events.next().await.0, "synced");
    api.delete("/api/templates/deployments/demo-one/delete/").await;
    loop {
        let (kind, data) = events.next().await;
        if kind == "gone" {
            assert_eq!(data["deployment_name"], "demo-one");
            break;
        }
    }
    api.api.close();
    assert!(events.rest().await.contains(": the server ends"));
}

#[tokio::test]
async fn a_log_is_followed_until_the_server_ends() {
    let api = Served::start();
    api.post("/api/templates/deploy/demo/", &json!({"name": "demo-one"})).await;
    let mut events = api.stream("/api/templates/deployments/demo-one/logs/?follow=true").await;
    let (kind, line) = events.next().await;
    assert!(kind == "line" && line["message"].is_string(), "{kind} {line}");
    api.api.close();
    assert!(events.rest().await.contains(": the server ends"));
    api.get("/api/templates/deployments/nobody/logs/?follow=true")
        .await
        .assert_problem(StatusCode::NOT_FOUND, "not_found");
    let api = Served::over(Backends::default().with(Served::away()));
    api.get("/api/templates/deployments/demo-one/logs/?previous=true")
        .await
        .assert_problem(StatusCode::NOT_IMPLEMENTED, "unsupported");
}

#[tokio::test]
async fn a_secret_is_accepted_and_never_returned() {
    let api = Served::start();
    let template = json!({
        "id": "with-secret", "name": "S", "description": "S.", "version": "1",
        "config_schema": {"type": "object", "properties": {"api_key": {"type": "string", "sensitive": true}}},
    });
    api.write_template("with-secret", &template);
    let body = json!({"name": "secret-one", "configuration": {"api_key": "c4n4ry"}});
    let mut told = vec![api.post("/api/templates/deploy/with-secret/", &body).await];
    assert_eq!(told[0].json()["deployment"]["configuration"]["api_key"], "***", "{}", told[0].body);
    let body = json!({"name": "secret-one", "configuration": {"api_key": ["c4n4ry"]}});
    told.push(api.post("/api/templates/deploy/with-secret/", &body).await);
    let body = json!({"name": "secret-one", "configuration": "c4n4ry", "overrides": ["c4n4ry"]});
    told.push(api.post("/api/templates/deploy/with-secret/", &body).await);
    let violations = &told[2].json()["violations"];
    assert_eq!(violations[0]["expected"], "it has to be a map");
    told.push(api.get("/api/templates/deployments/").await);
    told.push(api.get("/api/templates/deployments/secret-one/").await);
    told.push(api.get("/api/templates/deployments/secret-one/logs/").await);
    let leaks: Vec<&Answer> = told.iter().filter(|answer| answer.body.contains("c4n4ry")).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
}

#[tokio::test]
async fn a_platform_that_is_away_costs_its_own_requests_only() {
    let away = Served::away();
    assert!(away.check().await.is_err());
    let api = Served::over(Backends::default().with(Served::mock()).with(away));
    let listed = api.get("/api/templates/deployments/").await;
    assert_eq!((listed.status, &listed.json()["errors"][0]["backend"]), (StatusCode::OK, &json!("docker")));
    let asked = api.get("/api/templates/deployments/?backend=docker").await;
    asked.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
    assert_eq!(asked.header("retry-after"), "5");
    assert!(!asked.body.contains("secret place"), "{}", asked.body);
    assert_eq!(api.get("/health").await.status, StatusCode::OK);
    let ready = api.get("/ready/").await;
    assert_eq!((ready.status, &ready.json()["backends"]["mock"]), (StatusCode::OK, &json!("ready")));
    assert_eq!(ready.json()["backends"]["docker"]["code"], "unavailable");
    let backends = api.get("/api/backends/").await.json();
    assert_eq!(backends["backends"][0]["reachable"], false);
    assert_eq!(backends["backends"][1]["default"], true);
    let api = Served::over(Backends::default().with(Served::away()));
    assert_eq!(api.get("/ready/").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_platform_that_hangs_costs_a_list_its_own_part_only() {
    let api = Served::over(Backends::default().with(Served::mock()).with(Hanging));
    api.post("/api/templates/deploy/demo/", &json!({"name": "demo-one"})).await;
    let listed = api.get("/api/templates/deployments/").await;
    assert_eq!((listed.status, &listed.json()["count"]), (StatusCode::OK, &json!(1)));
    assert_eq!(listed.json()["errors"][0]["problem"]["code"], "deadline_exceeded");
    let hanging = api.get("/api/templates/deployments/?backend=docker").await;
    hanging.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "deadline_exceeded");
}

#[tokio::test]
async fn the_head_of_a_stream_has_no_body_to_wait_for() {
    let api = Served::start();
    api.post("/api/templates/deploy/demo/", &json!({"name": "demo-one"})).await;
    for path in ["events/", "demo-one/events/", "demo-one/logs/?follow=true"] {
        let head = api.client.head(api.url(&format!("/api/templates/deployments/{path}")));
        assert_eq!(api.send(head).await.status, StatusCode::OK, "{path}");
    }
    // The connection is free for others, and no stream is left over.
    assert!(api.get("/metrics").await.body.contains("mcp_deploy_streams 0\n"));
}

#[tokio::test]
async fn each_backend_tells_when_its_state_is_told_and_one_that_is_away_says_so() {
    let mut away = Served::away();
    away.expect_watch().returning(|_| {
        stream::iter([Err(Error::Unavailable { backend: "docker", source: "away".into() })]).boxed()
    });
    let api = Served::over(Backends::default().with(Served::mock()).with(away));
    let mut events = api.stream("/api/templates/deployments/events/").await;
    let mut told = [events.next().await, events.next().await];
    told.sort_by(|one, other| one.0.cmp(&other.0));
    let [(problem, of_docker), (synced, of_mock)] = told;
    assert_eq!((problem.as_str(), &of_docker["backend"]), ("problem", &json!("docker")));
    assert_eq!((of_docker["code"].as_str(), synced.as_str()), (Some("unavailable"), "synced"));
    assert_eq!(of_mock, json!({"backend": "mock"}));
    // What goes on elsewhere is told all the same.
    api.post("/api/templates/deploy/demo/", &json!({"name": "demo-one"})).await;
    assert_eq!(events.next().await.0, "changed");
}

#[tokio::test]
async fn a_client_that_names_the_type_of_no_body_sends_none() {
    let api = Served::start();
    api.post("/api/templates/deploy/demo/", &json!({"name": "demo-one"})).await;
    let delete = api.client.delete(api.url("/api/templates/deployments/demo-one/delete/"));
    let deleted = api.send(delete.header("content-type", "application/json")).await;
    assert_eq!(deleted.status, StatusCode::OK, "{deleted:?}");
}
