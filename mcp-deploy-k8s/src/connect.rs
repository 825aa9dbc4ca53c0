//! An address that works from here: the Service's inside of the cluster, a port-forward outside.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::Portforwarder;
use mcp_deploy_core::{Connection, DeploymentName, Error, Result, one_line};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::error::sorted;
use crate::handle::KubernetesBackend;
use crate::names::BACKEND;
use crate::{labels, manifest, status};

impl KubernetesBackend {
    pub(crate) async fn open(&self, name: &DeploymentName) -> Result<Connection> {
        let transport = self.found(name).await?.ours.spec.transport;
        let path = &transport.path;
        let host = manifest::host(name, self.namespace());
        let forward = Forward { pods: self.objects().await?, name: name.clone(), port: transport.port };
        let Some(pod) = forward.ready_pod().await? else {
            return Err(Error::not_listening(BACKEND, &self.report(name).await?));
        };
        if self.access().await?.is_inside {
            return Ok(Connection::new(format!("http://{host}{path}")));
        }
        let tunnel = Tunnel::open(forward, &pod).await?;
        Ok(Connection::guarded(format!("http://{}{path}", tunnel.address), tunnel).called(host))
    }
}

/// A port of this machine that leads to a pod for as long as the value lives.
struct Tunnel {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Tunnel {
    /// The way to the pod is opened at once, for the first connection: where it is refused, that is told here.
    async fn open(forward: Forward, pod: &str) -> Result<Self> {
        let first = forward.dial(pod).await?;
        let failed = |error| Error::backend(BACKEND, "listen on a port of this machine", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { address, accepting: tokio::spawn(accept(listener, Arc::new(forward), first)) })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Owns the connections: they end with this future.
async fn accept(listener: TcpListener, forward: Arc<Forward>, first: Portforwarder) {
    let mut first = Some(first);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let (forward, dialled) = (Arc::clone(&forward), first.take());
                connections.spawn(async move { forward.carry(stream, dialled).await });
            },
            Some(ended) = connections.join_next() => if let Ok(Err(error)) = ended {
                tracing::debug!(error = %one_line(&error), "a forwarded connection broke");
            },
        }
    }
}

/// Where the connections lead: to a ready pod, looked for anew each time.
struct Forward {
    pods: Api<Pod>,
    name: DeploymentName,
    port: u16,
}

impl Forward {
    /// Of whatever revision: an earlier one may serve until this one does.
    async fn ready_pod(&self) -> Result<Option<String>> {
        let pods = self.pods.list(&labels::of_name(&self.name)).await;
        let pods = pods.map_err(|error| sorted("look for a pod that is ready", error))?;
        let mut ready = pods.into_iter().filter(|pod| status::is_active(pod) && status::is_ready(pod));
        Ok(ready.find_map(|pod| pod.metadata.name))
    }

    async fn dial(&self, pod: &str) -> Result<Portforwarder> {
        self.pods.portforward(pod, &[self.port]).await.map_err(|error| sorted("forward a port", error))
    }

    async fn carry(&self, mut stream: TcpStream, dialled: Option<Portforwarder>) -> Result<()> {
        let mut forwarder = match dialled {
            Some(forwarder) => forwarder,
            None => match self.ready_pod().await? {
                Some(pod) => self.dial(&pod).await?,
                None => return Err(Error::backend(BACKEND, "forward a port", "no pod is ready")),
            },
        };
        if let Some(mut inside) = forwarder.take_stream(self.port) {
            let carried = copy_bidirectional(&mut stream, &mut inside).await;
            carried.map_err(|error| Error::backend(BACKEND, "forward a port", error))?;
            drop(inside);
        }
        forwarder.abort();
        Ok(())
    }
}
