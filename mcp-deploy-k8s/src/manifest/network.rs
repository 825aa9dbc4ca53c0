//! The address of a deployment, and what may reach it and what it may reach.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, IPBlock, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, NetworkPolicy, NetworkPolicyEgressRule,
    NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec, ServiceBackendPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mcp_deploy_core::{DeploymentName, DeploymentSpec, Exposure, Network, Peer, Violation, Violations};

use super::container::PORT;
use super::{Placed, owned};
use crate::labels;

/// The port of every Service, so that an address stays when a server's own port changes.
const SERVICE_PORT: i32 = 80;

/// By which host the pods of the cluster call a deployment.
pub(crate) fn host(name: &DeploymentName, namespace: &str) -> String {
    format!("{name}.{namespace}.svc")
}

pub(super) fn service(spec: &DeploymentSpec, placed: &Placed) -> Service {
    // A session lives in one instance.
    let is_affine = !spec.stateless && (placed.replicas > 1 || spec.autoscaling.is_some());
    Service {
        metadata: owned(spec, placed),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels::of_pods(&spec.name)),
            session_affinity: Some(if is_affine { "ClientIP" } else { "None" }.to_owned()),
            ports: Some(vec![ServicePort {
                name: Some(PORT.to_owned()),
                port: SERVICE_PORT,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String(PORT.to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// Everybody may reach the port of the endpoint and no other; the server may reach what its template says.
pub(super) fn policy(spec: &DeploymentSpec, placed: &Placed, violations: &mut Violations) -> NetworkPolicy {
    let egress = match &spec.network {
        Network::All => vec![NetworkPolicyEgressRule::default()],
        Network::None => Vec::new(),
        Network::Allow(peers) => {
            let rules = peers.iter().enumerate().filter_map(|(index, peer)| rule(index, peer, violations));
            [dns()].into_iter().chain(rules).collect()
        }
    };
    NetworkPolicy {
        metadata: owned(spec, placed),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(labels::of_pods(&spec.name)),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                ports: Some(vec![port("TCP", spec.transport.port)]),
                ..NetworkPolicyIngressRule::default()
            }]),
            egress: Some(egress),
        }),
    }
}

fn dns() -> NetworkPolicyEgressRule {
    const DNS: u16 = 53;
    NetworkPolicyEgressRule { ports: Some(vec![port("UDP", DNS), port("TCP", DNS)]), to: None }
}

fn rule(index: usize, peer: &Peer, violations: &mut Violations) -> Option<NetworkPolicyEgressRule> {
    let Peer { cidr, namespace, host: _, ports } = peer;
    let to = match (cidr, namespace) {
        (Some(cidr), _) => NetworkPolicyPeer {
            ip_block: Some(IPBlock { cidr: cidr.clone(), except: None }),
            ..NetworkPolicyPeer::default()
        },
        (None, Some(namespace)) => NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector {
                match_labels: Some(labels::map([("kubernetes.io/metadata.name", namespace)])),
                ..LabelSelector::default()
            }),
            ..NetworkPolicyPeer::default()
        },
        (None, None) => {
            violations.push(
                Violation::new(format!("/network/allow/{index}"), "names nobody")
                    .expected("a `cidr` or a `namespace`"),
            );
            return None;
        }
    };
    let ports: Vec<_> = ports.iter().map(|number| port("TCP", *number)).collect();
    Some(NetworkPolicyEgressRule { to: Some(vec![to]), ports: (!ports.is_empty()).then_some(ports) })
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(number.into())),
        end_port: None,
    }
}

/// The URL outside of the cluster, where the deployment is exposed.
pub(crate) fn external_url(spec: &DeploymentSpec, ingress_host: Option<&str>) -> Option<String> {
    let exposure = spec.exposure.as_ref()?;
    let scheme = if is_encrypted(exposure) { "https" } else { "http" };
    Some(format!("{scheme}://{}{}", external_host(spec, exposure, ingress_host)?, spec.transport.path))
}

fn is_encrypted(exposure: &Exposure) -> bool {
    exposure.tls_secret.is_some() || exposure.issuer.is_some()
}

fn external_host(spec: &DeploymentSpec, exposure: &Exposure, ingress_host: Option<&str>) -> Option<String> {
    exposure.host.clone().or_else(|| Some(format!("{}.{}", spec.name, ingress_host?)))
}

pub(super) fn ingress(
    spec: &DeploymentSpec,
    placed: &Placed,
    violations: &mut Violations,
) -> Option<Ingress> {
    let exposure = spec.exposure.as_ref()?;
    let Exposure { host: _, class, tls_secret, issuer, insecure } = exposure;
    if !is_encrypted(exposure) && !insecure {
        let violation = Violation::new("/exposure", "would be without TLS");
        violations.push(violation.expected("a `tls_secret`, an `issuer`, or `insecure: true`"));
    }
    let Some(host) = external_host(spec, exposure, placed.ingress_host.as_deref()) else {
        let violation =
            Violation::new("/exposure/host", "is not given, and there is no domain to make it of");
        violations.push(violation.expected("a host name here, or a domain in `MCP_INGRESS_HOST`"));
        return None;
    };
    let secret = tls_secret.clone().unwrap_or_else(|| format!("{}-tls", spec.name));
    let tls = IngressTLS { hosts: Some(vec![host.clone()]), secret_name: Some(secret) };
    let service = IngressServiceBackend {
        name: spec.name.to_string(),
        port: Some(ServiceBackendPort { name: Some(PORT.to_owned()), number: None }),
    };
    let path = HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend { service: Some(service), resource: None },
    };
    Some(Ingress {
        metadata: ObjectMeta { annotations: Some(patience(issuer.as_deref())), ..owned(spec, placed) },
        spec: Some(IngressSpec {
            ingress_class_name: class.clone(),
            tls: is_encrypted(exposure).then(|| vec![tls]),
            rules: Some(vec![IngressRule {
                host: Some(host),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    })
}

/// A stream of MCP stays open and silent for long, and each event has to pass at once: what the common controllers
/// want to hear for that. Each reads its own and passes over the others.
fn patience(issuer: Option<&str>) -> labels::Map {
    let mut annotations = labels::map([
        ("alb.ingress.kubernetes.io/load-balancer-attributes", "idle_timeout.timeout_seconds=3600"),
        ("haproxy-ingress.github.io/timeout-server", "3600s"),
        ("haproxy.org/timeout-server", "3600s"),
        ("nginx.ingress.kubernetes.io/proxy-buffering", "off"),
        ("nginx.ingress.kubernetes.io/proxy-read-timeout", "3600"),
        ("nginx.ingress.kubernetes.io/proxy-send-timeout", "3600"),
        ("nginx.org/proxy-buffering", "False"),
        ("nginx.org/proxy-read-timeout", "3600s"),
        ("projectcontour.io/response-timeout", "infinity"),
    ]);
    annotations.extend(issuer.map(|issuer| ("cert-manager.io/cluster-issuer".to_owned(), issuer.to_owned())));
    annotations
}
