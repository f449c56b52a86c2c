//! The CAs that are known to vouch, or to have vouched, for Meta's webhook sender.
//!
//! In: the facts of a trust anchor. Out: which known CA it is, by its fingerprint. This is for
//! reports alone: nothing is trusted for being on this list, and what is not on it may well be
//! Meta's next CA.

use super::certificate::CertificateFacts;

/// A CA that Meta's documentation names, or named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownAnchor {
    /// The public root above Meta's leaf until April 2026.
    DigicertHighAssuranceEvRoot,
    /// Meta's own CA, above its leaf since March 2026.
    MetaOutboundApi202512,
}

/// What the facts of an anchor say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// The fingerprint is that of a known CA.
    Known(KnownAnchor),
    /// The subject is that of a known CA and the fingerprint is not: another certificate under a
    /// borrowed name, or a later edition of the known one.
    Namesake(KnownAnchor),
    /// Neither is known.
    Unknown,
}

impl KnownAnchor {
    /// Every one of them, the older first.
    pub const ALL: [Self; 2] = [Self::DigicertHighAssuranceEvRoot, Self::MetaOutboundApi202512];

    /// Looks at the fingerprint first, at the subject after it.
    pub fn recognize(facts: &CertificateFacts) -> Recognition {
        let has = |test: fn(Self) -> &'static str, text: &str| {
            Self::ALL.into_iter().find(|known| test(*known) == text)
        };
        if let Some(known) = has(Self::sha256, &facts.sha256) {
            return Recognition::Known(known);
        }
        has(Self::subject, &facts.subject).map_or(Recognition::Unknown, Recognition::Namesake)
    }

    /// What people call it: its common name.
    pub fn name(self) -> &'static str {
        match self {
            Self::DigicertHighAssuranceEvRoot => "DigiCert High Assurance EV Root CA",
            Self::MetaOutboundApi202512 => "Meta Outbound API CA 2025-12",
        }
    }

    /// When Meta's sender has, or had, a certificate under it.
    pub fn era(self) -> &'static str {
        match self {
            Self::DigicertHighAssuranceEvRoot => "above Meta's certificate until April 2026",
            Self::MetaOutboundApi202512 => "above Meta's certificate since March 2026",
        }
    }

    /// SHA-256 over its certificate, in the form of [`CertificateFacts::sha256`].
    pub fn sha256(self) -> &'static str {
        match self {
            Self::DigicertHighAssuranceEvRoot => {
                "74:31:E5:F4:C3:C1:CE:46:90:77:4F:0B:61:E0:54:40:88:3B:A9:A0:1E:D0:0B:A6:AB:D7:80:6E:D3:B1:18:CF"
            }
            Self::MetaOutboundApi202512 => {
                "DE:CB:20:96:C4:8B:2B:14:68:58:03:FE:9E:A1:E1:BC:D4:13:95:35:42:19:E3:1A:87:70:0E:58:62:A4:78:BF"
            }
        }
    }

    /// Its subject, in the form of [`CertificateFacts::subject`].
    fn subject(self) -> &'static str {
        match self {
            Self::DigicertHighAssuranceEvRoot => {
                "C=US, O=DigiCert Inc, OU=www.digicert.com, CN=DigiCert High Assurance EV Root CA"
            }
            Self::MetaOutboundApi202512 => {
                "C=US, O=Meta Platforms Inc., CN=Meta Outbound API CA 2025-12"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tls::material::read_anchors;

    fn committed_root() -> CertificateFacts {
        let path = Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/certs/digicert-high-assurance-ev-root-ca.pem"
        ));
        let [anchor] = read_anchors("root", path).expect("is a CA").try_into().expect("is one");
        anchor.facts
    }

    #[test]
    fn the_committed_root_is_known_by_its_fingerprint() {
        let known = KnownAnchor::recognize(&committed_root());
        assert_eq!(known, Recognition::Known(KnownAnchor::DigicertHighAssuranceEvRoot));
    }

    #[test]
    fn another_certificate_under_a_known_subject_is_a_namesake_and_not_known() {
        for known in KnownAnchor::ALL {
            let facts = CertificateFacts {
                subject: known.subject().to_owned(),
                sha256: "00".to_owned(),
                ..committed_root()
            };
            assert_eq!(KnownAnchor::recognize(&facts), Recognition::Namesake(known));
        }
    }

    #[test]
    fn any_other_ca_is_unknown_and_no_fault_of_its_own() {
        let facts = CertificateFacts {
            subject: "C=US, O=Meta Platforms Inc., CN=Meta Outbound API CA 2028-01".to_owned(),
            sha256: "00".to_owned(),
            ..committed_root()
        };
        assert_eq!(KnownAnchor::recognize(&facts), Recognition::Unknown);
    }
}
