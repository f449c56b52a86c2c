//! The client side of TLS, the same towards every proxy: TLS 1.3, AES-128-GCM, X25519, a
//! certificate chain of RSA 2048.
//!
//! One cipher suite and one group are offered, so that no proxy does dearer work than another
//! because its library prefers something else.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

/// Which certificate is presented.
#[derive(Clone, Copy)]
pub(crate) enum Identity {
    /// The one that is let in.
    Right,
    /// A valid chain under another name.
    WrongName,
}

/// What becomes of the tickets that a server sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// The next connection made with this configuration resumes.
    Kept,
    /// Every handshake is a full one.
    Forgotten,
}

/// A configuration of its own: sessions are not shared with any other.
pub(crate) fn client(pki: &Path, identity: Identity, sessions: Sessions) -> Arc<ClientConfig> {
    let name = match identity {
        Identity::Right => "client",
        Identity::WrongName => "wrong-name",
    };
    let open = |file: String| BufReader::new(File::open(pki.join(file)).unwrap());
    let chain =
        rustls_pemfile::certs(&mut open(format!("{name}.pem"))).map(Result::unwrap).collect();
    let key = rustls_pemfile::private_key(&mut open(format!("{name}.key"))).unwrap().unwrap();
    let mut roots = RootCertStore::empty();
    for root in rustls_pemfile::certs(&mut open("server-root.pem".to_owned())) {
        roots.add(root.unwrap()).unwrap();
    }

    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = match sessions {
        Sessions::Kept => Resumption::in_memory_sessions(32),
        Sessions::Forgotten => Resumption::disabled(),
    };
    Arc::new(config)
}
