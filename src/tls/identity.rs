//! A proven client certificate as header values, in every dialect that an application may read.
//!
//! Made once a proof, so that a request costs a copy of a reference. A value that cannot be written
//! is not there, and the header is left out: nobody is told half of a name.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::X509Certificate;

use super::certificate::{parse, system_time, utc};
use super::distinguished_name::rfc2253;
use crate::config::IdentityPart;
use crate::refusal::ConnectionRefusal;

/// What an application can be told of a proven client.
#[derive(Debug)]
pub(crate) struct ClientIdentity {
    verify: HeaderValue,
    client_cert: Option<HeaderValue>,
    client_cert_chain: Option<HeaderValue>,
    subject: Option<HeaderValue>,
    issuer: Option<HeaderValue>,
    serial: Option<HeaderValue>,
    fingerprint: Option<HeaderValue>,
    validity: Option<HeaderValue>,
    escaped_pem: Option<HeaderValue>,
    alb_leaf: Option<HeaderValue>,
    forwarded_client_cert: Option<HeaderValue>,
}

impl ClientIdentity {
    /// Of a proven path: the leaf, and what lies between it and the anchor.
    pub(crate) fn of(
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<Self, ConnectionRefusal> {
        let certificate = parse(leaf)?;
        let subject = rfc2253(certificate.subject());
        let pem = pem(leaf);
        let escaped = utf8_percent_encode(&pem, RESERVED).to_string();
        let chain = intermediates.iter().map(byte_sequence).collect::<Vec<_>>().join(", ");
        Ok(Self {
            verify: HeaderValue::from_static("SUCCESS"),
            client_cert: value(byte_sequence(leaf)),
            client_cert_chain: value(chain).filter(|chain| !chain.is_empty()),
            issuer: rfc2253(certificate.issuer()).and_then(value),
            serial: value(serial(certificate.raw_serial())),
            fingerprint: value(base16ct::lower::encode_string(
                digest(&SHA1_FOR_LEGACY_USE_ONLY, leaf).as_ref(),
            )),
            validity: value(validity(&certificate)),
            alb_leaf: value(utf8_percent_encode(&pem, RESERVED_BY_ALB).to_string()),
            forwarded_client_cert: value(forwarded_client_cert(leaf, &escaped, subject.as_deref())),
            escaped_pem: value(escaped),
            subject: subject.and_then(value),
        })
    }

    /// Of a proven client of whom nothing but the subject is told, after RFC 2253.
    pub(crate) fn of_subject(subject: &str) -> Self {
        Self {
            verify: HeaderValue::from_static("SUCCESS"),
            subject: HeaderValue::try_from(subject).ok(),
            client_cert: None,
            client_cert_chain: None,
            issuer: None,
            serial: None,
            fingerprint: None,
            validity: None,
            escaped_pem: None,
            alb_leaf: None,
            forwarded_client_cert: None,
        }
    }

    /// One part of it; `None` if it cannot be written, or if there is none.
    pub(crate) fn value(&self, part: IdentityPart) -> Option<&HeaderValue> {
        match part {
            IdentityPart::Verify => Some(&self.verify),
            IdentityPart::ClientCert => self.client_cert.as_ref(),
            IdentityPart::ClientCertChain => self.client_cert_chain.as_ref(),
            IdentityPart::Subject => self.subject.as_ref(),
            IdentityPart::Issuer => self.issuer.as_ref(),
            IdentityPart::Serial => self.serial.as_ref(),
            IdentityPart::Fingerprint => self.fingerprint.as_ref(),
            IdentityPart::Validity => self.validity.as_ref(),
            IdentityPart::EscapedPem => self.escaped_pem.as_ref(),
            IdentityPart::AlbLeaf => self.alb_leaf.as_ref(),
            IdentityPart::ForwardedClientCert => self.forwarded_client_cert.as_ref(),
        }
    }
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::try_from(text).ok()
}

/// RFC 9440 section 2.1: a byte sequence of Structured Fields.
fn byte_sequence(der: &CertificateDer<'_>) -> String {
    format!(":{}:", STANDARD.encode(der))
}

/// As OpenSSL prints an ASN.1 integer: two upper-case digits a byte, no leading zero bytes, a minus
/// before what is negative (which RFC 5280 forbids, and CAs have issued).
fn serial(raw: &[u8]) -> String {
    let is_negative = raw.first().is_some_and(|byte| *byte >= 0x80);
    let mut magnitude = raw.to_vec();
    if is_negative {
        // Two's complement, from the last byte on.
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (negated, carries) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (negated, carries);
        }
    }
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    let mut text = String::from(if is_negative { "-" } else { "" });
    for byte in magnitude.iter().skip(zeros) {
        let _infallible = write!(text, "{byte:02X}");
    }
    if text.is_empty() { "00".to_owned() } else { text }
}

fn validity(certificate: &X509Certificate<'_>) -> String {
    let [from, until] = [certificate.validity().not_before, certificate.validity().not_after]
        .map(|time| utc(system_time(time)));
    format!("NotBefore={from};NotAfter={until}")
}

/// RFC 7468 section 3, with lines of 64 characters.
fn pem(der: &CertificateDer<'_>) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for (index, character) in encoded.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}

/// All but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the load balancer of AWS escapes: it leaves these of base64 as they are.
const RESERVED_BY_ALB: &AsciiSet = &RESERVED.remove(b'+').remove(b'=').remove(b'/');

/// One element of Envoy's `X-Forwarded-Client-Cert`, its pairs in Envoy's order. A subject with which
/// the quoted text could end too soon, or too late, is left out: the certificate says it, too.
fn forwarded_client_cert(
    leaf: &CertificateDer<'_>,
    escaped_pem: &str,
    subject: Option<&str>,
) -> String {
    let hash = base16ct::lower::encode_string(digest(&SHA256, leaf).as_ref());
    let element = format!("Hash={hash};Cert=\"{escaped_pem}\"");
    match subject.filter(|subject| !subject.contains('"') && !subject.ends_with('\\')) {
        Some(subject) => format!("{element};Subject=\"{subject}\""),
        None => element,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hubgate_testkit::pki::{Attribute, Authority, Ca, Leaf, Spelling, Subject};

    #[test]
    fn a_serial_number_has_the_digits_that_openssl_prints() {
        for (raw, expected) in [
            (&[0x0a, 0x1b][..], "0A1B"),
            (&[0x00, 0x80], "80"),
            (&[0x00], "00"),
            (&[], "00"),
            (&[0xff], "-01"),
            (&[0x80, 0x00], "-8000"),
        ] {
            assert_eq!(serial(raw), expected, "{raw:02x?}");
        }
    }

    #[test]
    fn a_subject_that_could_break_out_of_its_quotes_is_not_in_the_element() {
        let element = |name: &str| {
            let subject = Subject::of(Attribute::common_name(Spelling::Utf8, name));
            let identity = Authority::root(Ca::meta()).issue(Leaf::meta().subject(subject));
            let identity = ClientIdentity::of(identity.leaf(), &[]).expect("can be read");
            let element = identity.value(IdentityPart::ForwardedClientCert).expect("is there");
            element.to_str().expect("is ASCII").to_owned()
        };
        assert!(element("a,b").ends_with(";Subject=\"CN=a\\,b\""));
        for name in ["a\";Hash=0", "a\\", "a\"", "\"a"] {
            assert!(!element(name).contains("Subject"), "{}", element(name));
        }
    }

    #[test]
    fn what_cannot_be_written_is_not_there_and_the_rest_is() {
        let name = Attribute::raw_common_name(Spelling::Bmp, b"\0a\0");
        let leaf = Leaf::meta().subject(Subject::of(name));
        let identity = Authority::root(Ca::meta()).issue(leaf);
        let identity = ClientIdentity::of(identity.leaf(), &[]).expect("can be read");
        assert_eq!(identity.value(IdentityPart::Subject), None);
        assert_eq!(identity.value(IdentityPart::ClientCertChain), None);
        assert!(identity.value(IdentityPart::Fingerprint).is_some());
    }
}
