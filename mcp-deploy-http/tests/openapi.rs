//! The API's description, as a client meets it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "other tests need more of it")]
mod served;

use std::path::Path;
use std::{env, fs};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::served::Served;

const UPDATE: &str = "UPDATE_OPENAPI";

#[tokio::test]
async fn the_document_is_the_one_in_the_repository() {
    let served = Served::start().get("/openapi.json").await;
    assert_eq!((served.status, served.header("content-type")), (StatusCode::OK, "application/json"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if env::var_os(UPDATE).is_some() {
        fs::write(&file, &served.body).unwrap();
    }
    let known = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        known.replace("\r\n", "\n") == served.body,
        "the API is not the one of mcp-deploy-http/openapi.json: run `{UPDATE}=1 cargo test -p mcp-deploy-http --test \
         openapi` and read the difference"
    );
}

#[tokio::test]
async fn the_methods_of_a_path_are_those_of_the_document() {
    let api = Served::start();
    for (path, methods) in operations(&document(&api).await) {
        let asked = api.client.request(Method::OPTIONS, api.url(&filled(&path)));
        let answer = api.send(asked).await;
        let allowed: Vec<String> = answer.header("allow").split(", ").map(str::to_lowercase).collect();
        let methods: Vec<&String> = methods.iter().map(|(method, _)| method).collect();
        let told: Vec<&String> =
            allowed.iter().filter(|it| !["head", "options"].contains(&it.as_str())).collect();
        assert_eq!(told, methods, "{path}");
    }
}

#[tokio::test]
async fn each_example_of_a_body_does_what_it_says() {
    let api = Served::start();
    for (path, methods) in operations(&document(&api).await) {
        for (_, operation) in methods {
            let content = operation["requestBody"]["content"].as_object().cloned().unwrap_or_default();
            for (media_type, body) in content {
                for (name, example) in body["examples"].as_object().into_iter().flatten() {
                    if path.contains("{name}") {
                        api.wait_until_running().await;
                    }
                    let value = &example["value"];
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let post = api.client.post(api.url(&filled(&path))).header("content-type", &media_type);
                    let answer = api.send(post.body(text)).await;
                    assert!(answer.status.is_success(), "{path} {name}: {answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_page_for_people_leads_to_the_document() {
    let api = Served::start();
    for path in ["/docs", "/docs/"] {
        let page = api.get(path).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html"), "{path}");
    }
    let start = api.get("/docs/swagger-initializer.js").await;
    assert!(start.body.contains("\"../openapi.json\"") && start.body.contains("\"none\""), "{}", start.body);
    let script = api.get("/docs/swagger-ui-bundle.js").await;
    assert_eq!((script.status, script.header("content-encoding")), (StatusCode::OK, "gzip"));
    api.get("/docs/nothing.js").await.assert_problem(StatusCode::NOT_FOUND, "no_such_resource");
}

async fn document(api: &Served) -> Value {
    api.get("/openapi.json").await.json()
}

/// The operations of each path, by method.
fn operations(document: &Value) -> Vec<(String, Vec<(String, Value)>)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = |item: &Value| item.as_object().unwrap().clone().into_iter().collect();
    paths.map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// The path of a deployment of the template `demo`.
fn filled(path: &str) -> String {
    path.replace("{template}", "demo").replace("{name}", "demo-one").replace("{tool}", "say_hello")
}
