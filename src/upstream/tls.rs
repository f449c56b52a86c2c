//! TLS towards an upstream: which certificates we accept there, and what we show.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::target_error::TargetError;
use crate::config::Upstream;
use crate::tls::certificate::CertificateFacts;
use crate::tls::material::{read_certificates, read_server_identity};

/// Our side of TLS towards all servers of one upstream.
pub(super) struct UpstreamTlsConnector {
    pub(super) connector: TlsConnector,
    /// The certificates that a server is shown if it asks; leaf first.
    pub(super) shown: Vec<CertificateFacts>,
}

impl UpstreamTlsConnector {
    pub(super) fn new(
        settings: &Upstream,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TargetError> {
        let upstream = || settings.name.clone();
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|source| TargetError::Tls { upstream: upstream(), source })?
            .with_root_certificates(roots(settings)?);
        let mut shown = Vec::new();
        let mut config = match &settings.tls.client {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let identity =
                    read_server_identity(&files.certificate, &files.private_key, provider)
                        .map_err(|source| TargetError::Identity { upstream: upstream(), source })?;
                shown = identity.facts;
                let resolver = SingleCertAndKey::from(identity.certified);
                builder.with_client_cert_resolver(Arc::new(resolver))
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), shown })
    }
}

fn roots(settings: &Upstream) -> Result<RootCertStore, TargetError> {
    let Some(path) = &settings.tls.ca else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let upstream = || settings.name.clone();
    let certificates = read_certificates(path)
        .map_err(|source| TargetError::Ca { upstream: upstream(), source })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|source| TargetError::Root {
            upstream: upstream(),
            path: path.clone(),
            source,
        })?;
    }
    Ok(roots)
}
