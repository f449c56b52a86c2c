//! Throw-away certificate authorities and what they issue, right and wrong on purpose.
//!
//! In: a [`Ca`] or a [`Leaf`], plain values that say what is to stand in a certificate. Out: an
//! [`Authority`] that signs, an [`Identity`] to present. What rcgen cannot express (a NUL in a
//! name, two common names) is written in [`subject`] and signed again. Keys live in memory alone.
//!
//! ```
//! use hubgate::rehearsal::pki::{Authority, Ca, Leaf};
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
    BasicConstraints, CertificateParams, CertificateRevocationList,
    CertificateRevocationListParams, CrlDistributionPoint, DistinguishedName, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, RsaKeySize, SerialNumber,
};
use rustls::pki_types::CertificateDer;

pub use self::identity::Identity;
pub use self::leaf::{Leaf, META_NAME};
pub use self::subject::{Attribute, Spelling, Subject};
pub use rcgen::{ExtendedKeyUsagePurpose as Purpose, KeyUsagePurpose as Usage};

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

/// What is to stand in an authority's certificate.
#[derive(Clone, Debug)]
pub struct Ca {
    organization: String,
    common_name: String,
    key: Key,
    validity: Range<SystemTime>,
    path_length: Option<u8>,
    is_ca: bool,
    usages: Vec<Usage>,
    purposes: Vec<Purpose>,
    crl_url: Option<String>,
}

/// The kind of a key, of a leaf or of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// RSA, 2048 bits; signs with SHA-256.
    Rsa2048,
    /// RSA, 4096 bits, as Meta's CA has; takes seconds to make.
    Rsa4096,
    /// ECDSA on P-256, made in no time: the default.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
}

impl Authority {
    /// Signs itself.
    pub fn root(ca: Ca) -> Self {
        let key = ca.key.generate();
        let parameters = ca.parameters();
        let certificate = parameters.self_signed(&key).expect(SIGNS).into();
        Self {
            ca,
            parameters,
            key,
            certificate,
            presented: Vec::new(),
        }
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
        Self {
            ca,
            parameters,
            key,
            certificate,
            presented,
        }
    }

    /// The lowest of `count` authorities, each under the one before; at least one.
    pub fn intermediates(&self, count: usize) -> Self {
        let first = self.intermediate(Ca::named("hubgate rehearsal: intermediate 1"));
        (2..=count).fold(first, |above, number| {
            above.intermediate(Ca::named(&format!(
                "hubgate rehearsal: intermediate {number}"
            )))
        })
    }

    /// Another root with the same subject and another key: it looks like this one and is not.
    /// What it issues chains by name to this one and fails at the signature.
    pub fn impostor(&self) -> Self {
        Self::root(self.ca.clone())
    }

    /// Issues a leaf; its chain goes up to, and does not include, the root.
    pub fn issue(&self, leaf: Leaf) -> Identity {
        let key = leaf.key.generate();
        let mut parameters = leaf.parameters();
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters
            .signed_by(&key, &self.issuer())
            .expect(SIGNS)
            .into();
        let certificate = subject::rewrite(&certificate, &leaf.subject, &self.key);
        let mut chain = vec![certificate];
        chain.extend(self.presented.iter().cloned());
        Identity {
            chain,
            key: key.into(),
        }
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
        identity::pem("CERTIFICATE", &self.certificate)
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.parameters, &self.key)
    }
}

impl Ca {
    /// An authority without further limits: ECDSA P-256, valid now, may sign certificates and
    /// lists.
    pub fn named(common_name: &str) -> Self {
        Self {
            organization: "hubgate rehearsal".into(),
            common_name: common_name.into(),
            key: Key::EcdsaP256,
            validity: valid_now(10 * YEAR),
            path_length: None,
            is_ca: true,
            usages: vec![Usage::KeyCertSign, Usage::CrlSign],
            purposes: Vec::new(),
            crl_url: None,
        }
    }

    /// Shaped like `DigiCert High Assurance EV Root CA`.
    pub fn digicert_root() -> Self {
        let ca = Self::named("hubgate rehearsal: DigiCert-shaped root").usages(&[
            Usage::DigitalSignature,
            Usage::KeyCertSign,
            Usage::CrlSign,
        ]);
        Self {
            organization: "Not DigiCert Inc".into(),
            ..ca
        }
    }

    /// Shaped like `DigiCert SHA2 High Assurance Server CA`, which stood between root and leaf.
    pub fn digicert_intermediate() -> Self {
        let ca = Self::named("hubgate rehearsal: DigiCert-shaped intermediate")
            .path_length(0)
            .usages(&[Usage::DigitalSignature, Usage::KeyCertSign, Usage::CrlSign])
            .purposes(&[Purpose::ServerAuth, Purpose::ClientAuth]);
        Self {
            organization: "Not DigiCert Inc".into(),
            ..ca
        }
    }

    /// Shaped like `Meta Outbound API CA 2025-12`: a root with pathlen 0, for client
    /// authentication only, which signs the leaf itself.
    pub fn meta() -> Self {
        let ca = Self::named("hubgate rehearsal: Meta-shaped CA")
            .path_length(0)
            .purposes(&[Purpose::ClientAuth]);
        Self {
            organization: "Not Meta Platforms Inc.".into(),
            ..ca
        }
    }

    /// With a key of this kind.
    pub fn key(self, key: Key) -> Self {
        Self { key, ..self }
    }

    /// Valid for this time and no other.
    pub fn valid(self, validity: Range<SystemTime>) -> Self {
        Self { validity, ..self }
    }

    /// Ended yesterday.
    pub fn expired(self) -> Self {
        self.valid(past())
    }

    /// Begins tomorrow.
    pub fn not_yet_valid(self) -> Self {
        self.valid(future())
    }

    /// At most so many authorities may stand below it.
    pub fn path_length(self, path_length: u8) -> Self {
        Self {
            path_length: Some(path_length),
            ..self
        }
    }

    /// With exactly these key usages; an empty list leaves the extension out.
    pub fn usages(self, usages: &[Usage]) -> Self {
        Self {
            usages: usages.to_vec(),
            ..self
        }
    }

    /// May do everything but sign certificates.
    pub fn without_certificate_signing(self) -> Self {
        self.usages(&[Usage::DigitalSignature, Usage::CrlSign])
    }

    /// Says in its basic constraints that it is none.
    pub fn not_a_ca(self) -> Self {
        Self {
            is_ca: false,
            ..self
        }
    }

    /// With exactly these extended key usages; an empty list leaves the extension out.
    pub fn purposes(self, purposes: &[Purpose]) -> Self {
        Self {
            purposes: purposes.to_vec(),
            ..self
        }
    }

    /// Names the place where its revocation list is found.
    pub fn crl_url(self, url: &str) -> Self {
        Self {
            crl_url: Some(url.into()),
            ..self
        }
    }

    fn parameters(&self) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, self.organization.as_str());
        name.push(DnType::CommonName, self.common_name.as_str());
        parameters.distinguished_name = name;
        parameters.not_before = self.validity.start.into();
        parameters.not_after = self.validity.end.into();
        parameters.is_ca = match (self.is_ca, self.path_length) {
            (false, _) => IsCa::ExplicitNoCa,
            (true, None) => IsCa::Ca(BasicConstraints::Unconstrained),
            (true, Some(length)) => IsCa::Ca(BasicConstraints::Constrained(length)),
        };
        parameters.key_usages.clone_from(&self.usages);
        parameters.extended_key_usages.clone_from(&self.purposes);
        parameters.crl_distribution_points = distribution_points(self.crl_url.as_deref());
        parameters
    }
}

impl Key {
    fn generate(self) -> KeyPair {
        match self {
            Self::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
            Self::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096),
            Self::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        }
        .expect("the provider makes keys of every kind listed")
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
    url.map(|url| CrlDistributionPoint {
        uris: vec![url.into()],
    })
    .into_iter()
    .collect()
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const SIGNS: &str = "a key made a moment ago signs, and the names were checked by their types";
