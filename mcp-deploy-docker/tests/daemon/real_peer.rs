//! A server that others have written, and that knows nothing of us: npm's `server-everything`.

use std::env;
use std::path::PathBuf;

use bollard::Docker;
use mcp_deploy_core::{DeploymentBackend, Era, Request, probe, resolve};
use serde_json::{Map, json};

use crate::fixture::Daemon;
use crate::fixture::image::{self, Content};
use crate::site::new_name;

const IMAGE: &str = "mcp-deploy-test/everything:1";
/// Where npm has put its packages; `cargo xtask e2e docker` sets it.
pub(crate) const PACKAGES: &str = "MCP_DEPLOY_NPM_PACKAGES";

/// An image of the machine's own node, its libraries, and the packages.
async fn import(docker: &Docker) {
    let packages = PathBuf::from(env::var_os(PACKAGES).unwrap());
    let paths = env::var_os("PATH").unwrap();
    let node = env::split_paths(&paths).map(|path| path.join("node")).find(|node| node.is_file()).unwrap();
    let content = [Content { from: node, to: "node" }, Content { from: packages, to: "app/node_modules" }];
    image::import_of(docker, IMAGE, &content, &[]).await.unwrap();
}

pub(crate) async fn a_server_of_others_answers_with_its_values_byte_for_byte(daemon: &Daemon) {
    import(&daemon.docker).await;
    let template = json!({
        "id": "t-everything", "name": "Everything", "description": "Npm's.", "version": "1", "docker_image": IMAGE,
        "command": ["/node"],
        "args": ["/app/node_modules/@modelcontextprotocol/server-everything/dist/index.js", "streamableHttp"],
        "transport": {"default": "http", "port": 3001, "path": "/mcp"},
    });
    let template = mcp_deploy_core::Template::from_value(template, None).unwrap();
    let (plain, secret) = ("  $(PORT) 'a' \"b\" \\ 世界 ", "s3cret $HOME \"x\"\nsecond line");
    let request = Request::default().name(new_name().as_str()).env("PLAIN", plain).env("PEER_TOKEN", secret);
    let spec = resolve(&template, &request, "unused.example").unwrap();
    let deployed = daemon.deploy(&spec).await.unwrap();
    let answer = deployed.mcp.unwrap();
    assert_eq!(answer.era, Some(Era::Legacy));
    assert!(
        ["echo", "get-env"].iter().all(|tool| answer.tools.iter().any(|found| found == tool)),
        "{answer:?}"
    );

    let connection = daemon.backend.connect(&spec.name).await.unwrap();
    let patience = std::time::Duration::from_secs(20);
    let tools = probe::list_tools(connection.url(), patience).await.unwrap();
    assert_eq!(tools.len(), answer.tools.len());
    let environment = probe::call_tool(connection.url(), "get-env", Map::new(), patience).await.unwrap();
    let environment: serde_json::Value = serde_json::from_str(&environment.text.concat()).unwrap();
    assert_eq!((&environment["PLAIN"], &environment["PEER_TOKEN"]), (&json!(plain), &json!(secret)));
    assert_eq!(environment["PORT"], "3001");

    // The same spec is the same deployment, whatever the image has put into the environment beside it.
    assert_eq!(daemon.deploy(&spec).await.unwrap().revision, 1);
    daemon.remove_all(&spec.name).await;
}
