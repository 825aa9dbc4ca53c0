//! The example of a host that mounts the API, as a client meets it.

#[expect(dead_code, reason = "its main is not run")]
#[path = "../examples/embed.rs"]
mod embed;

use mcp_deploy_core::{Backends, Catalog, DeploymentManager, Settings};
use mcp_deploy_http::Api;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn a_host_lets_in_whom_it_likes_and_deploys_where_it_likes() {
    let backends = Backends::default().with(embed::backend::InProcess::default());
    let manager = DeploymentManager::new(Catalog::default(), backends, &Settings::default());
    let (server, addresses) = embed::host(&Api::new(manager), ([127, 0, 0, 1], 0).into()).unwrap();
    let handle = server.handle();
    tokio::spawn(server);
    let url = format!("http://{}", addresses[0]);
    let client = Client::new();

    let refused = client.get(format!("{url}/api/templates/")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let own = client.get(&url).bearer_auth("let-me-in").send().await.unwrap();
    assert_eq!(own.text().await.unwrap(), "a host of its own\n");
    let deploy = client.post(format!("{url}/api/templates/deploy/demo/")).bearer_auth("let-me-in");
    let deployed = deploy.json(&json!({"name": "demo-one"})).send().await.unwrap();
    assert_eq!(deployed.status(), StatusCode::CREATED);
    let deployed: Value = deployed.json().await.unwrap();
    assert_eq!(deployed["deployment"]["status"], "running");
    handle.stop(false).await;
}
