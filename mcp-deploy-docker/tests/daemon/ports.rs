//! The address of a deployment: chosen, fixed, taken, kept.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use mcp_deploy_core::{DeployOptions, DeploymentBackend, DockerSettings, Error, Request};
use mcp_deploy_docker::DockerBackend;
use serde_json::json;

use crate::fixture::Daemon;
use crate::site::{generation, new_name, resolved, spec};

/// A port of this machine that nobody has just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn at_port(name: &str, port: u16) -> mcp_deploy_core::DeploymentSpec {
    resolved("well", json!({}), &Request::default().name(name).host_port(port))
}

pub(crate) async fn a_fixed_port_is_where_the_server_is(daemon: &Daemon) {
    let (name, port) = (new_name(), free_port());
    let deployment = daemon.deploy(&at_port(name.as_str(), port)).await.unwrap();
    assert_eq!(deployment.endpoint, Some(format!("http://127.0.0.1:{port}/mcp")));
    // Another port is another spec, at that port.
    let other = free_port();
    let moved = daemon.deploy(&at_port(name.as_str(), other)).await.unwrap();
    assert_eq!(moved.endpoint, Some(format!("http://127.0.0.1:{other}/mcp")));
    daemon.remove_all(&name).await;
}

pub(crate) async fn a_fixed_port_that_is_taken_is_a_conflict_that_names_the_holder(daemon: &Daemon) {
    let (holder, late) = (new_name(), new_name());
    let port = free_port();
    daemon.deploy(&at_port(holder.as_str(), port)).await.unwrap();
    let told = |outcome: Result<_, Error>| match outcome {
        Err(error @ Error::Conflict { .. }) => error.to_string(),
        outcome => panic!("{outcome:?}"),
    };
    let words = told(daemon.deploy(&at_port(late.as_str(), port)).await);
    assert!(words.contains(&format!("port {port}")) && words.contains(holder.as_str()), "{words}");
    daemon.remove_all(&holder).await;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let words = told(daemon.deploy(&at_port(late.as_str(), port)).await);
    assert!(words.contains("no container listens there"), "{words}");
    daemon.has_nothing_of(&late).await;
}

pub(crate) async fn an_update_to_a_port_that_is_taken_leaves_what_runs(daemon: &Daemon) {
    let name = new_name();
    let port = free_port();
    let before = daemon.deploy(&at_port(name.as_str(), port)).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let outcome = daemon.deploy(&at_port(name.as_str(), taken)).await;
    assert!(matches!(outcome, Err(Error::Conflict { .. })), "{outcome:?}");
    let after = daemon.manager().wait(None, &name, Duration::from_secs(20)).await.unwrap();
    assert_eq!((after.revision, after.endpoint, after.ready), (1, before.endpoint, true));
    daemon.remove_all(&name).await;
}

pub(crate) async fn a_revision_whose_port_is_taken_does_not_come_back_and_stays_kept(daemon: &Daemon) {
    let name = new_name();
    let [first, second] = [free_port(), free_port()];
    daemon.deploy(&at_port(name.as_str(), first)).await.unwrap();
    daemon.deploy(&at_port(name.as_str(), second)).await.unwrap();
    let kept = daemon.id(&format!("{name}.previous")).await;
    let listener = TcpListener::bind(("127.0.0.1", first)).unwrap();
    let outcome = daemon.deploy(&at_port(name.as_str(), first)).await;
    assert!(matches!(outcome, Err(Error::Conflict { .. })), "{outcome:?}");
    let after = daemon.manager().wait(None, &name, Duration::from_secs(20)).await.unwrap();
    assert_eq!((after.revision, after.endpoint), (2, Some(format!("http://127.0.0.1:{second}/mcp"))));
    assert_eq!(daemon.id(&format!("{name}.previous")).await, kept);
    drop(listener);
    assert_eq!(daemon.deploy(&at_port(name.as_str(), first)).await.unwrap().revision, 1);
    daemon.remove_all(&name).await;
}

pub(crate) async fn a_stopped_deployment_keeps_its_port(daemon: &Daemon) {
    let port = free_port();
    let settings =
        DockerSettings { port_range: port.to_string().parse().unwrap(), ..daemon.settings().await };
    let narrow = DockerBackend::new(settings);
    let (stopped, late) = (spec("well", json!({})), spec("well", json!({})));
    narrow.deploy(&stopped, DeployOptions::default()).await.unwrap();
    narrow.scale(&stopped.name, 0).await.unwrap();
    let outcome = narrow.deploy(&late, DeployOptions::default()).await;
    assert!(matches!(outcome, Err(Error::Conflict { .. })), "{outcome:?}");
    narrow.scale(&stopped.name, 1).await.unwrap();
    let deployment = narrow.get(&stopped.name).await.unwrap();
    assert_eq!(deployment.endpoint, Some(format!("http://127.0.0.1:{port}/mcp")));
    daemon.remove_all(&stopped.name).await;
    daemon.has_nothing_of(&late.name).await;
}

pub(crate) async fn a_full_range_says_so(daemon: &Daemon) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let settings =
        DockerSettings { port_range: taken.to_string().parse().unwrap(), ..daemon.settings().await };
    let spec = generation(&new_name(), 1);
    let error = DockerBackend::new(settings).deploy(&spec, DeployOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("MCP_PORT_RANGE"), "{error}");
    daemon.has_nothing_of(&spec.name).await;
}

pub(crate) async fn nothing_listens_on_another_interface(daemon: &Daemon) {
    let (name, port) = (new_name(), free_port());
    daemon.deploy(&at_port(name.as_str(), port)).await.unwrap();
    // As the kernel tells it: state 0A listens, addresses are in hexadecimal digits, the lowest byte first.
    let wanted = format!(":{port:04X}");
    let listening: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| {
            fs::read_to_string(table).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let local = fields.nth(1)?.to_owned();
            (fields.nth(1)? == "0A" && local.ends_with(&wanted)).then_some(local)
        })
        .collect();
    assert_eq!(listening, [format!("0100007F{wanted}")]);
    // Nor does a rule of the firewall lead there from an address of this machine.
    let addresses = Command::new("hostname").arg("-I").output().unwrap().stdout;
    let addresses = String::from_utf8(addresses).unwrap();
    let addresses: Vec<IpAddr> = addresses.split_whitespace().filter_map(|it| it.parse().ok()).collect();
    assert!(!addresses.is_empty(), "this machine has no address but the loopback's");
    for address in addresses {
        let address = SocketAddr::new(address, port);
        let refused = TcpStream::connect_timeout(&address, Duration::from_secs(2));
        assert!(refused.is_err(), "{address} leads to the server");
    }
    daemon.remove_all(&name).await;
}
