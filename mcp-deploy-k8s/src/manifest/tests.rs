//! Every shape of a spec as the objects that it becomes. The snapshots are what the API server is told.

use mcp_deploy_core::{Request, Template, resolve};
use serde_json::{Map, Value, json};

use super::*;
use crate::objects::Object;

fn spec(more: &str, request: Request) -> DeploymentSpec {
    let template = format!("{{id: plain, name: Plain, description: Plain., version: 1.0.0, {more}}}");
    let template = Template::parse(&template, "it", None).unwrap();
    resolve(&template, &request.name("plain-one"), "ghcr.io/team").unwrap()
}

fn placed(spec: &DeploymentSpec) -> Placed {
    Placed {
        namespace: "mcp-servers".to_owned(),
        revision: 3,
        replicas: spec.replicas,
        deployed_at: Some(Timestamp::UNIX_EPOCH),
        updated_at: Some(Timestamp::UNIX_EPOCH),
        restarted_at: None,
        secret: (!spec.secrets.is_empty()).then(|| "plain-one-random".to_owned()),
        owner: Some("0123".to_owned()),
        ingress_host: Some("mcp.example.com".to_owned()),
    }
}

/// The objects by kind.
fn rendered(more: &str, request: Request) -> Map<String, Value> {
    let spec = spec(more, request);
    let manifests = render(&spec, &placed(&spec)).unwrap();
    let mut objects = manifests.dependents();
    objects.push(Object::of(&manifests.deployment));
    objects.into_iter().map(|Object { resource, body, .. }| (resource.kind, body)).collect()
}

/// A place in the objects of a shape.
fn at(more: &str, pointer: &str) -> Value {
    Value::Object(rendered(more, Request::default())).pointer(pointer).cloned().unwrap_or_default()
}

const POD: &str = "/Deployment/spec/template/spec";

fn container(more: &str, field: &str) -> Value {
    at(more, &format!("{POD}/containers/0/{field}"))
}

#[test]
fn a_plain_spec() {
    insta::assert_json_snapshot!(rendered("", Request::default()));
}

#[test]
fn a_spec_with_all_that_a_cluster_knows() {
    let everything = "replicas: 3, stateless: false, health: {interval: 10s, retries: 5},
        volumes: [{name: data, path: /data, size: 2Gi, access_mode: ReadWriteMany, storage_class: fast}],
        autoscaling: {min_replicas: 2, max_replicas: 5, target_cpu_percent: 60},
        exposure: {class: nginx, issuer: letsencrypt},
        network: {allow: [{cidr: 10.0.0.0/8, ports: [443, 5432]}, {namespace: databases}]},
        placement: {node_selector: {disk: fast}, tolerations: [{key: spare, operator: Exists}],
            affinity: {nodeAffinity: {}}, image_pull_secrets: [registry], priority_class: high, runtime_class: gvisor},
        security: {run_as_user: 4711, read_only_root: false, add_capabilities: [NET_BIND_SERVICE]},
        resources: {limits: {cpu: 2, memory: 1Gi}, requests: {cpu: 500m, memory: 256Mi}}";
    insta::assert_json_snapshot!(rendered(everything, Request::default().env("API_TOKEN", "c4n4ry")));
}

#[test]
fn a_secret_is_in_the_secret_alone() {
    let mut objects = rendered("", Request::default().env("API_TOKEN", "c4n4ry"));
    let secret = objects.remove("Secret").unwrap();
    assert_eq!(secret["data"]["API_TOKEN"], "YzRuNHJ5");
    let others = Value::Object(objects).to_string();
    assert!(!others.contains("c4n4ry") && !others.contains("YzRuNHJ5"));
}

#[test]
fn no_word_is_expanded() {
    assert_eq!(
        container("args: ['$(PORT)', '$$(PORT)', '$PORT', '']", "args"),
        json!(["$$(PORT)", "$$$(PORT)", "$PORT", ""])
    );
    assert_eq!(container("command: ['$(HOME)/run']", "command"), json!(["$$(HOME)/run"]));
    assert_eq!(container("", "env"), Value::Null);
}

#[test]
fn another_value_is_another_config_map_and_another_pod() {
    let names = |value: &str| {
        let objects = rendered("", Request::default().env("LEVEL", value));
        let hash = &objects["Deployment"]["spec"]["template"]["metadata"]["labels"][labels::POD_HASH];
        (objects["ConfigMap"]["metadata"]["name"].clone(), hash.clone())
    };
    assert_eq!(names("a"), names("a"));
    assert_ne!(names("a").0, names("b").0);
    assert_ne!(names("a").1, names("b").1);
}

#[test]
fn an_image_is_pulled_as_its_tag_and_the_policy_say() {
    let policy = |more: &str| container(more, "imagePullPolicy");
    assert_eq!(policy("docker_image: 'x/y:1'"), "IfNotPresent");
    assert_eq!(policy("docker_image: 'x/y:latest'"), "Always");
    assert_eq!(policy("docker_image: x/y"), "Always");
    assert_eq!(policy("docker_image: x/y, pull_policy: missing"), "IfNotPresent");
    assert_eq!(policy("docker_image: 'x/y:1', pull_policy: never"), "Never");
}

#[test]
fn without_a_health_contract_nothing_kills_a_server() {
    assert_eq!(container("", "livenessProbe"), Value::Null);
    assert_eq!(container("", "readinessProbe/tcpSocket/port"), "mcp");
    assert_eq!(container("health: {}", "livenessProbe/httpGet/path"), "/health");
    assert_eq!(container("health: {}", "readinessProbe/httpGet/path"), "/ready");
    // A start may take the start period and as many intervals as failures count, and is looked at each second.
    assert_eq!(container("health: {}", "startupProbe/failureThreshold"), 95);
    assert_eq!(container("health: {}", "startupProbe/periodSeconds"), 1);
}

#[test]
fn a_volume_that_one_pod_may_mount_ends_the_old_pod_first() {
    let strategy = |mode: &str| {
        at(
            &format!("volumes: [{{name: d, path: /d, access_mode: {mode}}}]"),
            "/Deployment/spec/strategy/type",
        )
    };
    assert_eq!(strategy("ReadWriteOnce"), "Recreate");
    assert_eq!(strategy("ReadWriteMany"), "RollingUpdate");
    let scratch = |more: &str| at(more, &format!("{POD}/volumes")).to_string().contains("emptyDir");
    assert!(scratch("") && !scratch("volumes: [{name: scratch, path: /tmp/}]"));
    // What outlives the deployment has no owner.
    let owner = at("volumes: [{name: d, path: /d}]", "/PersistentVolumeClaim/metadata/ownerReferences");
    assert_eq!(owner, Value::Null);
}

#[test]
fn a_server_that_reaches_nothing_has_no_rule_of_egress() {
    assert_eq!(at("network: none", "/NetworkPolicy/spec/egress"), json!([]));
    assert_eq!(at("network: all", "/NetworkPolicy/spec/egress"), json!([{}]));
    assert_eq!(at("network: {allow: []}", "/NetworkPolicy/spec/egress/0/ports/0/port"), 53);
}

#[test]
fn root_and_the_images_own_user_are_told_to_the_platform() {
    let user = |more: &str| at(more, &format!("{POD}/securityContext"));
    assert_eq!(user("")["runAsNonRoot"], true);
    assert_eq!(user("security: {run_as_user: 0}")["runAsNonRoot"], Value::Null);
    assert_eq!(user("security: {run_as_user: image}")["runAsUser"], Value::Null);
}

#[test]
fn a_stopped_deployment_stops_its_autoscaler_too() {
    let spec = spec("autoscaling: {max_replicas: 3}", Request::default());
    let replicas = |replicas| {
        let placed = Placed { replicas, ..placed(&spec) };
        render(&spec, &placed).unwrap().deployment.spec.unwrap().replicas
    };
    assert_eq!((replicas(1), replicas(0)), (None, Some(0)));
}

#[test]
fn everything_that_cannot_be_read_is_told_at_once() {
    let wrong =
        "exposure: {}, placement: {tolerations: [{key: 1}], affinity: [1]}, network: {allow: [{ports: [1]}]}";
    let spec = spec(wrong, Request::default());
    let placed = Placed { ingress_host: None, ..placed(&spec) };
    let violations = render(&spec, &placed).unwrap_err();
    let pointers: Vec<&str> = violations.iter().map(|violation| violation.pointer.as_str()).collect();
    let expected = [
        "/placement/tolerations/0",
        "/placement/affinity",
        "/network/allow/0",
        "/exposure",
        "/exposure/host",
    ];
    assert_eq!(pointers, expected, "{violations}");
}
