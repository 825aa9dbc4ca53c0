//! The network that all deployments are on: made when missing.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{Network, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptionsBuilder;
use mcp_deploy_core::{Error, Result};

use crate::error::{is_conflict, is_not_found, refusal, sorted};
use crate::labels;
use crate::names::{BACKEND, NETWORK};

/// The option of a bridge that lets the servers on it reach each other.
const ENABLE_ICC: &str = "com.docker.network.bridge.enable_icc";

/// The id of the network, which is made when it is missing. A network of its name that is not ours is a conflict.
///
/// A daemon lets two processes make two networks of one name: then the older one counts, and whoever sees the
/// younger one removes it.
pub(crate) async fn ensure_network(docker: &Docker) -> Result<String> {
    if let Some(id) = oldest(docker, networks(docker).await?).await? {
        return Ok(id);
    }
    let network = NetworkCreateRequest {
        name: NETWORK.to_owned(),
        driver: Some("bridge".to_owned()),
        options: Some(HashMap::from([(ENABLE_ICC.to_owned(), "false".to_owned())])),
        labels: Some(labels::of_network()),
        ..NetworkCreateRequest::default()
    };
    match docker.create_network(network).await {
        Ok(_) => {}
        Err(error) if is_conflict(&error) => {}
        Err(error) => return Err(sorted("make the network", error)),
    }
    let made = oldest(docker, networks(docker).await?).await?;
    made.ok_or_else(|| Error::backend(BACKEND, "make the network", "it is not there"))
}

/// The networks of our name, the oldest first.
async fn networks(docker: &Docker) -> Result<Vec<Network>> {
    let filters = HashMap::from([("name", vec![NETWORK.to_owned()])]);
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let mut networks =
        docker.list_networks(Some(options)).await.map_err(|error| sorted("look for the network", error))?;
    // The daemon looks for a part of the name.
    networks.retain(|network| network.name.as_deref() == Some(NETWORK));
    networks.sort_by_key(|network| (network.created.as_ref().map(ToString::to_string), network.id.clone()));
    Ok(networks)
}

async fn oldest(docker: &Docker, networks: Vec<Network>) -> Result<Option<String>> {
    if networks.iter().any(|network| !network.labels.as_ref().is_some_and(labels::is_ours)) {
        return Err(Error::Conflict {
            name: NETWORK.to_owned(),
            backend: BACKEND,
            reason: "a network of this name is there that mcp-deploy did not make".to_owned(),
        });
    }
    if networks.iter().any(|network| !keeps_apart(network)) {
        tracing::warn!(
            "servers reach each other on the network `{NETWORK}`: the daemon knows no `enable_icc`"
        );
    }
    let mut ids = networks.into_iter().filter_map(|network| network.id);
    let oldest = ids.next();
    for younger in ids {
        match docker.remove_network(&younger).await {
            Ok(()) => {}
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(sorted("remove a network that was made twice", error)),
        }
    }
    Ok(oldest)
}

/// Whether the daemon took the option by which servers do not reach each other; Podman leaves it out.
fn keeps_apart(network: &Network) -> bool {
    network.options.as_ref().and_then(|options| options.get(ENABLE_ICC)).is_some_and(|value| value == "false")
}

/// Removes the network, where it is there, ours, and nothing is connected to it; whether it was so. A dry run
/// only looks.
pub(crate) async fn remove(docker: &Docker, dry_run: bool) -> Result<bool> {
    let networks = networks(docker).await?;
    let mut removed = false;
    for network in networks {
        if !network.labels.as_ref().is_some_and(labels::is_ours) {
            continue;
        }
        if dry_run {
            removed = true;
            continue;
        }
        match docker.remove_network(network.id.as_deref().unwrap_or_default()).await {
            Ok(()) => removed = true,
            // Somebody else's container is on it, or somebody else has removed it.
            Err(error) if refusal(&error).is_some_and(|(status, _)| matches!(status, 403 | 404 | 409)) => {}
            Err(error) => return Err(sorted("remove the network", error)),
        }
    }
    Ok(removed)
}
