//! A host that mounts the API into its own app: its own routes, its own authentication, its own platform.
//!
//! `cargo run -p mcp-deploy-http --example embed`, then
//! `curl -H 'authorization: Bearer let-me-in' http://127.0.0.1:8080/api/templates/`.

#[path = "../../mcp-deploy-core/examples/custom_backend/backend.rs"]
pub(crate) mod backend;

use std::io;
use std::net::SocketAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::error::ErrorUnauthorized;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpServer, web};
use mcp_deploy_core::{Backends, Catalog, DeploymentManager, Settings};
use mcp_deploy_http::{Api, configure};

use backend::InProcess;

/// Who may come in is the host's business.
async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match request.headers().get("authorization") {
        Some(shown) if shown == "Bearer let-me-in" => next.call(request).await,
        _ => Err(ErrorUnauthorized("who are you?")),
    }
}

/// The host, and where it listens.
pub(crate) fn host(api: &Api, address: SocketAddr) -> io::Result<(Server, Vec<SocketAddr>)> {
    let api = api.clone();
    let server = HttpServer::new(move || {
        App::new()
            .route("/", web::get().to(async || "a host of its own\n"))
            .configure(configure(&api))
            .wrap(from_fn(authenticate))
    });
    // A client that is gone frees its streams at once.
    let server = server.workers(1).h1_allow_half_closed(false).bind(address)?;
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let backends = Backends::default().with(InProcess::default());
    let manager = DeploymentManager::new(Catalog::default(), backends, &Settings::default());
    let api = Api::new(manager);
    host(&api, ([127, 0, 0, 1], 8080).into())?.0.await?;
    api.close();
    api.finished().await;
    Ok(())
}
