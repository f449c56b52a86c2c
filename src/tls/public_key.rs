//! Whether the key in a certificate can prove anything here.
//!
//! The TLS library finds out when it is to verify a signature, and then says no more than that the
//! signature is wrong, as of a forgery. So the key is looked at by itself, by the same measure: the
//! library's own list of algorithms, the sizes that they take, and its own parser.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, CertificateDer, alg_id};
use x509_parser::asn1_rs::{Any, FromDer};
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::{PublicKey, RSAPublicKey};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::parse;
use crate::refusal::ConnectionRefusal;

/// Takes a key with which signatures can be verified.
pub(super) fn must_be_usable(
    key: &SubjectPublicKeyInfo<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), ConnectionRefusal> {
    let id = algorithm(key).ok_or(ConnectionRefusal::CertificateMalformed)?;
    if !algorithms.all.iter().any(|algorithm| algorithm.public_key_alg_id().as_ref() == id) {
        return Err(ConnectionRefusal::KeyUnsupported);
    }
    if id == alg_id::RSA_ENCRYPTION.as_ref() {
        let Ok(PublicKey::RSA(key)) = key.parsed() else {
            return Err(ConnectionRefusal::CertificateMalformed);
        };
        match rsa_bits(&key) {
            ..RSA_BITS_MIN => return Err(ConnectionRefusal::KeyTooWeak),
            RSA_BITS_MIN..=RSA_BITS_MAX => {}
            _ => return Err(ConnectionRefusal::KeyUnsupported),
        }
    }
    // What is not in the list is younger than this, and whatever the library makes of it.
    let Some((_, kind)) = KINDS.iter().find(|(kind, _)| kind.as_ref() == id) else { return Ok(()) };
    let bytes = &*key.subject_public_key.data;
    // RFC 5480 section 2.2 has no other forms of a point, though the parser does.
    let is_point_elsewhere = bytes.first().is_some_and(|form| matches!(form, 2..=4));
    let is_read =
        (!is_on_curve(id) || is_point_elsewhere) && ParsedPublicKey::new(*kind, bytes).is_ok();
    if is_read { Ok(()) } else { Err(ConnectionRefusal::CertificateMalformed) }
}

/// As far as keys go, the reason why a signature in a chain could not be verified, which is no word
/// against the signature: the fault of every key that may have made it.
///
/// `leaf` and `above` were presented, `anchors` may end the path.
pub(super) fn fault_above<'a>(
    leaf: &CertificateDer<'_>,
    above: &[CertificateDer<'_>],
    anchors: impl Iterator<Item = &'a CertificateDer<'static>> + Clone,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Option<ConnectionRefusal> {
    let issuers = above.iter().map(|der| &**der).chain(anchors.map(|der| &**der));
    let issuers: Vec<_> =
        issuers.filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1)).collect();
    std::iter::once(leaf).chain(above).find_map(|der| {
        let below = parse(der).ok()?;
        let named =
            issuers.iter().filter(|issuer| issuer.subject().as_raw() == below.issuer().as_raw());
        let mut faults = named.map(|issuer| must_be_usable(issuer.public_key(), algorithms).err());
        let first = faults.next()??;
        faults.all(|fault| fault.is_some()).then_some(first)
    })
}

/// The algorithms of [`must_be_usable`], each with one of the library's that parses its keys.
static KINDS: [(AlgorithmIdentifier, &dyn VerificationAlgorithm); 5] = [
    (alg_id::RSA_ENCRYPTION, &signature::RSA_PKCS1_2048_8192_SHA256),
    (alg_id::ECDSA_P256, &signature::ECDSA_P256_SHA256_ASN1),
    (alg_id::ECDSA_P384, &signature::ECDSA_P384_SHA384_ASN1),
    (alg_id::ECDSA_P521, &signature::ECDSA_P521_SHA512_ASN1),
    (alg_id::ED25519, &signature::ED25519),
];

/// Below, a key can be broken; above, it costs more than it proves. The library has the same limits.
const RSA_BITS_MIN: usize = 2_048;
const RSA_BITS_MAX: usize = 8_192;

fn is_on_curve(id: &[u8]) -> bool {
    [alg_id::ECDSA_P256, alg_id::ECDSA_P384, alg_id::ECDSA_P521].iter().any(|ec| ec.as_ref() == id)
}

/// What the AlgorithmIdentifier holds: object identifier and parameters, as the library compares it.
fn algorithm<'a>(key: &SubjectPublicKeyInfo<'a>) -> Option<&'a [u8]> {
    let (_, info) = Any::from_der(key.raw).ok()?;
    let (_, algorithm) = Any::from_der(info.data).ok()?;
    Some(algorithm.data)
}

/// Of the modulus, from its first bit that is one.
pub(super) fn rsa_bits(key: &RSAPublicKey<'_>) -> usize {
    let mut modulus = key.modulus;
    while let Some((0, rest)) = modulus.split_first() {
        modulus = rest;
    }
    let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    modulus.len() * 8 - unused
}
