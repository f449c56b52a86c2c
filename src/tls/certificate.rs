//! What one certificate says of itself, in words fit for a log line or a report.
//!
//! Nothing here is proof of anything: the bytes may come from a stranger, so every text is escaped
//! and cut, and nothing panics on what cannot be parsed.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

use crate::refusal::ConnectionRefusal;

/// The readable side of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Subject, as one line.
    pub subject: String,
    /// Issuer, as one line.
    pub issuer: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 over the DER bytes, as openssl prints it.
    pub sha256: String,
    /// First moment of validity.
    pub not_before: SystemTime,
    /// Last moment of validity.
    pub not_after: SystemTime,
    /// DNS names and IP addresses of the subject alternative name.
    pub names: Vec<String>,
    /// Subject and issuer are the same: a root, or a self-signed leaf.
    pub is_self_issued: bool,
    /// Basic constraints say that it is a CA.
    pub is_ca: bool,
}

impl CertificateFacts {
    /// Reads the facts; `None` if these bytes are no X.509 certificate.
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self {
            subject: readable(&certificate.subject().to_string()),
            issuer: readable(&certificate.issuer().to_string()),
            serial: readable(&certificate.raw_serial_as_string()),
            sha256: fingerprint(der),
            not_before: system_time(certificate.validity().not_before),
            not_after: system_time(certificate.validity().not_after),
            names: names(&certificate),
            is_self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            is_ca: certificate.is_ca(),
        })
    }

    /// Whether `now` lies within the validity.
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// A moment of a certificate as RFC 3339 has it, in UTC and without fractions.
pub fn utc(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let time = i64::try_from(seconds).ok().and_then(|seconds| {
        let time = ASN1Time::from_timestamp(seconds).ok()?;
        Some(time.to_datetime())
    });
    // Beyond the year 9999, where certificates cannot point either.
    let Some(time) = time else { return "never".to_owned() };
    let (hour, minute, second) = time.to_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", time.date())
}

/// Whole days from `now` to `then`; negative once it is past.
pub(crate) fn days_until(then: SystemTime, now: SystemTime) -> i64 {
    const DAY_SECONDS: u64 = 24 * 60 * 60;
    let days = |seconds: u64| i64::try_from(seconds / DAY_SECONDS).unwrap_or(i64::MAX);
    match then.duration_since(now) {
        Ok(ahead) => days(ahead.as_secs()),
        Err(behind) => -days(behind.duration().as_secs()),
    }
}

/// SHA-256 of a certificate, in the form that openssl and browsers show.
pub fn fingerprint(der: &[u8]) -> String {
    let mut text = String::with_capacity(95);
    for (index, byte) in Sha256::digest(der).iter().enumerate() {
        if index > 0 {
            text.push(':');
        }
        let _infallible = write!(text, "{byte:02X}");
    }
    text
}

/// A stranger's text made safe for one line of log: escaped, and cut at [`READABLE_MAX_CHARS`].
pub(crate) fn readable(text: &str) -> String {
    let mut safe: String = text
        .chars()
        .flat_map(|c| {
            if c.is_control() || !c.is_ascii() { c.escape_default().collect() } else { vec![c] }
        })
        .take(READABLE_MAX_CHARS + 1)
        .collect();
    if safe.len() > READABLE_MAX_CHARS {
        safe.truncate(READABLE_MAX_CHARS);
        safe.push_str("...");
    }
    safe
}

/// Long enough for Meta's and DigiCert's names, short enough for a log line.
const READABLE_MAX_CHARS: usize = 200;

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let general_names = &extension.value.general_names;
    general_names.iter().filter_map(general_name).take(NAMES_MAX).collect()
}

/// A certificate may carry thousands; a report needs to show its first ones.
const NAMES_MAX: usize = 100;

/// Every DNS name of a certificate's subject alternative name, as it stands there.
pub(super) fn dns_names(der: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let dns_name = |name: &GeneralName<'_>| {
        let GeneralName::DNSName(name) = name else { return None };
        Some((*name).to_owned())
    };
    extension.value.general_names.iter().filter_map(dns_name).collect()
}

fn general_name(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(dns) = name {
        return Some(readable(dns));
    }
    let GeneralName::IPAddress(bytes) = name else {
        return None;
    };
    if let Ok(v4) = <[u8; 4]>::try_from(*bytes) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(*bytes).ok()?;
    Some(std::net::Ipv6Addr::from(v6).to_string())
}

/// The clock of the TLS library in the form of the standard library.
pub(crate) fn moment(time: UnixTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

/// A moment before 1970 becomes 1970: no certificate in use is that old.
pub(crate) fn system_time(time: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

/// The certificate, or the refusal of whoever presented what is none.
pub(super) fn parse<'a>(
    der: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, ConnectionRefusal> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(_unreadable) => Err(ConnectionRefusal::CertificateMalformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_newlines_of_a_stranger_are_escaped() {
        assert_eq!(
            readable("CN=a\nlevel=ERROR\u{1b}[31m\0"),
            "CN=a\\nlevel=ERROR\\u{1b}[31m\\u{0}"
        );
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let cut = readable(&"x".repeat(10_000));
        assert_eq!(cut.len(), READABLE_MAX_CHARS + 3);
        assert!(cut.ends_with("..."));
    }

    #[test]
    fn a_moment_is_shown_in_utc() {
        let seconds = Duration::from_secs(1_952_035_199);
        assert_eq!(utc(UNIX_EPOCH), "1970-01-01T00:00:00Z");
        assert_eq!(utc(UNIX_EPOCH + seconds), "2031-11-09T23:59:59Z");
        assert_eq!(utc(UNIX_EPOCH + 1_000 * seconds), "never");
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_facts() {
        assert_eq!(CertificateFacts::read(&CertificateDer::from(vec![0x30, 0x82, 0xff])), None);
    }
}
