//! Whom to trust, and through whom to go.

use crate::error::DownloadError;
use crate::settings::Proxy;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// Certificates in an extra file; a few hundred are all that there are.
const MAX_PEM: u64 = 4 << 20;

/// TLS settings and the proxy.
pub(crate) struct Trust {
    pub tls: TlsConnector,
    pub proxy: Option<Matcher>,
}

impl Trust {
    pub fn new(extra_roots: Option<&Path>, proxy: &Proxy) -> Result<Self, DownloadError> {
        // Mozilla's roots, built in: a phone has no known place for certificates. Revocation is not checked.
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = extra_roots {
            add_file(&mut roots, path)?;
        }
        let start = |why: rustls::Error| DownloadError::Start { why: why.to_string() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(start)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let proxy = match proxy {
            Proxy::Environment => Some(Matcher::from_env()),
            Proxy::Direct => None,
            Proxy::Fixed(text) => {
                // The matcher would pass over what it cannot read, and go straight to the server.
                let sound =
                    url::Url::parse(text).is_ok_and(|url| url.scheme() == "http" && url.host().is_some());
                if !sound {
                    let why = "the proxy's address must be of the form http://host:port".to_owned();
                    return Err(DownloadError::Start { why });
                }
                Some(Matcher::builder().all(text.clone()).build())
            }
        };
        Ok(Self { tls: TlsConnector::from(Arc::new(tls)), proxy })
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), DownloadError> {
    let wrong = |why: &dyn std::fmt::Display| DownloadError::Start {
        why: format!("the certificates in {} cannot be used: {why}", path.display()),
    };
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| wrong(&e))?;
    file.take(MAX_PEM).read_to_end(&mut pem).map_err(|e| wrong(&e))?;
    let mut count = 0;
    // Windows' editors put UTF-8's mark before the first line, which then begins no certificate.
    let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&pem);
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| wrong(&e))?;
        roots.add(certificate).map_err(|e| wrong(&e))?;
        count += 1;
    }
    if count == 0 { Err(wrong(&"it holds no PEM certificate")) } else { Ok(()) }
}
