//! What the Kubernetes backend promises about speed and memory, side by side with kubectl, as rows of a Markdown
//! table: `cargo xtask bench` prints them. Needs a cluster whose node is this machine, `kubectl`, and the programs
//! below.
//!
//! The scheduler and the controllers of the cluster, and what gives its Services their addresses, are stopped
//! meanwhile: what is measured is what a client asks of the API server. The pods are generated objects.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "its rows are its output")]

mod generated;

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use mcp_deploy_core::{
    Catalog, DeployOptions, DeploymentBackend, DeploymentSpec, KubernetesSettings, Request, Selector, resolve,
};
use mcp_deploy_k8s::KubernetesBackend;
use serde_json::json;

/// The program `mcp-deploy`, and one that stops and starts the parts of the cluster.
const PROGRAM: &str = "MCP_DEPLOY_BENCH_PROGRAM";
const CLUSTER: &str = "MCP_DEPLOY_E2E_CLUSTER";

const DEPLOYS: usize = 200;
const ROUNDS: usize = 3;
const AT_ONCE: usize = 16;
const FEW: usize = 10;
const MANY: usize = 1000;
const LISTS: usize = 9;
const REMEMBERED: usize = 10_000;

const FEW_NAMESPACE: &str = "mcp-deploy-bench-few";
const MANY_NAMESPACE: &str = "mcp-deploy-bench-many";

#[tokio::main]
async fn main() {
    // First of all, while the process is small.
    let memory = generated::memory_of(REMEMBERED).await.div_ceil(1_000_000);
    row("memory of 10,000 deployments with their pods, cached", "≤ 150 MB", &format!("{memory} MB"));

    let bench = Bench::new().await;
    bench.controllers("stop");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(bench.deploy(&format!("mcp-deploy-bench-ours-{round}"), DEPLOYS + 1).await);
        theirs.push(bench.kubectl_apply(&format!("mcp-deploy-bench-theirs-{round}")).await);
    }
    let figure = "`kubectl apply` of 200 deployments, by 200 deploys, 16 at once";
    ratio(figure, "≥ 3", median(theirs), median(ours));

    bench.deploy(FEW_NAMESPACE, FEW).await;
    bench.make_pods(FEW_NAMESPACE).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..LISTS {
        ours.push(bench.list(FEW_NAMESPACE));
        theirs.push(bench.kubectl(FEW_NAMESPACE, &["get", "deployments"], ""));
    }
    ratio("`list` of 10 deployments, by `kubectl get deployments`", "≤ 1", median(ours), median(theirs));

    bench.deploy(MANY_NAMESPACE, MANY).await;
    bench.make_pods(MANY_NAMESPACE).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..LISTS {
        ours.push(bench.list(MANY_NAMESPACE));
        theirs.push(bench.kubectl(MANY_NAMESPACE, &["get", "deployments,pods", "-o", "json"], ""));
    }
    let figure = "`list` of 1,000 deployments with their pods, by `kubectl get deployments,pods -o json`";
    ratio(figure, "≤ 1.2", median(ours), median(theirs));

    let cached = bench.backend(MANY_NAMESPACE).cached();
    assert_eq!(cached.list(&Selector::default()).await.unwrap().len(), MANY);
    let mut lists = Vec::new();
    for _ in 0..LISTS {
        let started = Instant::now();
        assert!(cached.list(&Selector::default()).await.unwrap().iter().all(|deployment| deployment.ready));
        lists.push(started.elapsed());
    }
    let list = median(lists).as_secs_f64() * 1000.0;
    row("`list` of 1,000 deployments from memory", "≤ 5 ms", &format!("{list:.1} ms"));
    drop(cached);
    bench.clean().await;
}

struct Bench {
    client: Client,
    kubeconfig: std::path::PathBuf,
    program: String,
    cluster: String,
}

impl Bench {
    async fn new() -> Self {
        let kubeconfig = std::path::PathBuf::from(env::var_os("KUBECONFIG").expect("KUBECONFIG is set"));
        let options = KubeConfigOptions::default();
        let config = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(config, &options).await.unwrap();
        Self {
            client: Client::try_from(config).unwrap(),
            kubeconfig,
            program: env::var(PROGRAM).unwrap(),
            cluster: env::var(CLUSTER).unwrap(),
        }
    }

    fn controllers(&self, verb: &str) {
        for part in ["services", "scheduler", "controller-manager"] {
            assert!(Command::new(&self.cluster).args([verb, part]).status().unwrap().success());
        }
    }

    fn backend(&self, namespace: &str) -> KubernetesBackend {
        KubernetesBackend::new(KubernetesSettings {
            namespace: namespace.to_owned(),
            kubeconfig: vec![self.kubeconfig.clone()],
            ..KubernetesSettings::default()
        })
    }

    /// Deploys so many, of which the first makes the namespace and opens the connection.
    async fn deploy(&self, namespace: &str, count: usize) -> Duration {
        let backend = self.backend(namespace);
        backend.deploy(&spec(0), DeployOptions::default()).await.unwrap();
        let started = Instant::now();
        let deploys = stream::iter(1..count).map(|number| {
            let backend = &backend;
            async move { backend.deploy(&spec(number), DeployOptions::default()).await.unwrap() }
        });
        deploys.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
        started.elapsed()
    }

    async fn kubectl_apply(&self, namespace: &str) -> Duration {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let body = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        namespaces.create(&PostParams::default(), &body).await.unwrap();
        let backend = self.backend(namespace);
        let objects: Vec<_> =
            (0..DEPLOYS).flat_map(|number| backend.render(&spec(number), true).unwrap()).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        self.kubectl(namespace, &["apply", "-f", "-"], &list)
    }

    fn kubectl(&self, namespace: &str, arguments: &[&str], input: &str) -> Duration {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(["--namespace", namespace]).args(arguments);
        run(&mut kubectl, input)
    }

    fn list(&self, namespace: &str) -> Duration {
        let mut program = Command::new(&self.program);
        program.args(["list", "--backend", "kubernetes", "--namespace", namespace]);
        run(program.env("KUBECONFIG", &self.kubeconfig), "")
    }

    /// A pod that is ready for each Deployment of a namespace, as the controllers would make it.
    async fn make_pods(&self, namespace: &str) {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        // Without its controller the cluster makes no account for pods either.
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let account = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
        accounts.create(&PostParams::default(), &account).await.unwrap();
        let all = deployments.list(&ListParams::default()).await.unwrap();
        let made = stream::iter(all).map(|deployment| {
            let (deployments, pods) = (&deployments, &pods);
            async move {
                let name = deployment.name_any();
                let pod = generated::pod(&deployment);
                pods.create(&PostParams::default(), &pod).await.unwrap();
                let status = Patch::Merge(json!({"status": pod.status}));
                pods.patch_status(&pod.name_any(), &PatchParams::default(), &status).await.unwrap();
                let status = Patch::Merge(json!({"status": generated::status(&deployment)}));
                deployments.patch_status(&name, &PatchParams::default(), &status).await.unwrap();
            }
        });
        made.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    }

    async fn clean(&self) {
        self.controllers("start");
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        for namespace in namespaces.list(&ListParams::default()).await.unwrap() {
            if namespace.name_any().starts_with("mcp-deploy-bench-") {
                namespaces.delete(&namespace.name_any(), &DeleteParams::default()).await.unwrap();
            }
        }
    }
}

fn spec(number: usize) -> DeploymentSpec {
    let template = Catalog::default().get("demo").unwrap();
    let request = Request::default().name(format!("bench-{number}")).env("API_TOKEN", "c4n4ry");
    resolve(&template, &request, "unused.example").unwrap()
}

fn run(command: &mut Command, input: &str) -> Duration {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{command:?} ended with {status}");
    started.elapsed()
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

fn ratio(figure: &str, target: &str, one: Duration, other: Duration) {
    let ratio = one.as_secs_f64() / other.as_secs_f64();
    row(figure, target, &format!("{ratio:.2} ({} ms by {} ms)", one.as_millis(), other.as_millis()));
}

fn row(figure: &str, target: &str, measured: &str) {
    println!("| {figure} | {target} | {measured} |");
}
