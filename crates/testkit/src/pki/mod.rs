//! Throw-away certificate authorities and what they issue, right and wrong on purpose.
//!
//! In: a [`Ca`] or a [`Leaf`], plain values that say what is to stand in a certificate. Out: an
//! [`Authority`] that signs, an [`Identity`] to present. What rcgen cannot express (a NUL in a
//! name, two common names) is written in [`subject`] and signed again. Keys live in memory alone.
//!
//! ```
//! use hubgate_testkit::pki::{Authority, Ca, Leaf};
//!
//! // Until 2026 Meta's chain had three steps; its own CA has pathlen 0 and signs the leaf itself.
//! let digicert = Authority::root(Ca::digicert_root());
//! let issuing = digicert.intermediate(Ca::digicert_intermediate());
//! let before = issuing.issue(Leaf::meta());
//! let after = Authority::root(Ca::meta()).issue(Leaf::meta());
//! assert_eq!((before.chain.len(), after.chain.len()), (2, 1));
//! ```

use std::ops::Range;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, CertificateRevocationList, CertificateRevocationListParams,
    CrlDistributionPoint, Issuer, KeyIdMethod, KeyPair, PublicKeyData, RevokedCertParams,
    SerialNumber,
};
use rustls::pki_types::CertificateDer;

pub use self::ca::{Ca, Key};
pub use self::identity::Identity;
pub use self::leaf::{Leaf, META_NAME};
pub use self::subject::{Attribute, Spelling, Subject};
pub use rcgen::{ExtendedKeyUsagePurpose as Purpose, KeyUsagePurpose as Usage};

mod ca;
mod identity;
mod leaf;
mod subject;
#[cfg(test)]
mod tests;

/// A certificate authority: its certificate, its key, and what stands between it and its root.
#[derive(Debug)]
pub struct Authority {
    ca: Ca,
    parameters: CertificateParams,
    key: KeyPair,
    certificate: CertificateDer<'static>,
    /// Its own certificate and those above it, without the root: what a leaf's chain goes on with.
    presented: Vec<CertificateDer<'static>>,
}

impl Authority {
    /// Signs itself.
    pub fn root(ca: Ca) -> Self {
        let key = ca.key.generate();
        let parameters = ca.parameters();
        let certificate = parameters.self_signed(&key).expect(SIGNS).into();
        Self { ca, parameters, key, certificate, presented: Vec::new() }
    }

    /// An authority under this one.
    pub fn intermediate(&self, ca: Ca) -> Self {
        let key = ca.key.generate();
        let mut parameters = ca.parameters();
        parameters.use_authority_key_identifier_extension = true;
        let certificate =
            CertificateDer::from(parameters.signed_by(&key, &self.issuer()).expect(SIGNS));
        let mut presented = vec![certificate.clone()];
        presented.extend(self.presented.iter().cloned());
        Self { ca, parameters, key, certificate, presented }
    }

    /// The lowest of `count` authorities, each under the one before; at least one.
    pub fn intermediates(&self, count: usize) -> Self {
        let first = self.intermediate(Ca::named("hubgate test: intermediate 1"));
        (2..=count).fold(first, |above, number| {
            above.intermediate(Ca::named(&format!("hubgate test: intermediate {number}")))
        })
    }

    /// Another root with the same subject and another key: it looks like this one and is not.
    /// What it issues chains by name to this one and fails at the signature.
    pub fn impostor(&self) -> Self {
        Self::root(self.ca.clone())
    }

    /// The same authority with a new certificate for its key, as a CA does whose own one ends.
    pub fn reissued(&self, ca: Ca) -> Self {
        let parameters = ca.parameters();
        let certificate = parameters.self_signed(&self.key).expect(SIGNS).into();
        Self { ca, parameters, key: self.same_key(), certificate, presented: Vec::new() }
    }

    /// The same authority with a certificate by `above` for its key (RFC 5280 section 3.2).
    pub fn cross_signed(&self, above: &Self, ca: Ca) -> Self {
        let mut parameters = ca.parameters();
        parameters.use_authority_key_identifier_extension = true;
        let signed = parameters.signed_by(&self.key, &above.issuer()).expect(SIGNS);
        let certificate = CertificateDer::from(signed);
        let mut presented = vec![certificate.clone()];
        presented.extend(above.presented.iter().cloned());
        Self { ca, parameters, key: self.same_key(), certificate, presented }
    }

    fn same_key(&self) -> KeyPair {
        KeyPair::try_from(self.key.serialized_der()).expect("this library wrote it")
    }

    /// Issues a leaf; its chain goes up to, and does not include, the root.
    pub fn issue(&self, leaf: Leaf) -> Identity {
        let key = leaf.key.generate();
        let mut parameters = leaf.parameters();
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters.signed_by(&key, &self.issuer()).expect(SIGNS).into();
        let certificate = subject::rewrite(&certificate, &leaf.subject, &self.key);
        let mut chain = vec![certificate];
        chain.extend(self.presented.iter().cloned());
        Identity { chain, key: key.into() }
    }

    /// Issues a leaf whose SubjectPublicKeyInfo is what `change` makes of the right one. What has
    /// other lengths in it must say so.
    pub fn issue_with_key(&self, leaf: Leaf, change: impl FnOnce(&mut Vec<u8>)) -> Identity {
        let mut identity = self.issue(leaf);
        let key = KeyPair::try_from(&identity.key).expect("this library wrote it");
        let right = key.subject_public_key_info();
        let mut other = right.clone();
        change(&mut other);
        if let Some(leaf) = identity.chain.first_mut() {
            *leaf = subject::replace_and_sign(leaf, &right, &other, &self.key);
        }
        identity
    }

    /// A revocation list that names the leaves of `revoked`; `validity` is from this update to the
    /// next one.
    pub fn revoke(
        &self,
        revoked: &[&Identity],
        validity: Range<SystemTime>,
    ) -> CertificateRevocationList {
        let revoked_certs = revoked.iter().map(|identity| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&identity.serial()),
            revocation_time: validity.start.into(),
            reason_code: None,
            invalidity_date: None,
        });
        CertificateRevocationListParams {
            this_update: validity.start.into(),
            next_update: validity.end.into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer())
        .expect("an authority that may sign lists, and a list that ends after it begins")
    }

    /// Its certificate, for a list of trust anchors.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its certificate as PEM.
    pub fn certificate_pem(&self) -> String {
        identity::pem_text("CERTIFICATE", &self.certificate)
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.parameters, &self.key)
    }
}

/// From yesterday, so that a clock that is a little behind does no harm.
fn valid_now(length: Duration) -> Range<SystemTime> {
    SystemTime::now() - DAY..SystemTime::now() + length
}

fn past() -> Range<SystemTime> {
    SystemTime::now() - 30 * DAY..SystemTime::now() - DAY
}

fn future() -> Range<SystemTime> {
    SystemTime::now() + DAY..SystemTime::now() + 30 * DAY
}

fn distribution_points(url: Option<&str>) -> Vec<CrlDistributionPoint> {
    url.map(|url| CrlDistributionPoint { uris: vec![url.into()] }).into_iter().collect()
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const SIGNS: &str = "a key made a moment ago signs, and the names were checked by their types";
