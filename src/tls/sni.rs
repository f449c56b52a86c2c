//! Chooses which of the server's certificates a caller is shown, by the host that it asks for (SNI).
//!
//! In: the certificates in the order of the configuration, each for the names that stand in it. Out:
//! a resolver for rustls. An exact name comes before a wildcard, which stands for one whole label
//! (RFC 9525 section 6.3). Where several have a name, as an ECDSA and an RSA one may, the first
//! whose key the caller can use is shown.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::dns_names;
use super::material::ServerIdentity;
use crate::config::UnknownSni;

/// The certificates by name; the same for all workers.
#[derive(Debug)]
pub(super) struct SniCertResolver {
    all: Vec<Arc<CertifiedKey>>,
    /// Indexes into `all`, in its order.
    exact: HashMap<String, Vec<usize>>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, Vec<usize>>,
    unknown: UnknownSni,
}

impl SniCertResolver {
    pub(super) fn new(identities: &[ServerIdentity], unknown: UnknownSni) -> Self {
        let all = identities.iter().map(|identity| Arc::clone(&identity.certified)).collect();
        let mut certificates =
            Self { all, exact: HashMap::new(), wildcard: HashMap::new(), unknown };
        for (index, identity) in identities.iter().enumerate() {
            let leaf = identity.certified.cert.first();
            for name in leaf.into_iter().flat_map(|leaf| dns_names(leaf)) {
                certificates.insert(&name, index);
            }
        }
        certificates
    }

    fn insert(&mut self, name: &str, index: usize) {
        let name = name.to_ascii_lowercase();
        let (names, name) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent.to_owned()),
            None => (&mut self.exact, name),
        };
        names.entry(name).or_default().push(index);
    }

    /// Whether some names, and none, are refused.
    pub(super) fn refuses_unknown(&self) -> bool {
        self.unknown == UnknownSni::Refuse
    }

    /// Whether there is anything to show to a caller who asks for this name, or for none.
    pub(super) fn is_known(&self, name: Option<&str>) -> bool {
        self.find(name, &[]).is_some()
    }

    /// What a caller is shown who asks for this name, or for none, and can use these schemes.
    fn find(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        match (name.and_then(|name| self.named(&name.to_ascii_lowercase())), self.unknown) {
            (Some(indexes), _) => {
                first_usable(indexes.iter().filter_map(|index| self.all.get(*index)), schemes)
            }
            (None, UnknownSni::Default) => first_usable(self.all.iter(), schemes),
            (None, UnknownSni::Refuse) => None,
        }
    }

    fn named(&self, name: &str) -> Option<&Vec<usize>> {
        let parent = || name.split_once('.').map(|(_label, parent)| parent);
        self.exact.get(name).or_else(|| self.wildcard.get(parent()?))
    }
}

/// The first whose key the caller can use; the first of all if none is, for rustls to say so.
fn first_usable<'a>(
    mut keys: impl Iterator<Item = &'a Arc<CertifiedKey>> + Clone,
    schemes: &[SignatureScheme],
) -> Option<&'a Arc<CertifiedKey>> {
    let first = keys.clone().next();
    keys.find(|key| key.key.choose_scheme(schemes).is_some()).or(first)
}

impl ResolvesServerCert for SniCertResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name(), hello.signature_schemes()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::material::read_server_identity;
    use hubgate_testkit::pki::{Authority, Ca, Key, Leaf};

    fn identity(key: Key) -> ServerIdentity {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let names = ["hooks.example"].map(|name| name.try_into().expect("a name"));
        let authority = Authority::root(Ca::named("root"));
        let issued = authority.issue(Leaf::server(&names).key(key));
        let [chain, private_key] = ["chain", "key"].map(|name| directory.path().join(name));
        std::fs::write(&chain, issued.chain_pem()).expect("can be written");
        std::fs::write(&private_key, issued.key_pem()).expect("can be written");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        read_server_identity(&chain, &private_key, &provider).expect("fits")
    }

    #[test]
    fn of_two_keys_for_a_name_the_first_that_the_caller_can_use_is_shown() {
        let identities = [identity(Key::EcdsaP256), identity(Key::Rsa2048)];
        let certificates = SniCertResolver::new(&identities, UnknownSni::Default);
        let [ecdsa, rsa] = identities.map(|identity| identity.certified);
        let both = [SignatureScheme::RSA_PSS_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256];
        for (schemes, expected) in [
            (&both[..], &ecdsa),
            (&both[..1], &rsa),
            // rustls refuses by itself.
            (&[SignatureScheme::ED448][..], &ecdsa),
        ] {
            for name in [Some("hooks.example"), None] {
                let found = certificates.find(name, schemes).expect("there is one");
                assert!(Arc::ptr_eq(found, expected), "{name:?} {schemes:?}");
            }
        }
    }
}
