//! The network and the volumes of deployments: made when missing.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{Network, NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{
    ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use mcp_deploy_core::{DeploymentName, DeploymentSpec, Error, Result};

use crate::error::{is_conflict, is_not_found, sorted};
use crate::names::{self, BACKEND};

/// The id of the network, which is made when it is missing. A network of its name that is not ours is a conflict.
///
/// A daemon lets two processes make two networks of one name: then the older one counts, and whoever sees the
/// younger one removes it.
pub(crate) async fn ensure_network(docker: &Docker) -> Result<String> {
    if let Some(id) = oldest(docker, networks(docker).await?).await? {
        return Ok(id);
    }
    let network = NetworkCreateRequest {
        name: names::NETWORK.to_owned(),
        driver: Some("bridge".to_owned()),
        // Servers do not reach each other.
        options: Some(HashMap::from([(
            "com.docker.network.bridge.enable_icc".to_owned(),
            "false".to_owned(),
        )])),
        labels: Some(labels()),
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
    let filters = HashMap::from([("name", vec![names::NETWORK.to_owned()])]);
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let mut networks =
        docker.list_networks(Some(options)).await.map_err(|error| sorted("look for the network", error))?;
    // The daemon looks for a part of the name.
    networks.retain(|network| network.name.as_deref() == Some(names::NETWORK));
    networks.sort_by_key(|network| (network.created.as_ref().map(ToString::to_string), network.id.clone()));
    Ok(networks)
}

async fn oldest(docker: &Docker, networks: Vec<Network>) -> Result<Option<String>> {
    if networks.iter().any(|network| !network.labels.as_ref().is_some_and(is_ours)) {
        return Err(Error::Conflict {
            name: names::NETWORK.to_owned(),
            backend: BACKEND,
            reason: "a network of this name is there that mcp-deploy did not make".to_owned(),
        });
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

/// Makes the volumes of a spec.
pub(crate) async fn ensure_volumes(docker: &Docker, spec: &DeploymentSpec) -> Result<()> {
    for volume in &spec.volumes {
        let mut labels = labels();
        labels.insert(names::DEPLOYMENT.to_owned(), spec.name.to_string());
        let volume = VolumeCreateRequest {
            name: Some(names::volume(&spec.name, &volume.name)),
            labels: Some(labels),
            ..VolumeCreateRequest::default()
        };
        docker.create_volume(volume).await.map_err(|error| sorted("make a volume", error))?;
    }
    Ok(())
}

/// The names of a deployment's volumes.
pub(crate) async fn volumes(docker: &Docker, name: &DeploymentName) -> Result<Vec<String>> {
    let options = ListVolumesOptionsBuilder::new().filters(&names::ours_of(name)).build();
    let listed = docker.list_volumes(Some(options)).await.map_err(|error| sorted("list volumes", error))?;
    Ok(listed.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect())
}

/// Removes a deployment's volumes, with all that is in them.
pub(crate) async fn remove_volumes(docker: &Docker, name: &DeploymentName) -> Result<()> {
    for volume in volumes(docker, name).await? {
        let options = RemoveVolumeOptionsBuilder::new().build();
        match docker.remove_volume(&volume, Some(options)).await {
            Ok(()) => {}
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(sorted("remove a volume", error)),
        }
    }
    Ok(())
}

fn labels() -> HashMap<String, String> {
    HashMap::from([(names::MANAGED_BY.to_owned(), names::MANAGED_BY_US.to_owned())])
}

fn is_ours(labels: &HashMap<String, String>) -> bool {
    labels.get(names::MANAGED_BY).is_some_and(|value| value == names::MANAGED_BY_US)
}
