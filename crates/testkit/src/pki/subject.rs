//! A leaf's subject, written out in DER, because the subjects worth testing are those that a
//! careful library refuses to write.

use rcgen::{DistinguishedName, DnType, KeyPair, SigningKey};
use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{Any, FromDer};

/// A distinguished name: relative names in order, each of one attribute or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(Vec<Vec<Attribute>>);

/// One attribute of a name, with its value's bytes as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    oid: &'static [u8],
    tag: u8,
    value: Vec<u8>,
}

/// The kind of ASN.1 string that carries a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// PrintableString.
    Printable,
    /// UTF8String.
    Utf8,
    /// IA5String, which RFC 5280 does not allow for a common name.
    Ia5,
    /// TeletexString (T61String).
    Teletex,
    /// BMPString: two bytes a character.
    Bmp,
    /// UniversalString: four bytes a character.
    Universal,
}

impl Subject {
    /// Nothing at all.
    pub fn empty() -> Self {
        Self(Vec::new())
    }

    /// One attribute alone.
    pub fn of(attribute: Attribute) -> Self {
        Self::empty().and(attribute)
    }

    /// `O=name`
    pub fn organization(name: &str) -> Self {
        Self::of(Attribute { oid: ORGANIZATION, tag: Spelling::Utf8.tag(), value: name.into() })
    }

    /// With one more relative name.
    pub fn and(self, attribute: Attribute) -> Self {
        self.and_joined(vec![attribute])
    }

    /// With one more relative name of several attributes.
    pub fn and_joined(mut self, attributes: Vec<Attribute>) -> Self {
        self.0.push(attributes);
        self
    }

    fn der(&self) -> Vec<u8> {
        let relative_names = self.0.iter().map(|attributes| {
            let mut attributes: Vec<_> = attributes.iter().map(Attribute::der).collect();
            attributes.sort(); // DER orders the members of a SET OF
            tlv(SET, &attributes.concat())
        });
        tlv(SEQUENCE, &relative_names.collect::<Vec<_>>().concat())
    }
}

impl Attribute {
    /// `CN=value`
    pub fn common_name(spelling: Spelling, value: &str) -> Self {
        Self { oid: COMMON_NAME, tag: spelling.tag(), value: spelling.encode(value) }
    }

    /// `OU=value`
    pub fn organizational_unit(spelling: Spelling, value: &str) -> Self {
        Self { oid: ORGANIZATIONAL_UNIT, tag: spelling.tag(), value: spelling.encode(value) }
    }

    /// `CN=value` with bytes that need not be a string of the kind that they claim to be.
    pub fn raw_common_name(spelling: Spelling, value: &[u8]) -> Self {
        Self { oid: COMMON_NAME, tag: spelling.tag(), value: value.into() }
    }

    /// Any attribute at all: the bytes of its object identifier, a tag, and a value.
    pub fn raw(oid: &'static [u8], tag: u8, value: &[u8]) -> Self {
        Self { oid, tag, value: value.into() }
    }

    fn der(&self) -> Vec<u8> {
        tlv(SEQUENCE, &[tlv(OID, self.oid), tlv(self.tag, &self.value)].concat())
    }
}

impl Spelling {
    /// Every kind, for tests that try all.
    pub const ALL: [Self; 6] =
        [Self::Printable, Self::Utf8, Self::Ia5, Self::Teletex, Self::Bmp, Self::Universal];

    fn tag(self) -> u8 {
        match self {
            Self::Utf8 => 0x0c,
            Self::Printable => 0x13,
            Self::Teletex => 0x14,
            Self::Ia5 => 0x16,
            Self::Universal => 0x1c,
            Self::Bmp => 0x1e,
        }
    }

    fn encode(self, value: &str) -> Vec<u8> {
        match self {
            Self::Printable | Self::Utf8 | Self::Ia5 | Self::Teletex => value.into(),
            Self::Bmp => value.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Self::Universal => value.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
        }
    }
}

/// What rcgen is told to write where [`rewrite`] will put the real subject.
pub(super) fn placeholder() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, PLACEHOLDER);
    name
}

/// Puts `subject` where the placeholder stands (in a self-signed certificate that is the issuer
/// too) and signs again with the issuer's key.
pub(super) fn rewrite(
    certificate: &CertificateDer<'_>,
    subject: &Subject,
    issuer: &KeyPair,
) -> CertificateDer<'static> {
    let placeholder = Subject::of(Attribute::common_name(Spelling::Utf8, PLACEHOLDER)).der();
    replace_and_sign(certificate, &placeholder, &subject.der(), issuer)
}

/// Puts other bytes in the place of some that a certificate has, and signs again with the issuer's
/// key.
pub(super) fn replace_and_sign(
    certificate: &CertificateDer<'_>,
    from: &[u8],
    to: &[u8],
    issuer: &KeyPair,
) -> CertificateDer<'static> {
    const OWN: &str = "rcgen wrote this certificate a moment ago";

    let (_, outer) = Any::from_der(certificate).expect(OWN);
    let (rest, to_be_signed) = Any::from_der(outer.data).expect(OWN);
    let (_, algorithm) = Any::from_der(rest).expect(OWN);

    let to_be_signed = tlv(SEQUENCE, &replace(to_be_signed.data, from, to));
    let mut signature = vec![0]; // no unused bits
    signature.extend(issuer.sign(&to_be_signed).expect(super::SIGNS));
    let parts = [to_be_signed, tlv(SEQUENCE, algorithm.data), tlv(BIT_STRING, &signature)];
    tlv(SEQUENCE, &parts.concat()).into()
}

fn replace(mut haystack: &[u8], needle: &[u8], replacement: &[u8]) -> Vec<u8> {
    let mut result = Vec::new();
    while let Some((first, rest)) = haystack.split_first() {
        if let Some(after) = haystack.strip_prefix(needle) {
            result.extend_from_slice(replacement);
            haystack = after;
        } else {
            result.push(*first);
            haystack = rest;
        }
    }
    result
}

/// Tag, length and value (X.690 section 8.1).
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    match length.as_slice() {
        [] => der.push(0),
        [short] if *short < 0x80 => der.push(*short),
        long => {
            der.push(0x80 | u8::try_from(long.len()).expect("a usize has at most eight bytes"));
            der.extend_from_slice(long);
        }
    }
    der.extend_from_slice(value);
    der
}

const PLACEHOLDER: &str = "the subject goes here";
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const ORGANIZATIONAL_UNIT: &[u8] = &[0x55, 0x04, 0x0b];
const BIT_STRING: u8 = 0x03;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
