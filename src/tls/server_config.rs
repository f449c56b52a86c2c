//! The rustls configuration of one worker, and what a finished handshake proves.
//!
//! Sessions are resumed by tickets alone: nothing is stored here, and the key of the tickets lives
//! and dies with the generation that made it. A ticket carries the chain that was presented; it is
//! proven again under the current trust before the first request is read.

use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerConnection};
use rustls::{Error, ServerConfig};

use super::by_name::{Certificates, WorkerResolver};
use super::client_auth::{ClientTrust, Disbelief, VerifiedClient};
use super::material::ServerIdentity;
use super::verifier::WorkerVerifier;
use crate::config::UnknownSni;
use crate::refusal::Hangup;

/// What all workers of one generation share.
#[derive(Debug)]
pub struct TlsSettings {
    provider: Arc<CryptoProvider>,
    identities: Vec<ServerIdentity>,
    certificates: Arc<Certificates>,
    trust: Option<Arc<ClientTrust>>,
    /// Every route asks for a certificate, so a handshake without one can fail in TLS.
    certificate_mandatory: bool,
    /// Whether the handshake asks for a certificate at all.
    asks: bool,
    tickets: Arc<dyn ProducesTickets>,
}

/// One worker's side of TLS.
#[derive(Debug)]
pub(crate) struct WorkerTls {
    pub(crate) config: Arc<ServerConfig>,
    resolver: Arc<WorkerResolver>,
    verifier: Option<Arc<WorkerVerifier>>,
    trust: Option<Arc<ClientTrust>>,
}

impl TlsSettings {
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        identities: Vec<ServerIdentity>,
        unknown_sni: UnknownSni,
        trust: Option<Arc<ClientTrust>>,
        certificate_mandatory: bool,
    ) -> Result<Self, Error> {
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        let certificates = Arc::new(Certificates::new(&identities, unknown_sni));
        Ok(Self {
            provider,
            identities,
            certificates,
            trust,
            certificate_mandatory,
            asks: true,
            tickets,
        })
    }

    /// Certificates come from elsewhere, and are proven by the same trust.
    pub(crate) fn without_asking(self) -> Self {
        Self { asks: false, ..self }
    }

    /// Whom callers are believed by; `None` if no route asks.
    pub fn trust(&self) -> Option<&Arc<ClientTrust>> {
        self.trust.as_ref()
    }

    /// What callers are shown, in the order of the configuration.
    pub fn identities(&self) -> &[ServerIdentity] {
        &self.identities
    }

    /// Makes one worker's configuration, with a verifier and a resolver of its own.
    pub(crate) fn for_worker(&self) -> Result<WorkerTls, Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let verifier = self.trust.as_ref().filter(|_| self.asks).map(|trust| {
            Arc::new(WorkerVerifier::new(Arc::clone(trust), self.certificate_mandatory))
        });
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier) as _),
            None => builder.with_no_client_auth(),
        };
        let resolver = Arc::new(WorkerResolver::new(Arc::clone(&self.certificates)));
        let mut config = builder.with_cert_resolver(Arc::clone(&resolver) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::clone(&self.tickets);
        // One ticket a connection: each is encrypted with the whole chain in it, and the next
        // connection brings the next one.
        config.send_tls13_tickets = 1;
        Ok(WorkerTls { config: Arc::new(config), resolver, verifier, trust: self.trust.clone() })
    }
}

impl WorkerTls {
    /// Why the handshake that just ended with `error` failed. Call it before anything else runs.
    pub(crate) fn explain(&self, error: &io::Error) -> Disbelief {
        if let Some(disbelief) =
            self.verifier.as_ref().and_then(|verifier| verifier.take_disbelief())
        {
            return disbelief;
        }
        if self.resolver.take_refused() {
            return Hangup::ServerNameUnknown.into();
        }
        let reason = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::NoCertificatesPresented) => Hangup::CertificateMissing,
            Some(Error::InvalidCertificate(rustls::CertificateError::BadSignature)) => {
                Hangup::BadSignature
            }
            Some(Error::InvalidCertificate(_)) => Hangup::CertificateMalformed,
            Some(Error::AlertReceived(_)) => Hangup::AlertReceived,
            _ => Hangup::HandshakeFailed,
        };
        reason.into()
    }

    /// The proven caller of a finished handshake, full or resumed; `None` if it presented nothing.
    pub(crate) fn prove(
        &self,
        connection: &ServerConnection,
    ) -> Result<Option<Arc<VerifiedClient>>, Disbelief> {
        let (Some(trust), Some(chain)) = (&self.trust, connection.peer_certificates()) else {
            return Ok(None);
        };
        trust.prove(chain, UnixTime::now()).map(Some)
    }
}
