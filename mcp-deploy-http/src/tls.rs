//! TLS: the server's certificate, read again when it is renewed.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::reloaded::{Reloaded, unreadable};

/// The TLS of a server with this certificate and this key, in PEM; TLS 1.2 and 1.3.
///
/// # Errors
///
/// What is wrong with the files.
pub(crate) fn config(certificate: PathBuf, key: PathBuf) -> Result<ServerConfig, String> {
    let certificate = Certificate(Reloaded::new(vec![certificate, key], read)?);
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_no_client_auth().with_cert_resolver(Arc::new(certificate)))
}

#[derive(Debug)]
struct Certificate(Reloaded<CertifiedKey>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.get())
    }
}

fn read(files: &[PathBuf]) -> Result<CertifiedKey, String> {
    let [certificate, key] = files else { return Err("a certificate and a key are two files".to_owned()) };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unreadable("certificate", certificate, error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("key", key, error))?;
    let provider: CryptoProvider = default_provider();
    CertifiedKey::from_der(chain, private, &provider).map_err(|error| {
        format!("`{}` and `{}` do not belong together: {error}", certificate.display(), key.display())
    })
}
