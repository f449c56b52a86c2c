//! One certificate as a link of a chain: what it is, what it may do, who signed it.
//!
//! For people who ask why a chain is accepted or not. Decides nothing: the verdict is
//! [`super::client_auth`]'s. The bytes may come from a stranger, so every text is escaped and cut.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::asn1_rs::Any;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519, Oid,
};
use x509_parser::prelude::{ExtendedKeyUsage, FromDer, KeyUsage, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::{CertificateFacts, readable};
use super::public_key::{must_be_usable, rsa_bits};
use super::subject::only_common_name;
use crate::refusal::ConnectionRefusal;

/// The readable side of one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What the certificate says of itself.
    pub facts: CertificateFacts,
    /// The subject's only common name; `None` if it has none, or several.
    pub common_name: Option<String>,
    /// Kind and size of its key.
    pub key: String,
    /// Its key usages, after RFC 5280 section 4.2.1.3; `None` if it does not limit them.
    pub usages: Option<Vec<&'static str>>,
    /// Its extended key usages, after section 4.2.1.12; `None` if it does not limit them.
    pub purposes: Option<Vec<&'static str>>,
    /// How many intermediates may lie below it; `None` if it does not say.
    pub path_len: Option<u32>,
}

impl Link {
    /// Reads the link; `None` if these bytes are no X.509 certificate.
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let usages = certificate.key_usage().ok().flatten();
        let purposes = certificate.extended_key_usage().ok().flatten();
        let constraints = certificate.basic_constraints().ok().flatten();
        let common_name = only_common_name(certificate.subject());
        Some(Self {
            facts: CertificateFacts::read(der)?,
            common_name: common_name.map(|name| readable(&String::from_utf8_lossy(name))),
            key: key(certificate.public_key()),
            usages: usages.map(|usages| usages_of(usages.value)),
            purposes: purposes.map(|purposes| purposes_of(purposes.value)),
            path_len: constraints.and_then(|constraints| constraints.value.path_len_constraint),
        })
    }
}

/// Whether `issuer` is named as the issuer of `certificate`.
pub fn is_issuer_named(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let (Ok((_, below)), Ok((_, above))) =
        (X509Certificate::from_der(certificate), X509Certificate::from_der(issuer))
    else {
        return false;
    };
    below.issuer().as_raw() == above.subject().as_raw()
}

/// Whether the key of `issuer` made the signature of `certificate`.
pub fn is_signed_by(
    certificate: &CertificateDer<'_>,
    issuer: &CertificateDer<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let (Ok((_, below)), Ok(above)) =
        (X509Certificate::from_der(certificate), EndEntityCert::try_from(issuer))
    else {
        return false;
    };
    let (message, signature) = (below.tbs_certificate.as_ref(), &below.signature_value.data);
    // An algorithm of another kind of key fails.
    let is_right = |algorithm: &&_| above.verify_signature(*algorithm, message, signature).is_ok();
    algorithms.all.iter().any(is_right)
}

/// Whether the TLS library can read it; it is stricter than [`Link::read`].
pub fn is_understood(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok()
}

/// Why the key of a certificate proves nothing here; `None` if it can.
pub fn key_fault(
    certificate: &CertificateDer<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Option<ConnectionRefusal> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    must_be_usable(certificate.public_key(), algorithms).err()
}

/// Whether a certificate is signed with an algorithm that is verified here.
pub fn is_signature_supported(
    certificate: &CertificateDer<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let identifier = || {
        let (_, whole) = Any::from_der(certificate).ok()?;
        let (rest, _to_be_signed) = Any::from_der(whole.data).ok()?;
        Some(Any::from_der(rest).ok()?.1.data)
    };
    let is_it = |id| algorithms.all.iter().any(|one| one.signature_alg_id().as_ref() == id);
    identifier().is_some_and(is_it)
}

fn key(info: &SubjectPublicKeyInfo<'_>) -> String {
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA, {} bits", rsa_bits(&key)),
        Ok(PublicKey::EC(_)) => {
            let parameters = info.algorithm.parameters.as_ref();
            let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
            format!("ECDSA, {}", curve.map_or("a curve of its own", |curve| curve_name(&curve)))
        }
        Ok(PublicKey::DSA(_)) => "DSA".to_owned(),
        _ if info.algorithm.algorithm == OID_SIG_ED25519 => "Ed25519".to_owned(),
        _ => "of a kind that is not supported".to_owned(),
    }
}

fn curve_name(curve: &Oid<'_>) -> &'static str {
    const NAMES: [(Oid<'_>, &str); 3] =
        [(OID_EC_P256, "P-256"), (OID_NIST_EC_P384, "P-384"), (OID_NIST_EC_P521, "P-521")];
    NAMES.into_iter().find(|(oid, _)| oid == curve).map_or("another curve", |(_, name)| name)
}

/// In the order of the standard, under its names.
fn usages_of(usage: &KeyUsage) -> Vec<&'static str> {
    let all = [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
    ];
    all.into_iter().filter(|(is_allowed, _)| *is_allowed).map(|(_, name)| name).collect()
}

fn purposes_of(purpose: &ExtendedKeyUsage<'_>) -> Vec<&'static str> {
    let all = [
        (purpose.any, "anyExtendedKeyUsage"),
        (purpose.server_auth, "serverAuth"),
        (purpose.client_auth, "clientAuth"),
        (purpose.code_signing, "codeSigning"),
        (purpose.email_protection, "emailProtection"),
        (purpose.time_stamping, "timeStamping"),
        (purpose.ocsp_signing, "OCSPSigning"),
        (!purpose.other.is_empty(), "others"),
    ];
    all.into_iter().filter(|(is_allowed, _)| *is_allowed).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hubgate_testkit::pki::{Authority, Ca, Key, Leaf};

    #[test]
    fn a_link_says_what_it_is_and_what_it_may_do() {
        let root = Authority::root(Ca::meta());
        let leaf = Link::read(root.issue(Leaf::meta().key(Key::EcdsaP384)).leaf()).expect("is one");
        assert_eq!(leaf.common_name.as_deref(), Some("client.webhooks.fbclientcerts.com"));
        assert_eq!(leaf.key, "ECDSA, P-384");
        assert_eq!(leaf.usages, Some(vec!["digitalSignature"]));
        assert_eq!(leaf.purposes, Some(vec!["clientAuth"]));
        let twice = root.issue(Leaf::with_common_names(&["a", "b"]));
        assert_eq!(Link::read(twice.leaf()).expect("is one").common_name, None);
        let old = root.issue(Leaf::meta().key(Key::Rsa2048));
        assert_eq!(Link::read(old.leaf()).expect("is one").key, "RSA, 2048 bits");
        assert_eq!(Link::read(&CertificateDer::from(vec![0x30])), None);
    }

    #[test]
    fn a_namesake_is_named_as_the_issuer_and_did_not_sign() {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let algorithms = &provider.signature_verification_algorithms;
        let root = Authority::root(Ca::meta());
        let identity = root.issue(Leaf::meta());
        for (issuer, did_sign) in [(&root, true), (&root.impostor(), false)] {
            assert!(is_issuer_named(identity.leaf(), issuer.certificate()));
            assert_eq!(is_signed_by(identity.leaf(), issuer.certificate(), algorithms), did_sign);
        }
    }
}
