//! The rustls configuration of one worker, and what a finished handshake proves.
//!
//! Sessions are resumed by tickets alone: nothing is stored here, and the key of the tickets lives
//! and dies with the generation that made it. A ticket carries the chain that was presented; it is
//! proven again under the current trust before the first request is read.

use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::server::{Acceptor, NoServerSessionStorage, ProducesTickets, ServerConnection};
use rustls::{Error, ServerConfig};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, LazyConfigAcceptor, TlsAcceptor};

use super::client_auth::{ClientAuthError, ClientTrust, VerifiedClient};
use super::material::ServerIdentity;
use super::sni::SniCertResolver;
use super::verifier::WorkerVerifier;
use crate::config::UnknownSni;
use crate::refusal::ConnectionRefusal;

/// What all workers of one generation share.
#[derive(Debug)]
pub struct TlsSettings {
    provider: Arc<CryptoProvider>,
    identities: Vec<ServerIdentity>,
    certificates: Arc<SniCertResolver>,
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
    config: Arc<ServerConfig>,
    /// Knows the names that may be asked for; `None`: any.
    gate: Option<Arc<SniCertResolver>>,
    verifier: Option<Arc<WorkerVerifier>>,
    trust: Option<Arc<ClientTrust>>,
}

/// A handshake that failed.
pub(crate) struct FailedHandshake {
    pub(crate) auth_error: ClientAuthError,
    /// To be closed gently; `None` if it is gone already.
    pub(crate) stream: Option<TcpStream>,
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
        let certificates = Arc::new(SniCertResolver::new(&identities, unknown_sni));
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

    /// Client certificates come from elsewhere, and are proven by the same trust.
    pub(crate) fn without_asking(self) -> Self {
        Self { asks: false, ..self }
    }

    /// The trust that callers are proven under; `None` if no route asks.
    pub fn trust(&self) -> Option<&Arc<ClientTrust>> {
        self.trust.as_ref()
    }

    /// What callers are shown, in the order of the configuration.
    pub fn identities(&self) -> &[ServerIdentity] {
        &self.identities
    }

    /// Makes one worker's configuration, with a verifier of its own.
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
        let mut config = builder.with_cert_resolver(Arc::clone(&self.certificates) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::clone(&self.tickets);
        // One ticket a connection: each is encrypted with the whole chain in it, and the next
        // connection brings the next one.
        config.send_tls13_tickets = 1;
        let gate = self.certificates.refuses_unknown().then(|| Arc::clone(&self.certificates));
        Ok(WorkerTls { config: Arc::new(config), gate, verifier, trust: self.trust.clone() })
    }
}

impl WorkerTls {
    /// A handshake with whoever is at the other end, to its end, whichever that is.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, FailedHandshake> {
        let accept = match &self.gate {
            None => TlsAcceptor::from(Arc::clone(&self.config)).accept(stream),
            Some(gate) => self.accept_known(stream, gate).await?,
        };
        accept.into_fallible().await.map_err(|(error, stream)| self.broken(&error, Some(stream)))
    }

    /// Looks at the name that is asked for, and goes on if it is known.
    ///
    /// The resolver refuses it, too, but then rustls says "access_denied".
    async fn accept_known(
        &self,
        stream: TcpStream,
        gate: &SniCertResolver,
    ) -> Result<Accept<TcpStream>, FailedHandshake> {
        let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), stream);
        let mut begun = match (&mut acceptor).await {
            Ok(begun) => begun,
            Err(error) => return Err(self.broken(&error, acceptor.take_io())),
        };
        let server_name = begun.client_hello().server_name().map(Into::into);
        if gate.is_known(server_name.as_deref()) {
            return Ok(begun.into_stream(Arc::clone(&self.config)));
        }
        let _gone_either_way = begun.io.write_all(&UNRECOGNIZED_NAME).await;
        let auth_error =
            ClientAuthError { server_name, ..ConnectionRefusal::ServerNameUnknown.into() };
        Err(FailedHandshake { auth_error, stream: Some(begun.io) })
    }

    fn broken(&self, error: &io::Error, stream: Option<TcpStream>) -> FailedHandshake {
        FailedHandshake { auth_error: self.explain(error), stream }
    }

    /// Why the handshake that just ended with `error` failed. Call it before anything else runs.
    fn explain(&self, error: &io::Error) -> ClientAuthError {
        if let Some(auth_error) = self.verifier.as_ref().and_then(|verifier| verifier.take_error())
        {
            return auth_error;
        }
        let reason = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::NoCertificatesPresented) => ConnectionRefusal::CertificateMissing,
            Some(Error::InvalidCertificate(_)) => ConnectionRefusal::CertificateMalformed,
            Some(Error::AlertReceived(_)) => ConnectionRefusal::AlertReceived,
            _ => ConnectionRefusal::HandshakeFailed,
        };
        reason.into()
    }

    /// The proven caller of a finished handshake, full or resumed; `None` if it presented nothing.
    pub(crate) fn prove(
        &self,
        connection: &ServerConnection,
    ) -> Result<Option<Arc<VerifiedClient>>, ClientAuthError> {
        let (Some(trust), Some(chain)) = (&self.trust, connection.peer_certificates()) else {
            return Ok(None);
        };
        trust.prove(chain, UnixTime::now()).map(Some)
    }
}

/// The fatal alert "unrecognized_name" (RFC 6066 section 3) in a record of its own, as it goes to a
/// caller with whom no keys are agreed on yet.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
