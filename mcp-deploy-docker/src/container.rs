//! From a spec to the container that runs it: pure.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount, MountType,
    NetworkingConfig, PortBinding, RestartPolicy as DockerRestartPolicy, RestartPolicyNameEnum,
};
use jiff::Timestamp;
use mcp_deploy_core::{DeploymentSpec, RestartPolicy, RunAsUser};

use crate::names;

/// What stands beside the spec in a container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) revision: u64,
    pub(crate) port: u16,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

const DEFAULT_MEMORY_BYTES: i64 = 512 * 1024 * 1024;
const DEFAULT_NANO_CPUS: i64 = 1_000_000_000;
const DEFAULT_PIDS: i64 = 256;
/// How long a server has between SIGTERM and SIGKILL, in seconds.
pub(crate) const STOP_SECONDS: i32 = 10;

/// The container of a spec on a network, hardened but for what its template takes back.
pub(crate) fn container(
    spec: &DeploymentSpec,
    placed: Placed,
    network: &str,
) -> Result<ContainerCreateBody, serde_json::Error> {
    let port = format!("{}/tcp", spec.transport.port);
    let secrets = spec.secrets.expose().map(|(name, value)| format!("{name}={value}"));
    let mut env: Vec<String> =
        spec.env.iter().map(|(name, value)| format!("{name}={value}")).chain(secrets).collect();
    if !spec.env.contains_key("HOME") {
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
        labels: Some(labels(spec, placed)?),
        exposed_ports: Some(vec![port.clone()]),
        stop_timeout: Some(STOP_SECONDS.into()),
        host_config: Some(host_config(spec, port, placed.port, network)),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(networks) }),
        ..ContainerCreateBody::default()
    })
}

fn labels(spec: &DeploymentSpec, placed: Placed) -> Result<HashMap<String, String>, serde_json::Error> {
    let Placed { revision, port, created_at, updated_at } = placed;
    let labels = [
        (names::MANAGED_BY, names::MANAGED_BY_US.to_owned()),
        (names::DEPLOYMENT, spec.name.to_string()),
        (names::TEMPLATE, spec.template.id.to_string()),
        (names::REVISION, revision.to_string()),
        (names::PORT, port.to_string()),
        (names::CREATED_AT, created_at.to_string()),
        (names::UPDATED_AT, updated_at.to_string()),
        (names::SPEC, serde_json::to_string(spec)?),
    ];
    Ok(labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn host_config(spec: &DeploymentSpec, port: String, host_port: u16, network: &str) -> HostConfig {
    let limits = &spec.resources.limits;
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let memory = limits.memory.map_or(DEFAULT_MEMORY_BYTES, |memory| bytes(memory.bytes()));
    let binding =
        PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(host_port.to_string()) };
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
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), "exec,nosuid,nodev,size=64m".to_owned())])),
        init: Some(true),
        mounts: Some(mounts(spec)),
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

fn mounts(spec: &DeploymentSpec) -> Vec<Mount> {
    let volumes = spec.volumes.iter().map(|volume| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(names::volume(&spec.name, &volume.name)),
        target: Some(volume.path.clone()),
        ..Mount::default()
    });
    let binds = spec.mounts.iter().map(|mount| Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.host_path.clone()),
        target: Some(mount.path.clone()),
        read_only: Some(mount.read_only),
        ..Mount::default()
    });
    volumes.chain(binds).collect()
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
    use mcp_deploy_core::{Request, Template, resolve};

    use super::*;

    fn made(template: &str, request: &Request) -> ContainerCreateBody {
        let template = Template::parse(template, "it", None).unwrap();
        let spec = resolve(&template, request, "ghcr.io/team").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let placed = Placed { revision: 1, port: 21000, created_at: now, updated_at: now };
        container(&spec, placed, "the-network").unwrap()
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
