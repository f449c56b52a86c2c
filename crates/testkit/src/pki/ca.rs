//! What is to stand in an authority's certificate, right or wrong.

use std::ops::Range;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, RsaKeySize,
};

use super::{Purpose, Usage};

/// What is to stand in an authority's certificate.
#[derive(Clone, Debug)]
pub struct Ca {
    organization: String,
    common_name: String,
    pub(super) key: Key,
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
    /// ECDSA on P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
}

impl Ca {
    /// An authority without further limits: ECDSA P-256, valid now, may sign certificates and
    /// lists.
    pub fn named(common_name: &str) -> Self {
        Self {
            organization: "hubgate test".into(),
            common_name: common_name.into(),
            key: Key::EcdsaP256,
            validity: super::valid_now(10 * super::YEAR),
            path_length: None,
            is_ca: true,
            usages: vec![Usage::KeyCertSign, Usage::CrlSign],
            purposes: Vec::new(),
            crl_url: None,
        }
    }

    /// Shaped like `DigiCert High Assurance EV Root CA`.
    pub fn digicert_root() -> Self {
        let ca = Self::named("hubgate test: DigiCert-shaped root").usages(&[
            Usage::DigitalSignature,
            Usage::KeyCertSign,
            Usage::CrlSign,
        ]);
        Self { organization: "Not DigiCert Inc".into(), ..ca }
    }

    /// Shaped like `DigiCert SHA2 High Assurance Server CA`, which stood between root and leaf.
    pub fn digicert_intermediate() -> Self {
        let ca = Self::named("hubgate test: DigiCert-shaped intermediate")
            .path_length(0)
            .usages(&[Usage::DigitalSignature, Usage::KeyCertSign, Usage::CrlSign])
            .purposes(&[Purpose::ServerAuth, Purpose::ClientAuth]);
        Self { organization: "Not DigiCert Inc".into(), ..ca }
    }

    /// Shaped like `Meta Outbound API CA 2025-12`: a root with pathlen 0, for client
    /// authentication only, which signs the leaf itself.
    pub fn meta() -> Self {
        let ca = Self::named("hubgate test: Meta-shaped CA")
            .path_length(0)
            .purposes(&[Purpose::ClientAuth]);
        Self { organization: "Not Meta Platforms Inc.".into(), ..ca }
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
        self.valid(super::past())
    }

    /// Begins tomorrow.
    pub fn not_yet_valid(self) -> Self {
        self.valid(super::future())
    }

    /// At most so many authorities may stand below it.
    pub fn path_length(self, path_length: u8) -> Self {
        Self { path_length: Some(path_length), ..self }
    }

    /// With exactly these key usages; an empty list leaves the extension out.
    pub fn usages(self, usages: &[Usage]) -> Self {
        Self { usages: usages.to_vec(), ..self }
    }

    /// May do everything but sign certificates.
    pub fn without_certificate_signing(self) -> Self {
        self.usages(&[Usage::DigitalSignature, Usage::CrlSign])
    }

    /// Says in its basic constraints that it is none.
    pub fn not_a_ca(self) -> Self {
        Self { is_ca: false, ..self }
    }

    /// With exactly these extended key usages; an empty list leaves the extension out.
    pub fn purposes(self, purposes: &[Purpose]) -> Self {
        Self { purposes: purposes.to_vec(), ..self }
    }

    /// Names the place where its revocation list is found.
    pub fn crl_url(self, url: &str) -> Self {
        Self { crl_url: Some(url.into()), ..self }
    }

    pub(super) fn parameters(&self) -> CertificateParams {
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
        parameters.crl_distribution_points = super::distribution_points(self.crl_url.as_deref());
        parameters
    }
}

impl Key {
    pub(super) fn generate(self) -> KeyPair {
        match self {
            Self::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
            Self::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096),
            Self::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::EcdsaP521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            Self::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        }
        .expect("the provider makes keys of every kind listed")
    }
}
