//! The servers of simulated deployments: real ones, on the loopback interface.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use mcp_deploy_core::{Connection, DeploymentName, Error, Result};

use crate::record::{BACKEND, Record};
use crate::{HttpMode, HttpServer, ServerProfile};

/// The servers that a backend in memory has opened, each from the first time its deployment served until the
/// deployment is gone: so its address stays.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    by_name: Mutex<BTreeMap<DeploymentName, Served>>,
}

#[derive(Debug)]
struct Served {
    server: Arc<HttpServer>,
    /// Whose profile it has: when that was first deployed, and its revision.
    version: (Timestamp, u64),
}

impl Servers {
    /// The server of a deployment, with the profile and the manners of its record; `None` where nothing
    /// listens now.
    pub(crate) fn serve(&self, record: &Record, listens: bool) -> Result<Option<Arc<HttpServer>>> {
        let name = &record.spec.0.name;
        let mode = record.faults.answers;
        let mut servers = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if !listens {
            if let Some(served) = servers.get(name) {
                served.server.set_mode(HttpMode::Away);
            }
            return Ok(None);
        }
        // A name may be deployed anew.
        let version = (record.created_at, record.revision);
        let served = match servers.entry(name.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Served { server: Arc::new(start(record, mode)?), version }),
        };
        if served.version != version {
            served.server.set_profile(profile(record), &*record.spec.0.transport.path);
            served.version = version;
        }
        served.server.set_mode(mode);
        Ok(Some(Arc::clone(&served.server)))
    }

    /// Closes the server of a deployment that is gone.
    pub(crate) fn close(&self, name: &DeploymentName) {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The names of the deployments that have a server.
    pub(crate) fn names(&self) -> Vec<DeploymentName> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

/// The URL of a server's endpoint.
pub(crate) fn url(address: SocketAddr, record: &Record) -> String {
    format!("http://{address}{}", record.spec.0.transport.path)
}

/// A connection to a server of its own, which is up for as long as the connection is kept.
pub(crate) fn connect_alone(record: &Record) -> Result<Connection> {
    if record.faults.never_listens {
        return connect_to_nothing(record);
    }
    let server = start(record, record.faults.answers)?;
    Ok(Connection::guarded(url(server.address(), record), server))
}

/// A connection to an address at which nothing listens.
pub(crate) fn connect_to_nothing(record: &Record) -> Result<Connection> {
    let address =
        bind().and_then(|listener| listener.local_addr()).map_err(|error| cannot_serve(record, error))?;
    Ok(Connection::new(url(address, record)))
}

fn start(record: &Record, mode: HttpMode) -> Result<HttpServer> {
    let listener = bind().and_then(|listener| {
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    });
    let listener = listener.map_err(|error| cannot_serve(record, error))?;
    Ok(HttpServer::start(listener, profile(record), mode, &*record.spec.0.transport.path))
}

fn bind() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

fn cannot_serve(record: &Record, error: io::Error) -> Error {
    Error::backend(BACKEND, format!("serve `{}` on the loopback interface", record.spec.0.name), error)
}

fn profile(record: &Record) -> ServerProfile {
    let spec = &record.spec.0;
    let mut environment = spec.env.clone();
    environment.extend(spec.secrets.expose().map(|(name, value)| (name.to_owned(), value.to_owned())));
    ServerProfile {
        name: spec.template.id.to_string(),
        version: spec.template.version.clone(),
        tools: spec.tools.clone(),
        environment,
        echo_environment: record.faults.echo_environment,
        explores: false,
    }
}
