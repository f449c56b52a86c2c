//! A key and the chain that it presents.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Authority;

/// A private key and the certificates to present with it: the leaf first, without the root.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// The leaf, then what stands between it and its root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key, PKCS#8.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// From PEM: a chain with at least its leaf, and a key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, pem::Error> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>()?;
        if chain.is_empty() {
            return Err(pem::Error::NoItemsFound);
        }
        Ok(Self { chain, key: PrivateKeyDer::from_pem_slice(key)? })
    }

    /// The leaf alone, as a sender that forgot its intermediates presents it.
    pub fn leaf_only(mut self) -> Self {
        self.chain.truncate(1);
        self
    }

    /// With one more certificate at the end, such as the root that it did not need to send.
    pub fn and_presenting(mut self, authority: &Authority) -> Self {
        self.chain.push(authority.certificate().clone());
        self
    }

    /// This chain with another's key: whoever captured a certificate has no more than this.
    pub fn with_key_of(self, other: &Self) -> Self {
        Self { key: other.key.clone_key(), ..self }
    }

    /// With the last bit of the leaf's signature turned over.
    pub fn with_damaged_signature(self) -> Self {
        self.with_altered_leaf(|der| {
            if let Some(last) = der.last_mut() {
                *last ^= 1;
            }
        })
    }

    /// With other bytes in place of the leaf.
    pub fn with_altered_leaf(mut self, alter: impl FnOnce(&mut Vec<u8>)) -> Self {
        if let Some(leaf) = self.chain.first_mut() {
            let mut der = leaf.to_vec();
            alter(&mut der);
            *leaf = der.into();
        }
        self
    }

    /// The leaf.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        self.chain.first().expect("an identity begins with its leaf")
    }

    /// The leaf's serial number, big-endian, as it stands in the certificate.
    pub fn serial(&self) -> Vec<u8> {
        let (_, leaf) =
            X509Certificate::from_der(self.leaf()).expect("a leaf that was not altered");
        leaf.raw_serial().to_vec()
    }

    /// The chain as PEM, leaf first.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|certificate| pem_text("CERTIFICATE", certificate)).collect()
    }

    /// The key as PEM, PKCS#8.
    pub fn key_pem(&self) -> String {
        pem_text("PRIVATE KEY", self.key.secret_der())
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// RFC 7468, with lines of 64 characters.
pub(super) fn pem_text(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        STANDARD.encode_string(line, &mut pem);
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}
