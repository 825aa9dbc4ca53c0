//! Named volumes: ours, writable for the server, and removed when somebody says so.

use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveVolumeOptionsBuilder, UploadToContainerOptionsBuilder,
};
use jiff::Timestamp;
use mcp_deploy_core::{DeploymentName, DeploymentSpec, Error, Result, RunAsUser, Selector};
use tar::{EntryType, Header};
use tokio::time::{Instant, sleep};

use crate::containers::taken;
use crate::error::{is_conflict, is_not_found, sorted, sorted_of};
use crate::handle::DockerBackend;
use crate::labels;
use crate::names::{self, BACKEND, Role};

/// Between two looks at what somebody else is about.
const PAUSE: Duration = Duration::from_millis(50);
/// Volumes get their user in a fraction of this time.
const LEFT_BEHIND: Duration = Duration::from_secs(3);

/// Refuses volumes that have our names and are somebody else's.
pub(crate) async fn check(docker: &Docker, spec: &DeploymentSpec) -> Result<()> {
    for volume in &spec.volumes {
        let name = names::volume(&spec.name, &volume.name);
        let found = match docker.inspect_volume(&name).await {
            Ok(found) => found,
            Err(error) if is_not_found(&error) => continue,
            Err(error) => return Err(sorted("look at a volume", error)),
        };
        if labels::deployment(&found.labels).as_ref() != Some(&spec.name) {
            let reason = "a volume of this name is there that mcp-deploy did not make for this deployment";
            return Err(Error::Conflict { name, backend: BACKEND, reason: reason.to_owned() });
        }
    }
    Ok(())
}

/// The user that the volumes of a spec belong to, where they are not to stay as the daemon makes them: as the image
/// has their directories, and those that it does not have belong to root.
pub(crate) fn owner(spec: &DeploymentSpec) -> Option<u32> {
    match spec.security.run_as_user {
        RunAsUser::Id(user) if user > 0 && !spec.volumes.is_empty() => Some(user),
        RunAsUser::Id(_) | RunAsUser::Image => None,
    }
}

impl DockerBackend {
    /// Gives the volumes of a spec to its user, where that is needed, and leaves nothing of it behind.
    pub(crate) async fn give_volumes(&self, spec: &DeploymentSpec) -> Result<()> {
        let Some(user) = owner(spec) else { return Ok(()) };
        let docker = self.docker().await?;
        let name = Role::Volumes.container(&spec.name);
        let mut watched: Option<(String, Instant)> = None;
        loop {
            if let Some(container) = tool(docker, spec).await? {
                let given = give(docker, spec, &container, user).await;
                let removed = self.remove(&container).await;
                return given.and(removed);
            }
            // Somebody else is about it just now; what stays was left behind.
            let other = match docker.inspect_container(&name, None).await {
                Ok(other) => other.id.unwrap_or_default(),
                Err(error) if is_not_found(&error) => continue,
                Err(error) => return Err(sorted("look at the container", error)),
            };
            match &watched {
                Some((id, since)) if *id == other => {
                    if since.elapsed() >= LEFT_BEHIND && !self.discard(&spec.name, Role::Volumes).await? {
                        return Err(taken(name));
                    }
                }
                _ => watched = Some((other, Instant::now())),
            }
            sleep(PAUSE).await;
        }
    }
}

/// The container through which the volumes of a spec get their user; `None` where there is one just now.
async fn tool(docker: &Docker, spec: &DeploymentSpec) -> Result<Option<String>> {
    let container = Role::Volumes.container(&spec.name);
    let options = CreateContainerOptionsBuilder::new().name(&container).build();
    let mounts = spec.volumes.iter().enumerate().map(|(index, volume)| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(names::volume(&spec.name, &volume.name)),
        target: Some(format!("/{}", place(index))),
        // Somebody may have removed it meanwhile: then the daemon makes it here.
        volume_options: Some(MountVolumeOptions {
            labels: Some(labels::of_volume(&spec.name, Some(&volume.name))),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    });
    let body = ContainerCreateBody {
        image: Some(spec.image.to_string()),
        // A container needs a command; this one is never run.
        cmd: Some(vec!["/none".to_owned()]),
        labels: Some(labels::of_tool(&spec.name)),
        host_config: Some(HostConfig { mounts: Some(mounts.collect()), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    match docker.create_container(Some(options), body).await {
        Ok(created) => Ok(Some(created.id)),
        Err(error) if is_conflict(&error) => Ok(None),
        Err(error) => Err(sorted("prepare the volumes", error)),
    }
}

/// Where a volume is mounted in the container that never runs.
fn place(index: usize) -> String {
    format!("mcp-deploy-volume-{index}")
}

/// Gives the volumes of a spec to a user.
///
/// Nothing of the image runs for it, which may hold no program but the server: the owner comes with an archive
/// that is unpacked through a container that is never started.
async fn give(docker: &Docker, spec: &DeploymentSpec, tool: &str, user: u32) -> Result<()> {
    let mut archive = tar::Builder::new(Vec::new());
    for index in 0..spec.volumes.len() {
        let place = place(index);
        let path = format!("/{place}");
        let options = ContainerArchiveInfoOptionsBuilder::new().path(&path).build();
        let stat = docker.get_container_archive_info(tool, Some(options)).await;
        let stat = stat.map_err(|error| sorted_of(&spec.name, "look at a volume", error))?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(unix_mode(stat.file_mode));
        header.set_uid(user.into());
        header.set_gid(0);
        header.set_mtime(u64::try_from(Timestamp::now().as_second()).unwrap_or_default());
        header.set_size(0);
        archive
            .append_data(&mut header, Path::new(&place), std::io::empty())
            .map_err(|error| Error::backend(BACKEND, "write an archive", error))?;
    }
    let archive = archive.into_inner().map_err(|error| Error::backend(BACKEND, "write an archive", error))?;
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    docker
        .upload_to_container(tool, Some(options), bollard::body_full(archive.into()))
        .await
        .map_err(|error| sorted_of(&spec.name, "give the volumes to their user", error))
}

/// The bits of `chmod` from a mode as Go's `os.FileMode` has it, in which the daemon tells it.
fn unix_mode(go: u32) -> u32 {
    let special = [(23, 0o4000), (22, 0o2000), (20, 0o1000)];
    special.iter().filter(|(bit, _)| go & (1 << bit) != 0).fold(go & 0o777, |mode, (_, unix)| mode | unix)
}

/// Removes a deployment's named volumes, with all that is in them.
pub(crate) async fn remove(docker: &Docker, name: &DeploymentName) -> Result<()> {
    let options = ListVolumesOptionsBuilder::new().filters(&labels::filter(&Selector::named(name))).build();
    let listed = docker.list_volumes(Some(options)).await.map_err(|error| sorted("list volumes", error))?;
    for volume in listed.volumes.unwrap_or_default() {
        remove_one(docker, &volume.name).await?;
    }
    Ok(())
}

/// Removes a volume; one that is not there is fine.
pub(crate) async fn remove_one(docker: &Docker, volume: &str) -> Result<()> {
    match docker.remove_volume(volume, Some(RemoveVolumeOptionsBuilder::new().build())).await {
        Ok(()) => Ok(()),
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) if is_conflict(&error) => {
            let reason = "a container uses the volume; somebody may have deployed the name again".to_owned();
            Err(Error::Conflict { name: volume.to_owned(), backend: BACKEND, reason })
        }
        Err(error) => Err(sorted("remove a volume", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_a_mode_are_kept() {
        // A directory, and one with the sticky bit.
        assert_eq!(unix_mode(1 << 31 | 0o750), 0o750);
        assert_eq!(unix_mode(1 << 31 | 1 << 20 | 0o777), 0o1777);
    }
}
