//! An API server in memory, as a cluster to test on.

use kube::{Client, Config};
use mcp_deploy_core::{BoxError, KubernetesSettings};

use crate::fixture::Cluster;
use crate::memory::Api;

/// One that ends with the API server beside it.
pub(crate) async fn cluster() -> Result<(Api, Cluster), BoxError> {
    let api = Api::start().await;
    let url = api.url();
    let settings = KubernetesSettings {
        namespace: "mcp-servers".to_owned(),
        endpoint: Some(url.clone()),
        token: Some("none".to_owned().into()),
        ..KubernetesSettings::default()
    };
    let client = Client::try_from(Config::new(url.parse()?))?;
    let cluster = Cluster::at(settings, client, false).await?;
    Ok((api, cluster))
}
