//! Where certificates say that the revocation list about them is found.
//!
//! Only what is proven is read: the trusted anchors, and certificates of a path that ends in one of
//! them and whose leaf has the right name. A stranger cannot make this process call a host.

use http::Uri;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::{DistributionPointName, ParsedExtension};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// A place to fetch a list from.
#[derive(Clone, Debug)]
pub(crate) struct DistributionPoint {
    /// Plain HTTP (RFC 5280 section 8: over TLS its own check would depend on it).
    pub(crate) uri: Uri,
    /// The certificates whose key may have signed the list.
    pub(crate) issuers: Vec<CertificateDer<'static>>,
}

/// Adds the places that `certificate` names; its issuer signs what is found there.
pub(super) fn collect(
    certificate: &CertificateDer<'_>,
    issuer: &CertificateDer<'static>,
    points: &mut Vec<DistributionPoint>,
) {
    for uri in http_uris(certificate) {
        match points.iter_mut().find(|point| point.uri == uri) {
            Some(point) if point.issuers.contains(issuer) => {}
            Some(point) => point.issuers.push(issuer.clone()),
            None => {
                points.push(DistributionPoint { uri, issuers: vec![issuer.clone()] });
                points.truncate(POINTS_MAX);
            }
        }
    }
}

/// Whether subject and issuer are the same, as in a root.
pub(super) fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, certificate)| {
        certificate.subject().as_raw() == certificate.issuer().as_raw()
    })
}

/// A handful of anchors with a place each, and a handful below them.
const POINTS_MAX: usize = 32;

fn http_uris(certificate: &CertificateDer<'_>) -> Vec<Uri> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let mut uris = Vec::new();
    for extension in certificate.extensions() {
        let ParsedExtension::CRLDistributionPoints(points) = extension.parsed_extension() else {
            continue;
        };
        for point in points.iter() {
            let Some(DistributionPointName::FullName(names)) = &point.distribution_point else {
                continue;
            };
            uris.extend(names.iter().filter_map(http_uri));
        }
    }
    uris
}

fn http_uri(name: &GeneralName<'_>) -> Option<Uri> {
    let GeneralName::URI(text) = name else { return None };
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let is_plain = uri.scheme_str() == Some("http") && !authority.as_str().contains('@');
    (is_plain && !authority.host().is_empty()).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hubgate_testkit::pki::{Authority, Ca, Leaf};

    #[test]
    fn a_place_is_taken_with_its_issuer_and_only_if_it_is_plain_http() {
        let ca = Authority::root(Ca::meta());
        let mut points = Vec::new();
        for url in [
            "http://crl.example:8080/list",
            "https://crl.example/list",
            "ldap://crl.example/list",
            "file:///etc/passwd",
            "http://user@crl.example/list",
            "http:///list",
            "/list",
        ] {
            let leaf = ca.issue(Leaf::meta().crl_url(url));
            collect(leaf.leaf(), ca.certificate(), &mut points);
        }

        let uris: Vec<_> = points.iter().map(|point| point.uri.to_string()).collect();
        assert_eq!(uris, ["http://crl.example:8080/list"]);
        assert!(points.iter().all(|point| point.issuers == [ca.certificate().clone()]));
    }

    #[test]
    fn a_place_that_two_issuers_name_is_one_place_for_both() {
        let (one, other) = (Authority::root(Ca::meta()), Authority::root(Ca::digicert_root()));
        let mut points = Vec::new();
        for ca in [&one, &other, &one] {
            let leaf = ca.issue(Leaf::meta().crl_url("http://crl.example/"));
            collect(leaf.leaf(), ca.certificate(), &mut points);
        }
        let issuers: Vec<_> = points.into_iter().map(|point| point.issuers).collect();
        assert_eq!(issuers, [[one.certificate().clone(), other.certificate().clone()]]);
    }
}
