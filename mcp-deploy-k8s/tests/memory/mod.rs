//! An API server in memory, with its controllers and a kubelet: what the backend uses of Kubernetes, without a
//! cluster. Its pods are tasks that serve MCP on the loopback interface.

mod apply;
mod controller;
mod delete;
mod faults;
mod kubelet;
mod list;
mod logs;
mod object;
mod portforward;
mod route;
mod serve;
mod status;
mod store;
mod update;
mod watch;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::faults::Faults;
pub(crate) use self::faults::{Answer, Fault};
use self::kubelet::Kubelet;
use self::logs::Logs;
use self::store::Store;

/// An API server; it and all that runs in its pods ends when it is dropped.
pub(crate) struct Api {
    address: SocketAddr,
    server: Arc<Server>,
    _tasks: JoinSet<()>,
}

/// Work that outlives the request that asked for it.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What every request works with.
struct Server {
    store: Store,
    logs: Logs,
    kubelet: Kubelet,
    faults: Faults,
    work: mpsc::UnboundedSender<Work>,
}

impl Api {
    /// Starts it in the current runtime, with the namespace `default` and nothing else.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (work, asked) = mpsc::unbounded_channel();
        let server = Arc::new(Server {
            store: Store::default(),
            logs: Logs::default(),
            kubelet: Kubelet::default(),
            faults: Faults::default(),
            work,
        });
        server.store.make_namespace("default");
        let mut tasks = JoinSet::new();
        tasks.spawn(serve::accept(listener, Arc::clone(&server), asked));
        tasks.spawn(controller::run(Arc::clone(&server)));
        tasks.spawn(kubelet::run(Arc::clone(&server)));
        Self { address, server, _tasks: tasks }
    }

    /// Where it is reached, without TLS; any token will do.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes wrong as told, at the next requests that match.
    pub(crate) fn script(&self, fault: Fault) {
        self.server.faults.script(fault);
    }

    /// Ends all watches that are open.
    pub(crate) fn cut_watches(&self) {
        self.server.faults.cut_watches();
    }

    /// Forgets what has happened so far: whoever wants to go on from an earlier version is told 410.
    pub(crate) fn compact(&self) {
        self.server.store.compact();
    }

    /// Method and path with query of all requests so far.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        self.server.faults.requests()
    }
}
