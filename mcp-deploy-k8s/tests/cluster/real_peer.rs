//! A server that others have written, and that knows nothing of us: npm's `server-everything`.

use std::env;

use mcp_deploy_core::{DeploymentBackend, Era, Request, Template, resolve};
use serde_json::json;

use crate::fixture::Cluster;
use crate::site::new_name;

/// Its image, which the nodes have; `cargo xtask e2e kubernetes` sets it.
pub(crate) const IMAGE: &str = "MCP_DEPLOY_E2E_EVERYTHING";

pub(crate) async fn a_server_of_others_answers_with_its_values_byte_for_byte(cluster: &Cluster) {
    let template = json!({
        "id": "t-everything", "name": "Everything", "description": "Npm's.", "version": "1",
        "docker_image": env::var(IMAGE).unwrap(), "command": ["/node"],
        "args": ["/app/node_modules/@modelcontextprotocol/server-everything/dist/index.js", "streamableHttp"],
        "transport": {"default": "http", "port": 3001, "path": "/mcp"}, "stateless": false, "replicas": 2,
    });
    let template = Template::from_value(template, None).unwrap();
    let (plain, secret) = ("  $(PORT) 'a' \"b\" \\ 世界 ", "s3cret $HOME \"x\"\nsecond line");
    let request = Request::default().name(new_name().as_str()).env("PLAIN", plain).env("PEER_TOKEN", secret);
    let spec = resolve(&template, &request, "unused.example").unwrap();
    let deployed = cluster.deploy(&spec).await.unwrap();
    let answer = deployed.mcp.unwrap();
    assert_eq!((answer.era, deployed.replicas.ready), (Some(Era::Legacy), 2));
    assert!(answer.tools.iter().any(|tool| tool == "get-env"), "{answer:?}");
    // It keeps sessions in memory, so a session has to find its way to one pod; this connection leads to one.
    let environment = cluster.call(&spec.name, "get-env", json!({})).await.unwrap();
    assert_eq!((&environment["PLAIN"], &environment["PEER_TOKEN"]), (&json!(plain), &json!(secret)));
    assert_eq!(environment["PORT"], "3001");
    assert_eq!(cluster.backend.get(&spec.name).await.unwrap().drift, Vec::<String>::new());
    cluster.remove_all(&spec.name).await;
}
