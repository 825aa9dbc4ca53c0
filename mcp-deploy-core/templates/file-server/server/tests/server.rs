//! The server as its clients and a container platform see it: over HTTP, with settings from the environment.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod served;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rmcp::service::ClientLifecycleMode::Initialize;
use serde_json::{Value, json};
use served::{Served, modern, program};
use tempfile::TempDir;

fn template(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A directory with a file in it.
fn directory() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "allowed").unwrap();
    let path = directory.path().to_str().unwrap().to_owned();
    (directory, path)
}

#[tokio::test]
async fn both_eras_see_the_tools_that_the_template_lists() {
    let (_directory, path) = directory();
    let served = Served::start(&[("ALLOWED_DIRECTORIES", &path)]);
    let promised = template("template.json");
    for era in [modern(), Initialize] {
        let client = served.client(era).await;
        let introduction = client.peer_info().unwrap();
        let server_info = introduction.server_info.as_ref().unwrap();
        assert_eq!((server_info.name.as_str(), server_info.version.as_str()), ("file-server", "1.0.0"));
        assert_eq!(promised["version"], "1.0.0");
        let mut tools = serde_json::to_value(client.list_all_tools().await.unwrap()).unwrap();
        let tools = tools.as_array_mut().unwrap();
        for tool in promised["tools"].as_array().unwrap() {
            let name = &tool["name"];
            let at = tools.iter().position(|tool| tool["name"] == *name).unwrap_or_else(|| panic!("{name}"));
            let served = tools.swap_remove(at);
            assert_eq!(served["description"], tool["description"], "{name}");
            let schema = &served["inputSchema"];
            assert_eq!(keys(&schema["properties"]), keys(&tool["input_schema"]["properties"]), "{name}");
            check_promise(&tool["input_schema"], schema, &format!("{name}"));
        }
        assert!(tools.is_empty(), "the template does not list {tools:?}");
    }
}

fn keys(value: &Value) -> Vec<&String> {
    let mut keys: Vec<_> = value.as_object().into_iter().flat_map(|map| map.keys()).collect();
    keys.sort();
    keys
}

/// Everything that a schema of the template says, the served one says too.
fn check_promise(promised: &Value, served: &Value, at: &str) {
    match promised {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| check_promise(value, &served[key], &format!("{at}/{key}")));
        }
        _ => assert_eq!(promised, served, "{at}"),
    }
}

#[tokio::test]
async fn what_the_template_says_of_its_tools_is_true() {
    let (_directory, path) = directory();
    let served = Served::start(&[("ALLOWED_DIRECTORIES", &path)]);
    for test in template("tests.json").as_array().unwrap() {
        let tool = test["tool"].as_str().unwrap().to_owned().leak();
        let texts =
            served.call(tool, test["arguments"].clone()).await.unwrap_or_else(|error| panic!("{error}"));
        let wanted = test["contains"].as_str().unwrap();
        assert!(texts.iter().any(|text| text.contains(wanted)), "{test}: {texts:?}");
    }
}

#[tokio::test]
async fn allowed_directories_are_all_that_is_reached() {
    let ((_one, one), (_two, two), (_other, other)) = (directory(), directory(), directory());
    let served = Served::start(&[("ALLOWED_DIRECTORIES", &format!("{one}:{two}"))]);
    let listed = served.call("list_allowed_directories", json!({})).await.unwrap();
    let listed: Value = serde_json::from_str(&listed[0]).unwrap();
    assert_eq!(listed, json!({ "directories": [one, two], "read_only": false }));
    for path in [format!("{one}/file"), format!("{two}/file"), "file".to_owned()] {
        assert_eq!(served.call("read_file", json!({ "path": path })).await.unwrap(), ["allowed"]);
    }
    let refused = served.call("read_file", json!({ "path": format!("{other}/file") })).await.unwrap_err();
    assert!(refused.contains("is outside of the allowed directories"), "{refused}");
}

#[tokio::test]
async fn read_only_mode_lets_nothing_be_written() {
    let (directory, path) = directory();
    let write = json!({ "path": "file", "content": "changed" });
    let served = Served::start(&[("ALLOWED_DIRECTORIES", &path), ("READ_ONLY_MODE", "true")]);
    let refused = served.call("write_file", write.clone()).await.unwrap_err();
    assert_eq!(refused, "nothing may be written: `read_only_mode` is on");
    assert_eq!(fs::read_to_string(directory.path().join("file")).unwrap(), "allowed");
    assert_eq!(served.call("read_file", json!({ "path": "file" })).await.unwrap(), ["allowed"]);

    let served = Served::start(&[("ALLOWED_DIRECTORIES", &path), ("READ_ONLY_MODE", "false")]);
    let written = served.call("write_file", write).await.unwrap();
    let written: Value = serde_json::from_str(&written[0]).unwrap();
    assert_eq!(written, json!({ "path": format!("{path}/file"), "size": 7, "created": false }));
    assert_eq!(fs::read_to_string(directory.path().join("file")).unwrap(), "changed");
}

#[tokio::test]
async fn enable_symlinks_lets_links_be_followed_inside() {
    let (directory, path) = directory();
    symlink("file", directory.path().join("link")).unwrap();
    symlink("/etc/passwd", directory.path().join("out")).unwrap();
    for (value, inside) in [("false", Err("links are not followed")), ("true", Ok("allowed"))] {
        let served = Served::start(&[("ALLOWED_DIRECTORIES", &path), ("ENABLE_SYMLINKS", value)]);
        let read = served.call("read_file", json!({ "path": "link" })).await;
        match inside {
            Ok(text) => assert_eq!(read.unwrap(), [text]),
            Err(part) => assert!(read.as_ref().unwrap_err().contains(part), "{read:?}"),
        }
        assert!(served.call("read_file", json!({ "path": "out" })).await.is_err());
    }
}

#[tokio::test]
async fn max_file_size_holds_for_reading_and_writing() {
    let (directory, path) = directory();
    fs::write(directory.path().join("large"), vec![b'x'; 1_000_001]).unwrap();
    let served = Served::start(&[("ALLOWED_DIRECTORIES", &path), ("MAX_FILE_SIZE", "1")]);
    let refused = served.call("read_file", json!({ "path": "large" })).await.unwrap_err();
    assert!(refused.contains("more than the 1000000 bytes that `max_file_size` allows"), "{refused}");
    let content = "x".repeat(1_000_001);
    let refused = served.call("write_file", json!({ "path": "new", "content": content })).await.unwrap_err();
    assert!(refused.contains("more than the 1000000 bytes"), "{refused}");
    assert!(!directory.path().join("new").exists());

    let served = Served::start(&[("ALLOWED_DIRECTORIES", &path), ("MAX_FILE_SIZE", "2")]);
    let read = served.call("read_file", json!({ "path": "large", "length": 1000 })).await.unwrap();
    assert_eq!((read[0].len(), read.len()), (1000, 2));
    assert_eq!(read[1], "The file has 1000001 bytes and goes on: read it with `offset` set to 1000.");
    served.call("write_file", json!({ "path": "new", "content": content })).await.unwrap();
    assert_eq!(fs::metadata(directory.path().join("new")).unwrap().len(), 1_000_001);
}

#[tokio::test]
async fn exclude_patterns_hide_what_they_fit() {
    let (directory, path) = directory();
    fs::write(directory.path().join("server.key"), "hidden").unwrap();
    fs::write(directory.path().join("server.pem"), "hidden").unwrap();
    let served = Served::start(&[("ALLOWED_DIRECTORIES", &path), ("EXCLUDE_PATTERNS", "*.{key,pem}:.git")]);
    let listed = served.call("list_directory", json!({ "path": "." })).await.unwrap();
    let listed: Value = serde_json::from_str(&listed[0]).unwrap();
    let entries = json!([{ "name": "file", "kind": "file", "size": 7 }]);
    assert_eq!(listed, json!({ "path": path, "entries": entries }));
    let refused = served.call("read_file", json!({ "path": "server.key" })).await.unwrap_err();
    assert_eq!(refused, "`server.key` is hidden by `exclude_patterns`");
    let found = served.call("search_files", json!({ "path": ".", "pattern": "*" })).await.unwrap();
    let found: Value = serde_json::from_str(&found[0]).unwrap();
    assert_eq!(found, json!({ "matches": [{ "path": format!("{path}/file"), "kind": "file" }] }));
}

#[tokio::test]
async fn what_is_known_of_a_file_is_told() {
    let (_directory, path) = directory();
    let served = Served::start(&[("ALLOWED_DIRECTORIES", &path)]);
    let info = served.call("get_file_info", json!({ "path": "file" })).await.unwrap();
    let info: Value = serde_json::from_str(&info[0]).unwrap();
    assert_eq!(
        (&info["kind"], &info["size"], &info["read_only"]),
        (&json!("file"), &json!(7), &json!(false))
    );
    let modified = info["modified"].as_str().unwrap();
    assert!(modified.starts_with("20") && modified.ends_with('Z'), "{info}");
}

#[test]
fn it_tells_its_health_to_whoever_asks_and_by_itself() {
    let (_directory, path) = directory();
    let served = Served::start(&[("ALLOWED_DIRECTORIES", &path)]);
    // Whatever it is called by.
    for host in ["Host: localhost", "Host: files.mcp-servers.svc.cluster.local"] {
        assert!(served.get("/health", host).starts_with("HTTP/1.1 200"));
        assert!(served.get("/ready", host).starts_with("HTTP/1.1 200"));
    }
    assert!(served.get("/other", "Host: x").starts_with("HTTP/1.1 404"));
    assert!(served.get("/mcp", "Host: x\r\nOrigin: http://page.example").starts_with("HTTP/1.1 403"));
    let (_, port) = served.address.split_once(':').unwrap();
    let check = |port| program(&[("PORT", port)]).arg("--check").output().unwrap();
    assert!(check(port).status.success());
    let failed = check("1");
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).starts_with("error: port 1: "), "{failed:?}");
}

#[test]
fn a_call_that_carries_too_much_is_refused_and_many_that_do_not_are_answered() {
    let (directory, path) = directory();
    let served = Served::start(&[("ALLOWED_DIRECTORIES", &path)]);
    let refused = served.post(&write_call("large", 4 << 20));
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    std::thread::scope(|scope| {
        for number in 0..32 {
            let served = &served;
            scope.spawn(move || {
                let answer = served.post(&write_call(&format!("file-{number}"), 2 << 20));
                assert!(
                    answer.starts_with("HTTP/1.1 200") && answer.contains("\"isError\":false"),
                    "{answer}"
                );
            });
        }
    });
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 33);
}

/// A call of the legacy era, which needs no headers of its own.
fn write_call(path: &str, length: usize) -> String {
    let arguments = json!({ "path": path, "content": "x".repeat(length) });
    let params = json!({ "name": "write_file", "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}

#[test]
fn sigterm_ends_it_at_once() {
    let (_directory, path) = directory();
    let mut served = Served::start(&[("ALLOWED_DIRECTORIES", &path)]);
    assert!(served.get("/health", "Host: x").starts_with("HTTP/1.1 200"));
    let started = Instant::now();
    assert!(Command::new("kill").arg(served.process.id().to_string()).status().unwrap().success());
    assert_eq!(served.process.wait().unwrap().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn a_wrong_environment_is_told_whole() {
    let variables = [("ALLOWED_DIRECTORIES", "/there/is/nothing"), ("READ_ONLY_MODE", "yes"), ("PORT", "-1")];
    let output = program(&variables).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(told.lines().filter(|line| line.starts_with("error: `")).count(), 3, "{told}");
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = program(&[("ALLOWED_DIRECTORIES", "/tmp"), ("PORT", &port)]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains(&format!("error: failed to listen on port {port}: ")), "{told}");
}
