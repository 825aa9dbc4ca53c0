//! The container of a server, hardened but for what its template takes back.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapEnvSource, Container, ContainerPort, EnvFromSource, HTTPGetAction, Lifecycle,
    LifecycleHandler, Probe, ResourceRequirements, SecretEnvSource, SecurityContext, SleepAction,
    TCPSocketAction, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mcp_deploy_core::{Cpu, DeploymentSpec, Health, Memory, PullPolicy, Resources};

use super::{Placed, storage};

/// The name of the container.
pub(crate) const CONTAINER: &str = "mcp-server";
/// The name of the port of the MCP endpoint.
pub(crate) const PORT: &str = "mcp";

const DEFAULT_LIMIT: (u64, u64) = (1000, 512);
const DEFAULT_REQUEST: (u64, u64) = (100, 128);
/// How long an instance goes on to serve while others learn that it ends.
pub(super) const DRAIN_SECONDS: i64 = 5;

pub(super) fn container(spec: &DeploymentSpec, placed: &Placed, config_map: &str) -> Container {
    let probes = Probes::of(spec);
    Container {
        name: CONTAINER.to_owned(),
        image: Some(spec.image.to_string()),
        image_pull_policy: Some(pull_policy(spec).to_owned()),
        command: words(&spec.command),
        args: words(&spec.args),
        ports: Some(vec![ContainerPort {
            name: Some(PORT.to_owned()),
            container_port: spec.transport.port.into(),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        env_from: Some(environment(placed, config_map)),
        resources: Some(resources(&spec.resources)),
        security_context: Some(security_context(spec)),
        startup_probe: Some(probes.startup),
        readiness_probe: Some(probes.readiness),
        liveness_probe: probes.liveness,
        lifecycle: drains(spec).then(drain),
        volume_mounts: Some(volume_mounts(spec)),
        ..Container::default()
    }
}

/// Whether an instance goes on to serve for a moment when it is told to end: where others take its place.
pub(super) fn drains(spec: &DeploymentSpec) -> bool {
    spec.replicas > 1 || spec.autoscaling.is_some()
}

/// By the kubelet itself: an image need not have a `sleep`.
fn drain() -> Lifecycle {
    let sleep = SleepAction { seconds: DRAIN_SECONDS };
    let pre_stop = LifecycleHandler { sleep: Some(sleep), ..LifecycleHandler::default() };
    Lifecycle { pre_stop: Some(pre_stop), ..Lifecycle::default() }
}

fn pull_policy(spec: &DeploymentSpec) -> &'static str {
    let image = &spec.image;
    let is_latest = image.digest().is_none() && image.tag().is_none_or(|tag| tag == "latest");
    match spec.pull_policy {
        Some(PullPolicy::Always) => "Always",
        Some(PullPolicy::Never) => "Never",
        None if is_latest => "Always",
        Some(PullPolicy::Missing) | None => "IfNotPresent",
    }
}

/// No shell sees the words, and the platform expands nothing in them: `$$(` is a plain `$(`.
fn words(words: &[String]) -> Option<Vec<String>> {
    let escaped = words.iter().map(|word| word.replace("$(", "$$("));
    (!words.is_empty()).then(|| escaped.collect())
}

/// The name of the ConfigMap that the container of a Deployment has its variables of.
pub(crate) fn config_map_of(deployment: &Deployment) -> Option<&str> {
    let container = deployment.spec.as_ref()?.template.spec.as_ref()?.containers.first()?;
    let sources = container.env_from.as_ref()?.iter();
    sources.filter_map(|source| source.config_map_ref.as_ref()).map(|source| source.name.as_str()).next()
}

/// Whole maps: their values reach the server as they are, while those of single variables are expanded.
fn environment(placed: &Placed, config_map: &str) -> Vec<EnvFromSource> {
    let plain = EnvFromSource {
        config_map_ref: Some(ConfigMapEnvSource {
            name: config_map.to_owned(),
            ..ConfigMapEnvSource::default()
        }),
        ..EnvFromSource::default()
    };
    let secret = placed.secret.as_ref().map(|secret| EnvFromSource {
        secret_ref: Some(SecretEnvSource { name: secret.clone(), ..SecretEnvSource::default() }),
        ..EnvFromSource::default()
    });
    [plain].into_iter().chain(secret).collect()
}

/// Limits and requests are always set; a request is never above its limit.
fn resources(resources: &Resources) -> ResourceRequirements {
    let Resources { limits, requests } = resources;
    let cpu = |millicores| Cpu::from_millicores(millicores).expect("it is within the bounds");
    let memory = |mebibytes| Memory::from_mebibytes(mebibytes).expect("it is within the bounds");
    let cpu_limit = limits.cpu.unwrap_or(cpu(DEFAULT_LIMIT.0));
    let memory_limit = limits.memory.unwrap_or(memory(DEFAULT_LIMIT.1));
    let cpu_request = requests.cpu.unwrap_or(cpu(DEFAULT_REQUEST.0)).min(cpu_limit);
    let memory_request = requests.memory.unwrap_or(memory(DEFAULT_REQUEST.1)).min(memory_limit);
    let amounts = |cpu: Cpu, memory: Memory| {
        BTreeMap::from([
            ("cpu".to_owned(), Quantity(cpu.to_string())),
            ("memory".to_owned(), Quantity(memory.to_string())),
        ])
    };
    ResourceRequirements {
        limits: Some(amounts(cpu_limit, memory_limit)),
        requests: Some(amounts(cpu_request, memory_request)),
        ..ResourceRequirements::default()
    }
}

fn security_context(spec: &DeploymentSpec) -> SecurityContext {
    let added = &spec.security.add_capabilities;
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(spec.security.read_only_root),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: (!added.is_empty()).then(|| added.clone()),
        }),
        ..SecurityContext::default()
    }
}

fn volume_mounts(spec: &DeploymentSpec) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    };
    let scratch = storage::needs_scratch(spec).then(|| mount(storage::SCRATCH, "/tmp"));
    let named = spec.volumes.iter().map(|volume| mount(&storage::volume_name(volume), &volume.path));
    scratch.into_iter().chain(named).collect()
}

struct Probes {
    startup: Probe,
    readiness: Probe,
    liveness: Option<Probe>,
}

impl Probes {
    /// With a health contract by HTTP. Without one only whether the port is open, which says little, and nothing
    /// that kills: the manager's handshake is the proof.
    ///
    /// A start is looked at each second, and may take as long as a running server may fail.
    fn of(spec: &DeploymentSpec) -> Self {
        let fallback = Health::default();
        let health = spec.health.as_ref().unwrap_or(&fallback);
        let seconds =
            |duration: std::time::Duration| i32::try_from(duration.as_secs().max(1)).unwrap_or(i32::MAX);
        let retries = i32::try_from(health.retries.max(1)).unwrap_or(i32::MAX);
        let patience =
            seconds(health.start_period).saturating_add(seconds(health.interval).saturating_mul(retries));
        let at = |path: &str| match spec.health {
            Some(_) => Probe { http_get: Some(http_get(path)), ..Probe::default() },
            None => Probe { tcp_socket: Some(tcp_socket()), ..Probe::default() },
        };
        let running = |probe| Probe {
            period_seconds: Some(seconds(health.interval)),
            timeout_seconds: Some(seconds(health.timeout)),
            failure_threshold: Some(retries),
            ..probe
        };
        Self {
            startup: Probe {
                period_seconds: Some(1),
                timeout_seconds: Some(seconds(health.timeout)),
                failure_threshold: Some(patience),
                ..at(&health.liveness)
            },
            readiness: running(at(&health.readiness)),
            liveness: spec.health.is_some().then(|| running(at(&health.liveness))),
        }
    }
}

fn http_get(path: &str) -> HTTPGetAction {
    HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::String(PORT.to_owned()),
        ..HTTPGetAction::default()
    }
}

fn tcp_socket() -> TCPSocketAction {
    TCPSocketAction { port: IntOrString::String(PORT.to_owned()), ..TCPSocketAction::default() }
}
