//! From a spec to the container that runs it: pure.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount, MountType,
    MountVolumeOptions, NetworkingConfig, PortBinding, RestartPolicy as DockerRestartPolicy,
    RestartPolicyNameEnum,
};
use mcp_deploy_core::{DeploymentSpec, RestartPolicy, RunAsUser};

use crate::labels::{self, Placed};
use crate::names;

const DEFAULT_MEMORY_BYTES: i64 = 512 * 1024 * 1024;
const DEFAULT_NANO_CPUS: i64 = 1_000_000_000;
const DEFAULT_PIDS: i64 = 256;
/// How long a server has between SIGTERM and SIGKILL, in seconds.
pub(crate) const STOP_SECONDS: i32 = 10;

/// The container of a spec on a network, hardened but for what its template takes back. `image_volumes` are the
/// paths that the image itself declares as volumes.
pub(crate) fn container(
    spec: &DeploymentSpec,
    placed: Placed,
    network: &str,
    image_volumes: &[String],
) -> Result<ContainerCreateBody, serde_json::Error> {
    let port = format!("{}/tcp", spec.transport.port);
    let secrets = spec.secrets.expose().map(|(name, value)| format!("{name}={value}"));
    let mut env: Vec<String> =
        spec.env.iter().map(|(name, value)| format!("{name}={value}")).chain(secrets).collect();
    if !env.iter().any(|variable| variable.starts_with("HOME=")) {
        env.push("HOME=/tmp".to_owned());
    }
    let networks = HashMap::from([(network.to_owned(), EndpointSettings::default())]);
    Ok(ContainerCreateBody {
        image: Some(spec.image.to_string()),
        entrypoint: (!spec.command.is_empty()).then(|| spec.command.clone()),
        cmd: (!spec.args.is_empty()).then(|| spec.args.clone()),
        env: Some(env),
        user: match spec.security.run_as_user {
            RunAsUser::Id(id) => Some(id.to_string()),
            RunAsUser::Image => None,
        },
        labels: Some(labels::of_container(spec, placed)?),
        exposed_ports: Some(vec![port.clone()]),
        stop_timeout: Some(STOP_SECONDS.into()),
        host_config: Some(HostConfig {
            mounts: Some(mounts(spec, image_volumes)),
            ..host_config(spec, port, placed.address, network)
        }),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(networks) }),
        ..ContainerCreateBody::default()
    })
}

fn host_config(spec: &DeploymentSpec, port: String, address: SocketAddr, network: &str) -> HostConfig {
    let limits = &spec.resources.limits;
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let memory = limits.memory.map_or(DEFAULT_MEMORY_BYTES, |memory| bytes(memory.bytes()));
    let binding =
        PortBinding { host_ip: Some(address.ip().to_string()), host_port: Some(address.port().to_string()) };
    let log_options = [("max-size", "10m"), ("max-file", "3")];
    HostConfig {
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some(limits.cpu.map_or(DEFAULT_NANO_CPUS, |cpu| bytes(cpu.millicores()) * 1_000_000)),
        pids_limit: Some(limits.pids.map_or(DEFAULT_PIDS, i64::from)),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(spec.security.add_capabilities.clone()),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(spec.security.read_only_root),
        tmpfs: (!mounted(spec).contains("/tmp"))
            .then(|| HashMap::from([("/tmp".to_owned(), "exec,nosuid,nodev,size=64m".to_owned())])),
        init: Some(true),
        port_bindings: Some(HashMap::from([(port, Some(vec![binding]))])),
        restart_policy: Some(restart_policy(spec.restart)),
        network_mode: Some(network.to_owned()),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(
                log_options.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            ),
        }),
        ..HostConfig::default()
    }
}

/// The paths at which the spec mounts something.
fn mounted(spec: &DeploymentSpec) -> BTreeSet<&str> {
    let volumes = spec.volumes.iter().map(|volume| volume.path.as_str());
    let paths = volumes.chain(spec.mounts.iter().map(|mount| mount.path.as_str()));
    paths.map(|path| path.trim_end_matches('/')).collect()
}

/// Named volumes, host paths, and what the image declares: the daemon would make that too, without our labels,
/// and then nobody could tell later whose it was.
fn mounts(spec: &DeploymentSpec, image_volumes: &[String]) -> Vec<Mount> {
    let volume = |target: &str, name: Option<&str>| Mount {
        typ: Some(MountType::VOLUME),
        source: name.map(|name| names::volume(&spec.name, name)),
        target: Some(target.to_owned()),
        volume_options: Some(MountVolumeOptions {
            labels: Some(labels::of_volume(&spec.name, name)),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    };
    let named = spec.volumes.iter().map(|named| volume(&named.path, Some(&named.name)));
    let binds = spec.mounts.iter().map(|mount| Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.host_path.clone()),
        target: Some(mount.path.clone()),
        read_only: Some(mount.read_only),
        ..Mount::default()
    });
    let taken = mounted(spec);
    let is_free = |path: &&String| {
        let path = path.trim_end_matches('/');
        path != "/tmp" && !taken.contains(path)
    };
    let declared = image_volumes.iter().filter(is_free).map(|path| volume(path, None));
    named.chain(binds).chain(declared).collect()
}

pub(crate) fn restart_policy(policy: RestartPolicy) -> DockerRestartPolicy {
    let name = match policy {
        RestartPolicy::Always => RestartPolicyNameEnum::UNLESS_STOPPED,
        RestartPolicy::OnFailure => RestartPolicyNameEnum::ON_FAILURE,
        RestartPolicy::Never => RestartPolicyNameEnum::NO,
    };
    DockerRestartPolicy { name: Some(name), maximum_retry_count: None }
}

/// The policy of a container that was stopped on purpose: another than its spec's, which is how it is told from
/// one that ended by itself. Labels cannot change; this can.
pub(crate) fn stopped_policy(policy: RestartPolicy) -> DockerRestartPolicy {
    let other = match policy {
        RestartPolicy::Always | RestartPolicy::OnFailure => RestartPolicy::Never,
        RestartPolicy::Never => RestartPolicy::Always,
    };
    restart_policy(other)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use mcp_deploy_core::{Request, Template, resolve};

    use super::*;

    fn made(template: &str, request: &Request) -> ContainerCreateBody {
        let template = Template::parse(template, "it", None).unwrap();
        let spec = resolve(&template, request, "ghcr.io/team").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let address = "127.0.0.1:21000".parse().unwrap();
        let placed = Placed { revision: 1, address, created_at: now, updated_at: now };
        let image_volumes = ["/declared".to_owned(), "/data/".to_owned(), "/tmp".to_owned()];
        container(&spec, placed, "the-network", &image_volumes).unwrap()
    }

    const PLAIN: &str = "{id: plain, name: Plain, description: Plain., version: '1'}";

    #[test]
    fn a_container_is_hardened_and_published_on_the_loopback_interface_alone() {
        let body = made(PLAIN, &Request::default().name("plain-one"));
        assert_eq!((body.user.as_deref(), body.entrypoint, body.cmd), (Some("1000"), None, None));
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
        assert_eq!((host.readonly_rootfs, host.init, host.pids_limit), (Some(true), Some(true), Some(256)));
        assert_eq!((host.memory, host.memory_swap), (Some(512 << 20), Some(512 << 20)));
        assert_eq!(host.nano_cpus, Some(1_000_000_000));
        assert_eq!(host.network_mode.as_deref(), Some("the-network"));
        let bindings = host.port_bindings.unwrap().remove("8080/tcp").flatten().unwrap();
        assert_eq!(bindings[0].host_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!(bindings[0].host_port.as_deref(), Some("21000"));
    }

    #[test]
    fn a_template_takes_back_what_it_says_and_no_more() {
        let relaxed = "{id: plain, name: Plain, description: Plain., version: '1', restart: never,
            security: {run_as_user: image, read_only_root: false, add_capabilities: [NET_BIND_SERVICE]},
            resources: {limits: {memory: 64Mi, cpu: 250m, pids: 9}}}";
        let body = made(relaxed, &Request::default().name("plain-one"));
        assert_eq!(body.user, None);
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_add.unwrap(), ["NET_BIND_SERVICE"]);
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!((host.readonly_rootfs, host.pids_limit), (Some(false), Some(9)));
        assert_eq!((host.memory, host.nano_cpus), (Some(64 << 20), Some(250_000_000)));
        assert_eq!(host.restart_policy, Some(restart_policy(RestartPolicy::Never)));
    }

    #[test]
    fn every_volume_has_our_labels_and_each_path_is_mounted_once() {
        let template = "{id: plain, name: Plain, description: Plain., version: '1',
            volumes: [{name: data, path: /data}]}";
        let host = made(template, &Request::default().name("plain-one")).host_config.unwrap();
        let mounts = host.mounts.unwrap();
        let source_and_target = |mount: &Mount| (mount.source.clone(), mount.target.clone().unwrap());
        assert_eq!(
            mounts.iter().map(source_and_target).collect::<Vec<_>>(),
            [(Some("plain-one-data".to_owned()), "/data".to_owned()), (None, "/declared".to_owned())]
        );
        let labels = |mount: &Mount| mount.volume_options.clone().unwrap().labels.unwrap();
        assert!(mounts.iter().all(|mount| labels::is_ours(&labels(mount))));
        assert!(
            labels::is_named_volume(&labels(&mounts[0])) && !labels::is_named_volume(&labels(&mounts[1]))
        );
    }

    #[test]
    fn a_volume_at_tmp_takes_the_place_of_the_tmpfs() {
        let template = "{id: plain, name: Plain, description: Plain., version: '1',
            volumes: [{name: scratch, path: /tmp}]}";
        let host = made(template, &Request::default().name("plain-one")).host_config.unwrap();
        assert_eq!((host.tmpfs, host.mounts.unwrap().len()), (None, 3));
    }

    #[test]
    fn a_secret_is_in_the_environment_and_nowhere_else() {
        let mut body = made(PLAIN, &Request::default().name("plain-one").env("API_TOKEN", "c4n4ry"));
        assert!(body.env.take().unwrap().contains(&"API_TOKEN=c4n4ry".to_owned()));
        assert!(!serde_json::to_string(&body).unwrap().contains("c4n4ry"));
    }

    #[test]
    fn a_container_that_was_stopped_on_purpose_is_told_by_its_policy() {
        for policy in [RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never] {
            assert_ne!(restart_policy(policy), stopped_policy(policy));
        }
    }
}
