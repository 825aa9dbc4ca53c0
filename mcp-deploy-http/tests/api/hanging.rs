//! A platform that takes every question and answers none.

use std::future::pending;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use mcp_deploy_core::{
    BackendHealth, Capabilities, Connection, DeleteOptions, DeployOptions, Deployment, DeploymentBackend,
    DeploymentName, DeploymentSpec, EventStream, LogOptions, LogStream, Result, Revision, Selector,
};

#[derive(Debug)]
pub(crate) struct Hanging;

#[async_trait]
impl DeploymentBackend for Hanging {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::LEAST
    }

    async fn check(&self) -> Result<BackendHealth> {
        pending().await
    }

    async fn deploy(&self, _spec: &DeploymentSpec, _options: DeployOptions) -> Result<Deployment> {
        pending().await
    }

    async fn get(&self, _name: &DeploymentName) -> Result<Deployment> {
        pending().await
    }

    async fn list(&self, _selector: &Selector) -> Result<Vec<Arc<Deployment>>> {
        pending().await
    }

    async fn scale(&self, _name: &DeploymentName, _replicas: u32) -> Result<Deployment> {
        pending().await
    }

    async fn restart(&self, _name: &DeploymentName) -> Result<Deployment> {
        pending().await
    }

    async fn delete(&self, _name: &DeploymentName, _options: DeleteOptions) -> Result<()> {
        pending().await
    }

    async fn revisions(&self, _name: &DeploymentName) -> Result<Vec<Revision>> {
        pending().await
    }

    async fn connect(&self, _name: &DeploymentName) -> Result<Connection> {
        pending().await
    }

    fn logs(&self, _name: &DeploymentName, _options: LogOptions) -> LogStream {
        stream::pending().boxed()
    }

    fn watch(&self, _selector: Selector) -> EventStream {
        stream::pending().boxed()
    }
}
