//! TLS with the host's own certificate.

use crate::error::ServeError;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sampan_trust::Identity;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Speaks TLS 1.3 and 1.2 as the host.
pub(super) fn acceptor(identity: &Identity) -> Result<TlsAcceptor, ServeError> {
    let cannot = |error: rustls::Error| ServeError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.pkcs8().to_vec()));
    let certificate = CertificateDer::from(identity.certificate().to_vec());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(cannot)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(cannot)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
