//! TLS, with a certificate that is renewed while the server runs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcp_deploy_core::{Backends, Catalog, DeploymentManager, HttpSettings, Settings};
use mcp_deploy_http::serve;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::sync::oneshot;

/// Writes a new certificate of this machine, and a time at which it was written.
fn certify(directory: &Path, second: u64) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: String| {
        fs::write(directory.join(name), text).unwrap();
        let file = fs::File::options().append(true).open(directory.join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(second)).unwrap();
    };
    write("tls.crt", cert.pem());
    write("tls.key", signing_key.serialize_pem());
    cert.der().clone()
}

/// The answer of the server to a client that trusts this certificate alone.
fn health(address: SocketAddr, trusted: CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(address)?);
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = certify(directory.path(), 1);
    let settings = HttpSettings {
        bind: "127.0.0.1:0".parse().unwrap(),
        tls_cert: Some(directory.path().join("tls.crt")),
        tls_key: Some(directory.path().join("tls.key")),
        ..HttpSettings::default()
    };
    let (told, address) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let started = |address| told.send(address).unwrap();
        serve(manager(), &settings, started, std::future::pending()).await
    });
    let address = address.await.unwrap();
    assert!(health(address, first.clone()).unwrap().starts_with("HTTP/1.1 200 "));
    let second = certify(directory.path(), 2);
    assert!(health(address, second.clone()).unwrap().starts_with("HTTP/1.1 200 "));
    assert!(health(address, first).is_err());
    // One that is broken changes nothing.
    fs::write(directory.path().join("tls.key"), "nonsense").unwrap();
    assert!(health(address, second).unwrap().starts_with("HTTP/1.1 200 "));
    serving.abort();
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certify(one.path(), 1);
    certify(other.path(), 1);
    let settings = HttpSettings {
        bind: "127.0.0.1:0".parse().unwrap(),
        tls_cert: Some(one.path().join("tls.crt")),
        tls_key: Some(other.path().join("tls.key")),
        ..HttpSettings::default()
    };
    let refused = serve(manager(), &settings, |_| {}, std::future::pending()).await.unwrap_err();
    assert!(refused.to_string().contains("do not belong together"), "{refused}");
    let lonely = HttpSettings { tls_key: None, ..settings };
    let refused = serve(manager(), &lonely, |_| {}, std::future::pending()).await.unwrap_err();
    assert!(refused.to_string().contains("MCP_TLS_KEY"), "{refused}");
}

fn manager() -> DeploymentManager {
    DeploymentManager::new(Catalog::default(), Backends::default(), &Settings::default())
}
