//! What is to stand in a leaf, right or wrong.

use std::ops::Range;
use std::time::SystemTime;

use rcgen::{CertificateParams, CustomExtension, IsCa, KeyPair, SanType};
use rustls::pki_types::ServerName;

use super::{Attribute, Identity, Key, Purpose, Spelling, Subject, Usage};

/// The common name of Meta's webhook sender.
pub const META_NAME: &str = "client.webhooks.fbclientcerts.com";

/// What is to stand in a leaf. Begin with [`Leaf::meta`] and change one thing.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub(super) subject: Subject,
    pub(super) key: Key,
    validity: Range<SystemTime>,
    alternative_names: Vec<SanType>,
    usages: Vec<Usage>,
    purposes: Vec<Purpose>,
    crl_url: Option<String>,
    unknown_critical_extension: bool,
}

impl Leaf {
    /// A leaf that passes: Meta's name, an ECDSA P-256 key, valid now, for client authentication.
    pub fn meta() -> Self {
        Self::named(META_NAME)
    }

    /// The same with another common name, which may hold anything, also a NUL.
    pub fn named(common_name: &str) -> Self {
        Self {
            subject: Subject::organization("Not Meta Platforms Inc.")
                .and(Attribute::common_name(Spelling::Utf8, common_name)),
            key: Key::EcdsaP256,
            validity: super::valid_now(90 * super::DAY),
            alternative_names: Vec::new(),
            usages: vec![Usage::DigitalSignature],
            purposes: vec![Purpose::ClientAuth],
            crl_url: None,
            unknown_critical_extension: false,
        }
    }

    /// A server's leaf for these names and addresses; the first is also its common name.
    pub fn server(names: &[ServerName<'_>]) -> Self {
        let first = names.first().map_or("hubgate".into(), ServerName::to_str);
        Self {
            alternative_names: names.iter().map(alternative_name).collect(),
            subject: Subject::organization("hubgate test")
                .and(Attribute::common_name(Spelling::Utf8, &first)),
            ..Self::named("").purposes(&[Purpose::ServerAuth])
        }
    }

    /// A server's leaf for `localhost` and both loopback addresses.
    pub fn loopback_server() -> Self {
        let names = ["localhost", "127.0.0.1", "::1"];
        Self::server(&names.map(|name| ServerName::try_from(name).expect("a name or an address")))
    }

    /// Meta's name as this kind of string.
    pub fn spelled(spelling: Spelling) -> Self {
        Self::meta().subject(Subject::of(Attribute::common_name(spelling, META_NAME)))
    }

    /// Several common names, each in a relative distinguished name of its own.
    pub fn with_common_names(names: &[&str]) -> Self {
        let names = names.iter().map(|name| Attribute::common_name(Spelling::Utf8, name));
        Self::meta().subject(names.fold(Subject::empty(), Subject::and))
    }

    /// Several common names in a single relative distinguished name (`CN=a+CN=b`).
    pub fn with_joined_common_names(names: &[&str]) -> Self {
        let names = names.iter().map(|name| Attribute::common_name(Spelling::Utf8, name));
        Self::meta().subject(Subject::empty().and_joined(names.collect()))
    }

    /// No common name; Meta's name as organizational unit.
    pub fn with_unit_only() -> Self {
        let unit = Attribute::organizational_unit(Spelling::Utf8, META_NAME);
        Self::meta().subject(Subject::of(unit))
    }

    /// No common name; Meta's name as subject alternative name.
    pub fn with_alternative_name_only() -> Self {
        Self::meta()
            .subject(Subject::organization("Not Meta Platforms Inc."))
            .alternative_name(META_NAME)
    }

    /// With exactly this subject.
    pub fn subject(self, subject: Subject) -> Self {
        Self { subject, ..self }
    }

    /// With one more DNS name among its subject alternative names.
    pub fn alternative_name(mut self, name: &str) -> Self {
        let name = name.try_into().expect("a DNS name is ASCII");
        self.alternative_names.push(SanType::DnsName(name));
        self
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

    /// With exactly these key usages; an empty list leaves the extension out.
    pub fn usages(self, usages: &[Usage]) -> Self {
        Self { usages: usages.to_vec(), ..self }
    }

    /// With exactly these extended key usages; an empty list leaves the extension out.
    pub fn purposes(self, purposes: &[Purpose]) -> Self {
        Self { purposes: purposes.to_vec(), ..self }
    }

    /// Names the place where its issuer's revocation list is found.
    pub fn crl_url(self, url: &str) -> Self {
        Self { crl_url: Some(url.into()), ..self }
    }

    /// With a critical extension that nobody knows, which RFC 5280 section 4.2 says to refuse.
    pub fn unknown_critical_extension(self) -> Self {
        Self { unknown_critical_extension: true, ..self }
    }

    /// Vouched for by nobody but itself.
    pub fn self_signed(self) -> Identity {
        let key = self.key.generate();
        let certificate = self.parameters().self_signed(&key).expect(super::SIGNS).into();
        let certificate = super::subject::rewrite(&certificate, &self.subject, &key);
        Identity { chain: vec![certificate], key: KeyPair::into(key) }
    }

    pub(super) fn parameters(&self) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = super::subject::placeholder();
        parameters.not_before = self.validity.start.into();
        parameters.not_after = self.validity.end.into();
        parameters.subject_alt_names.clone_from(&self.alternative_names);
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages.clone_from(&self.usages);
        parameters.extended_key_usages.clone_from(&self.purposes);
        parameters.crl_distribution_points = super::distribution_points(self.crl_url.as_deref());
        if self.unknown_critical_extension {
            let null = vec![0x05, 0x00];
            let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4, 5, 6], null);
            unknown.set_criticality(true);
            parameters.custom_extensions.push(unknown);
        }
        parameters
    }
}

fn alternative_name(name: &ServerName<'_>) -> SanType {
    if let ServerName::IpAddress(address) = name {
        return SanType::IpAddress((*address).into());
    }
    let name = name.to_str();
    SanType::DnsName(name.as_ref().try_into().expect("a DNS name is ASCII"))
}
