//! A distinguished name as one line after RFC 2253, in the form that nginx, Envoy and `openssl -nameopt
//! RFC2253` share: the last relative name first, attributes under their short names.
//!
//! Only printable ASCII comes out, whatever goes in: other bytes are escaped, and what has no short
//! name, or is no text, stands there as `#` and the hexadecimal digits of its DER.

use std::fmt::Write as _;

use x509_parser::asn1_rs::{Any, Tag, ToDer as _};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The name in one line; `None` if a value claims to be text and is not.
pub(super) fn rfc2253(name: &X509Name<'_>) -> Option<String> {
    let mut line = String::new();
    let relative_names: Vec<_> = name.iter_rdn().collect();
    for relative_name in relative_names.iter().rev() {
        let attributes: Vec<_> = relative_name.iter().collect();
        for (index, attribute) in attributes.iter().rev().enumerate() {
            if !line.is_empty() {
                line.push(if index == 0 { ',' } else { '+' });
            }
            write_attribute(&mut line, attribute)?;
        }
    }
    Some(line)
}

fn write_attribute(line: &mut String, attribute: &AttributeTypeAndValue<'_>) -> Option<()> {
    let oid = attribute.attr_type().to_id_string();
    let value = attribute.attr_value();
    let short = SHORT_NAMES.iter().find(|(known, _)| *known == oid);
    match (short, short.and_then(|_| text(value))) {
        (Some((_, short)), Some(text)) => {
            line.push_str(short);
            line.push('=');
            write_escaped(line, &text?);
        }
        (short, _) => {
            line.push_str(short.map_or(&oid, |(_, short)| short));
            line.push_str("=#");
            for byte in value.to_der_vec().ok()? {
                let _infallible = write!(line, "{byte:02X}");
            }
        }
    }
    Some(())
}

/// The value as UTF-8; `None` if it is of a kind that is no text, and `Some(None)` if its bytes are
/// not what its kind says. A `UTF8String` is taken as it is: what is not ASCII is escaped anyway.
fn text(value: &Any<'_>) -> Option<Option<Vec<u8>>> {
    let width = match value.header.tag() {
        Tag::Utf8String => return Some(Some(value.data.to_vec())),
        Tag::NumericString
        | Tag::PrintableString
        | Tag::T61String
        | Tag::Ia5String
        | Tag::VisibleString => 1,
        Tag::BmpString => 2,
        Tag::UniversalString => 4,
        _ => return None,
    };
    if !value.data.len().is_multiple_of(width) {
        return Some(None);
    }
    let character = |bytes: &[u8]| {
        let number = bytes.iter().fold(0, |number: u32, byte| (number << 8) | u32::from(*byte));
        char::from_u32(number)
    };
    let text: Option<String> = value.data.chunks(width).map(character).collect();
    Some(text.map(String::into_bytes))
}

/// RFC 2253 section 2.4, and every byte that is not printable ASCII as `\` and two digits.
fn write_escaped(line: &mut String, text: &[u8]) {
    let last = text.len().saturating_sub(1);
    for (index, byte) in text.iter().enumerate() {
        let at_an_end = match byte {
            b'#' => index == 0,
            b' ' => index == 0 || index == last,
            _ => false,
        };
        if at_an_end || b",+\"\\<>;".contains(byte) {
            line.push('\\');
            line.push(char::from(*byte));
        } else if byte.is_ascii_graphic() || *byte == b' ' {
            line.push(char::from(*byte));
        } else {
            let _infallible = write!(line, "\\{byte:02X}");
        }
    }
}

/// What OpenSSL calls the attributes that stand in certificates.
const SHORT_NAMES: [(&str, &str); 35] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.16", "postalAddress"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.18", "postOfficeBox"),
    ("2.5.4.20", "telephoneNumber"),
    ("2.5.4.26", "registeredAddress"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.45", "x500UniqueIdentifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.51", "houseIdentifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.72", "role"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.3", "mail"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.2.840.113549.1.9.2", "unstructuredName"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;
    use hubgate_testkit::pki::{Attribute, Authority, Ca, Leaf, Spelling, Subject};

    fn shown(subject: Subject) -> Option<String> {
        let identity = Authority::root(Ca::meta()).issue(Leaf::meta().subject(subject));
        let (_, certificate) = X509Certificate::from_der(identity.leaf()).expect("is one");
        rfc2253(certificate.subject())
    }

    fn named(spelling: Spelling, name: &str) -> Option<String> {
        shown(Subject::of(Attribute::common_name(spelling, name)))
    }

    #[test]
    fn the_last_relative_name_comes_first_and_joined_ones_have_a_plus() {
        let unit = |name| Attribute::organizational_unit(Spelling::Utf8, name);
        let subject = Subject::organization("o")
            .and(unit("u"))
            .and_joined(vec![Attribute::common_name(Spelling::Printable, "c"), unit("v")]);
        assert_eq!(shown(subject).as_deref(), Some("OU=v+CN=c,OU=u,O=o"));
        assert_eq!(shown(Subject::empty()).as_deref(), Some(""));
    }

    #[test]
    fn what_has_a_meaning_is_escaped_and_nothing_but_printable_ascii_comes_out() {
        for (name, expected) in [
            ("a,b+c\"d\\e<f>g;h=i#j k", "CN=a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h=i#j k"),
            (" a ", "CN=\\ a\\ "),
            ("#a", "CN=\\#a"),
            ("\r\nX-Forged: 1\0\u{7f}", "CN=\\0D\\0AX-Forged: 1\\00\\7F"),
            ("\u{e9}", "CN=\\C3\\A9"),
        ] {
            assert_eq!(named(Spelling::Utf8, name).as_deref(), Some(expected));
        }
    }

    #[test]
    fn every_kind_of_string_is_the_same_text() {
        for spelling in Spelling::ALL {
            assert_eq!(named(spelling, "a name").as_deref(), Some("CN=a name"), "{spelling:?}");
        }
        // Latin-1, as everybody reads a TeletexString.
        let latin = Attribute::raw_common_name(Spelling::Teletex, b"\xe9");
        assert_eq!(shown(Subject::of(latin)).as_deref(), Some("CN=\\C3\\A9"));
    }

    #[test]
    fn bytes_that_are_not_what_they_claim_to_be_make_no_line() {
        for (spelling, bytes) in [
            (Spelling::Bmp, b"\0a\0".as_slice()),
            (Spelling::Bmp, b"\xd8\x00"),
            (Spelling::Universal, b"\0\x11\0\0"),
        ] {
            let name = Attribute::raw_common_name(spelling, bytes);
            assert_eq!(shown(Subject::of(name)), None, "{bytes:?}");
        }
    }

    proptest! {
        // The smallest input that fails stands in the panic, not in a file beside the source.
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn no_text_can_leave_its_attribute(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut line = String::new();
            write_escaped(&mut line, &text);

            prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
            prop_assert_eq!(unescaped(&line), Some(text));
        }
    }

    /// What RFC 2253 section 3 reads out of a value; `None` if the value would end before.
    fn unescaped(line: &str) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut rest = line.bytes();
        while let Some(byte) = rest.next() {
            text.push(match byte {
                b',' | b'+' | b';' | b'"' => return None,
                b'\\' => match rest.next()? {
                    digit if digit.is_ascii_hexdigit() => {
                        let digits = [digit, rest.next()?];
                        u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                    }
                    escaped => escaped,
                },
                plain => plain,
            });
        }
        Some(text)
    }
}
