//! The TLS side of a sender: which servers it trusts, what it presents, and what was agreed on.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WantsClientCert};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, HandshakeKind, ProtocolVersion,
    RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Http, Options, SendError, Tls, Trust};

/// What was agreed on in a handshake, and how long it took.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// Who answered; `None` if the socket was gone before it could be asked.
    pub peer: Option<SocketAddr>,
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: &'static str,
    /// As rustls names it, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: &'static str,
    /// As rustls names it, such as `X25519MLKEM768`; none in a resumed TLS 1.2 handshake.
    pub key_exchange: Option<String>,
    /// Whether it was resumed from a ticket of an earlier one.
    pub resumed: bool,
    /// The protocol that both sides chose (ALPN).
    pub protocol: Option<String>,
    /// What the server presented, leaf first.
    pub server_chain: Vec<CertificateDer<'static>>,
    /// From the first packet to an open TCP connection.
    pub connect_time: Duration,
    /// From there to the server's first bytes after the handshake.
    pub handshake_time: Duration,
}

impl Handshake {
    pub(super) fn of(
        stream: &TlsStream<TcpStream>,
        connect_time: Duration,
        handshake_time: Duration,
    ) -> Self {
        let (socket, session) = stream.get_ref();
        let protocol = session.alpn_protocol();
        Self {
            peer: socket.peer_addr().ok(),
            version: match session.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
                _ => "unknown",
            },
            cipher_suite: session
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown"),
            key_exchange: session
                .negotiated_key_exchange_group()
                .map(|group| format!("{:?}", group.name())),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            protocol: protocol.map(|name| String::from_utf8_lossy(name).into_owned()),
            server_chain: session.peer_certificates().unwrap_or_default().to_vec(),
            connect_time,
            handshake_time,
        }
    }
}

/// Presents one identity, or none, whatever authorities the server says that it trusts: a sender
/// does not know which of its certificates is the right one. Remembers whether it was asked.
#[derive(Debug)]
pub(super) struct Presenter {
    identity: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Presenter {
    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Presenter {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}

/// What a server presented last, also if the handshake failed after that.
#[derive(Debug, Default)]
pub(super) struct Presented(Mutex<Vec<CertificateDer<'static>>>);

impl Presented {
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>]) {
        let chain = std::iter::once(leaf).chain(above).map(|der| der.clone().into_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
    }
}

/// The TLS side of a sender, and what can be asked of it later.
pub(super) struct Client {
    pub(super) config: Arc<ClientConfig>,
    pub(super) presenter: Arc<Presenter>,
    pub(super) presented: Arc<Presented>,
}

pub(super) fn client_config(options: &Options) -> Result<Client, SendError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let identity = match &options.identity {
        None => None,
        Some(identity) => {
            let key = provider.key_provider.load_private_key(identity.key.clone_key());
            let key = key.map_err(|source| SendError::Identity { source })?;
            // Without the check that key and leaf belong together: some senders lie.
            Some(Arc::new(CertifiedKey::new(identity.chain.clone(), key)))
        }
    };
    let presenter = Arc::new(Presenter { identity, asked: AtomicBool::new(false) });
    let presented = Arc::new(Presented::default());
    let versions: &[_] = match options.tls {
        Tls::Both => &[&rustls::version::TLS13, &rustls::version::TLS12],
        Tls::Only12 => &[&rustls::version::TLS12],
        Tls::Only13 => &[&rustls::version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|source| SendError::Tls { source })?;
    let builder: ConfigBuilder<ClientConfig, WantsClientCert> = match &options.trust {
        Trust::Anything => {
            let verifier = Arc::new(Credulous(provider, Arc::clone(&presented)));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
        Trust::PublicRoots => {
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
            builder.with_root_certificates(roots.collect::<RootCertStore>())
        }
        Trust::Roots(certificates) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                let added = roots.add(certificate.clone());
                added.map_err(|source| SendError::Root { source })?;
            }
            builder.with_root_certificates(roots)
        }
    };
    let mut config = builder.with_client_cert_resolver(presenter.clone());
    config.alpn_protocols = match options.http {
        Http::One => vec![b"http/1.1".to_vec()],
        Http::Two => vec![b"h2".to_vec()],
    };
    if !options.resumption {
        config.resumption = Resumption::disabled();
    }
    Ok(Client { config: Arc::new(config), presenter, presented })
}

/// Accepts every chain, but still asks for the proof that the server has the leaf's key.
#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>, Arc<Presented>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.1.keep(leaf, above);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
