//! The one unbroken rule for names: a subject has exactly one common name.
//!
//! A pure function over DER. Text searches in a distinguished name are what this exists to avoid:
//! there, `CN=client.webhooks.fbclientcerts.com.evil.example` contains the right name.

use x509_parser::asn1_rs::Tag;
use x509_parser::oid_registry::OID_X509_COMMON_NAME;
use x509_parser::x509::X509Name;

/// The bytes of the only common name of `subject`; `None` if there is none, or more than one.
///
/// A value in another encoding than PrintableString or UTF8String (RFC 5280 section 4.1.2.6: what
/// conforming CAs use) has other bytes for the same text, so it counts as a name that fits nobody.
pub(crate) fn only_common_name<'a>(subject: &'a X509Name<'_>) -> Option<&'a [u8]> {
    let mut common_names = subject
        .iter_attributes()
        .filter(|attribute| *attribute.attr_type() == OID_X509_COMMON_NAME);
    let only = common_names.next()?;
    if common_names.next().is_some() {
        return None;
    }
    let value = only.attr_value();
    match value.header.tag() {
        Tag::PrintableString | Tag::Utf8String => Some(value.data),
        _ => Some(b""),
    }
}
