//! PEM files made into certificates, keys and trust anchors.
//!
//! The only module that knows `rustls-pemfile`. In: paths. Out: the server's identity, with its key
//! proven to belong to its leaf and its chain in order, anchors with label and facts, and revocation
//! lists.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::anchor::Anchor;
use super::certificate::CertificateFacts;
use super::key_pem;
use super::revocation::{ListFault, RevocationList};
use crate::config::wiped;
use crate::error_code::ErrorCode;

/// What this server shows its callers, or an upstream.
#[derive(Debug)]
pub struct ServerIdentity {
    /// Chain and key, as rustls takes them.
    pub(crate) certified: Arc<CertifiedKey>,
    /// Leaf first.
    pub facts: Vec<CertificateFacts>,
}

/// Why a file is not the TLS material it should be.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// The file could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The file is not PEM.
    #[error("`{path}` is not valid PEM")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Where the parser stopped.
        source: io::Error,
    },
    /// No certificate in it.
    #[error("`{path}` holds no certificate")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No private key in it.
    #[error("`{path}` holds no private key (PKCS#8, SEC1 or PKCS#1 PEM, not encrypted)")]
    NoPrivateKey {
        /// The file.
        path: PathBuf,
    },
    /// A certificate in it cannot be parsed.
    #[error("certificate {position} of `{path}` cannot be parsed")]
    Unparsable {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        position: usize,
    },
    /// The key is of a kind that the TLS library does not have.
    #[error(
        "the private key in `{path}` is of an unsupported kind; use RSA (2048 bits or more), ECDSA P-256 or P-384, or Ed25519"
    )]
    UnsupportedKey {
        /// The file.
        path: PathBuf,
        /// The library's answer.
        source: rustls::Error,
    },
    /// The key does not belong to the leaf.
    #[error(
        "the private key in `{key}` does not belong to the first certificate in `{certificate}`; the own certificate comes first in the file"
    )]
    KeyMismatch {
        /// The key's file.
        key: PathBuf,
        /// The chain's file.
        certificate: PathBuf,
    },
    /// The chain's order is wrong.
    #[error(
        "certificate {position} of `{path}` was not issued by the one after it ({next}); order: own certificate, then each issuer"
    )]
    ChainOrder {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        position: usize,
        /// Subject of the certificate that follows.
        next: String,
    },
    /// An anchor that no chain can end in.
    #[error(
        "certificate {position} of `{path}` ({subject}) is not a CA and cannot be a trust anchor"
    )]
    NotACa {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        position: usize,
        /// Its subject.
        subject: String,
    },
    /// More bytes than a file of revocation lists may have.
    #[error("`{path}` is larger than `client_certificate.crl_max_bytes`, which is {max_bytes}")]
    ListTooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        max_bytes: usize,
    },
    /// A revocation list in it is not what it should be.
    #[error("revocation list {position} of `{path}` cannot be used")]
    List {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        position: usize,
        /// What is wrong with it.
        source: ListFault,
    },
}

impl MaterialError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Read { .. } => ErrorCode::StartFileUnreadable,
            Self::Pem { .. } => ErrorCode::StartPemInvalid,
            Self::NoCertificate { .. } => ErrorCode::StartCertificateAbsent,
            Self::NoPrivateKey { .. } => ErrorCode::StartKeyAbsent,
            Self::Unparsable { .. } => ErrorCode::StartCertificateUnreadable,
            Self::UnsupportedKey { .. } => ErrorCode::StartKeyUnsupported,
            Self::KeyMismatch { .. } => ErrorCode::StartKeyMismatch,
            Self::ChainOrder { .. } => ErrorCode::StartChainOrder,
            Self::NotACa { .. } => ErrorCode::StartAnchorNotCa,
            Self::ListTooLarge { .. } => ErrorCode::StartCrlTooLarge,
            Self::List { .. } => ErrorCode::StartCrlUnusable,
        }
    }
}

/// Reads the server's chain and key and proves that they fit.
pub fn read_server_identity(
    certificate: &Path,
    private_key: &Path,
    provider: &CryptoProvider,
) -> Result<ServerIdentity, MaterialError> {
    let chain = read_certificates(certificate)?;
    let facts = facts_of(certificate, &chain)?;
    check_order(certificate, &chain)?;
    let key = read_private_key(private_key)?;
    let signer = provider
        .key_provider
        .load_private_key(key)
        .map_err(|source| MaterialError::UnsupportedKey { path: private_key.to_owned(), source })?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(|_inconsistent| MaterialError::KeyMismatch {
        key: private_key.to_owned(),
        certificate: certificate.to_owned(),
    })?;
    Ok(ServerIdentity { certified: Arc::new(certified), facts })
}

/// Reads every anchor of one file. The second and later ones get a number behind the label.
pub fn read_anchors(label: &str, path: &Path) -> Result<Vec<Anchor>, MaterialError> {
    let certificates = read_certificates(path)?;
    let facts = facts_of(path, &certificates)?;
    let mut anchors = Vec::with_capacity(certificates.len());
    for (index, (der, facts)) in certificates.iter().zip(facts).enumerate() {
        let position = index + 1;
        let unparsable = || MaterialError::Unparsable { path: path.to_owned(), position };
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_unreadable| unparsable())?;
        if !facts.is_ca {
            return Err(MaterialError::NotACa {
                path: path.to_owned(),
                position,
                subject: facts.subject,
            });
        }
        let root =
            webpki::anchor_from_trusted_cert(der).map_err(|_unreadable| unparsable())?.to_owned();
        let constraints = certificate.basic_constraints().ok().flatten();
        anchors.push(Anchor {
            label: if index == 0 { label.into() } else { format!("{label}-{position}").into() },
            path: path.to_owned(),
            path_len: constraints.and_then(|constraints| constraints.value.path_len_constraint),
            may_vouch_for_clients: may_vouch_for_clients(&certificate),
            facts,
            root,
            der: der.clone(),
        });
    }
    Ok(anchors)
}

/// Reads every certificate of a PEM file; at least one.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let bytes = read(path)?;
    let certificates = certificates_in(&bytes)
        .map_err(|source| MaterialError::Pem { path: path.to_owned(), source })?;
    if certificates.is_empty() {
        return Err(MaterialError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

/// The private key may be in the same file.
fn certificates_in(text: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut certificates = Vec::new();
    for mut text in key_pem::without_private_keys(text)? {
        for certificate in rustls_pemfile::certs(&mut text) {
            certificates.push(certificate?);
        }
    }
    Ok(certificates)
}

/// Reads every revocation list of a PEM file, or the one of a DER file; at least one.
pub fn read_revocation_lists(
    path: &Path,
    max_bytes: usize,
) -> Result<Vec<RevocationList>, MaterialError> {
    let bytes = read(path)?;
    if bytes.len() > max_bytes {
        return Err(MaterialError::ListTooLarge { path: path.to_owned(), max_bytes });
    }
    let ders = revocation_lists_in(bytes.to_vec())
        .map_err(|source| MaterialError::Pem { path: path.to_owned(), source })?;
    let source: Arc<str> = path.to_string_lossy().into();
    let parse = |(index, der)| {
        RevocationList::parse(Arc::clone(&source), false, der).map_err(|source| {
            MaterialError::List { path: path.to_owned(), position: index + 1, source }
        })
    };
    ders.into_iter().enumerate().map(parse).collect()
}

/// The DER of every list in `bytes`: the PEM sections, or all of it if there is none.
pub(crate) fn revocation_lists_in(bytes: Vec<u8>) -> io::Result<Vec<Vec<u8>>> {
    let lists: Vec<_> = rustls_pemfile::crls(&mut bytes.as_slice()).collect::<Result<_, _>>()?;
    if lists.is_empty() {
        return Ok(vec![bytes]);
    }
    Ok(lists.into_iter().map(|list| list.to_vec()).collect())
}

/// Reads the first private key of a PEM file.
pub fn read_private_key(path: &Path) -> Result<PrivateKeyDer<'static>, MaterialError> {
    let bytes = read(path)?;
    let key = key_pem::first_private_key(&bytes)
        .map_err(|source| MaterialError::Pem { path: path.to_owned(), source })?;
    key.ok_or_else(|| MaterialError::NoPrivateKey { path: path.to_owned() })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, MaterialError> {
    wiped::read_file(path).map_err(|source| MaterialError::Read { path: path.to_owned(), source })
}

fn facts_of(
    path: &Path,
    certificates: &[CertificateDer<'_>],
) -> Result<Vec<CertificateFacts>, MaterialError> {
    let read = |(index, der)| {
        CertificateFacts::read(der)
            .ok_or_else(|| MaterialError::Unparsable { path: path.to_owned(), position: index + 1 })
    };
    certificates.iter().enumerate().map(read).collect()
}

fn check_order(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(), MaterialError> {
    let unparsable = |position| MaterialError::Unparsable { path: path.to_owned(), position };
    for (index, pair) in chain.windows(2).enumerate() {
        let [below, above] = pair else { continue };
        let (_, below) =
            X509Certificate::from_der(below).map_err(|_unreadable| unparsable(index + 1))?;
        let (_, above) =
            X509Certificate::from_der(above).map_err(|_unreadable| unparsable(index + 2))?;
        if below.issuer().as_raw() != above.subject().as_raw() {
            return Err(MaterialError::ChainOrder {
                path: path.to_owned(),
                position: index + 1,
                next: super::certificate::readable(&above.subject().to_string()),
            });
        }
    }
    Ok(())
}

/// webpki takes an anchor for a bare key; RFC 5280 section 6.1 lets the verifier heed the rest.
fn may_vouch_for_clients(certificate: &X509Certificate<'_>) -> bool {
    let signs = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_unreadable) => false,
    };
    let for_clients = match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.client_auth || usage.value.any,
        Ok(None) => true,
        Err(_unreadable) => false,
    };
    signs && for_clients
}
