//! Why a connection ended before HTTP: the closed list.
#![warn(clippy::wildcard_enum_match_arm)]

use super::Severity;

/// Why a connection ended before HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionRefusal {
    /// Every connection that could give way to this one was busy.
    ConnectionsFull,
    /// Its network has `limits.connections_per_network` already.
    NetworkFull,
    /// The TLS handshake did not end in time.
    HandshakeTimeout,
    /// The bytes are not TLS, or not a TLS that we speak, or the caller went away.
    HandshakeFailed,
    /// A load balancer that must begin with a PROXY protocol header begins with something else.
    ProxyHeaderMissing,
    /// A load balancer's PROXY protocol header is wrong, or too long.
    ProxyHeaderMalformed,
    /// A PROXY protocol header from somebody who is not trusted to speak for others.
    ProxyHeaderFromStranger,
    /// Plain HTTP from somebody who is no trusted proxy.
    PlainFromStranger,
    /// The caller refused our certificate or broke off with an alert.
    AlertReceived,
    /// No certificate of the server has the name that was asked for, and `unknown_sni` is `"refuse"`.
    ServerNameUnknown,
    /// Every route asks for a client certificate and none was presented.
    CertificateMissing,
    /// No trust anchor vouches for the chain.
    UnknownAnchor,
    /// A certificate of the chain, or the only anchor that fits, is past its end.
    CertificateExpired,
    /// A certificate of the chain is not valid yet.
    CertificateNotYetValid,
    /// A signature in the chain, or the caller's own in the handshake, is wrong.
    BadSignature,
    /// A key in the chain can be broken, so that its signatures prove nothing.
    KeyTooWeak,
    /// A key in the chain is of a kind, a curve or a size that is not verified here.
    KeyUnsupported,
    /// A certificate is signed with an algorithm that is not verified here.
    SignatureUnsupported,
    /// A certificate of the chain may not be used for this.
    WrongPurpose,
    /// More certificates were presented above the leaf than `verify_depth`, or a path is too long.
    ChainTooDeep,
    /// The leaf's subject has no common name, or several.
    NameNotSingle,
    /// The leaf's common name is not one of `common_names`.
    NameMismatch,
    /// The certificate is revoked.
    CertificateRevoked,
    /// No current revocation list speaks for the certificate, and `stale_crl` is `"refuse"`.
    RevocationUnknown,
    /// A certificate cannot be read.
    CertificateMalformed,
}

impl ConnectionRefusal {
    /// Every variant, for metrics that start at zero.
    pub const ALL: [Self; 25] = [
        Self::ConnectionsFull,
        Self::NetworkFull,
        Self::HandshakeTimeout,
        Self::HandshakeFailed,
        Self::ProxyHeaderMissing,
        Self::ProxyHeaderMalformed,
        Self::ProxyHeaderFromStranger,
        Self::PlainFromStranger,
        Self::AlertReceived,
        Self::ServerNameUnknown,
        Self::CertificateMissing,
        Self::UnknownAnchor,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::BadSignature,
        Self::KeyTooWeak,
        Self::KeyUnsupported,
        Self::SignatureUnsupported,
        Self::WrongPurpose,
        Self::ChainTooDeep,
        Self::NameNotSingle,
        Self::NameMismatch,
        Self::CertificateRevoked,
        Self::RevocationUnknown,
        Self::CertificateMalformed,
    ];

    /// Metric label and log field; stable.
    pub fn label(self) -> &'static str {
        match self {
            Self::ConnectionsFull => "connections_full",
            Self::NetworkFull => "network_full",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeFailed => "handshake_failed",
            Self::ProxyHeaderMissing => "proxy_header_missing",
            Self::ProxyHeaderMalformed => "proxy_header_malformed",
            Self::ProxyHeaderFromStranger => "proxy_header_from_stranger",
            Self::PlainFromStranger => "plain_from_stranger",
            Self::AlertReceived => "alert_received",
            Self::ServerNameUnknown => "server_name_unknown",
            Self::CertificateMissing => "certificate_missing",
            Self::UnknownAnchor => "unknown_anchor",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::BadSignature => "bad_signature",
            Self::KeyTooWeak => "key_too_weak",
            Self::KeyUnsupported => "key_unsupported",
            Self::SignatureUnsupported => "signature_unsupported",
            Self::WrongPurpose => "wrong_purpose",
            Self::ChainTooDeep => "chain_too_deep",
            Self::NameNotSingle => "name_not_single",
            Self::NameMismatch => "name_mismatch",
            Self::CertificateRevoked => "certificate_revoked",
            Self::RevocationUnknown => "revocation_unknown",
            Self::CertificateMalformed => "certificate_malformed",
        }
    }

    /// Whoever presented a certificate may be Meta under a new CA: that is for the operator's eyes.
    pub fn severity(self) -> Severity {
        match self {
            Self::ConnectionsFull
            | Self::NetworkFull
            | Self::HandshakeTimeout
            | Self::HandshakeFailed
            | Self::AlertReceived => Severity::Noise,
            Self::ProxyHeaderMissing
            | Self::ProxyHeaderMalformed
            | Self::ProxyHeaderFromStranger
            | Self::PlainFromStranger
            | Self::CertificateMissing
            | Self::UnknownAnchor
            | Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::BadSignature
            | Self::KeyTooWeak
            | Self::KeyUnsupported
            | Self::SignatureUnsupported
            | Self::WrongPurpose
            | Self::ChainTooDeep
            | Self::NameNotSingle
            | Self::NameMismatch
            | Self::CertificateRevoked
            | Self::RevocationUnknown
            | Self::ServerNameUnknown
            | Self::CertificateMalformed => Severity::Notice,
        }
    }

    /// What the operator does about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::ConnectionsFull => {
                "as many connections as limits.unproven_connections are busy without proof: who are they, and is a site slow?"
            }
            Self::NetworkFull => {
                "one address holds limits.connections_per_network connections without proof: a scanner, or many behind one address"
            }
            Self::HandshakeTimeout => {
                "a caller connected and did not finish TLS; harmless unless frequent"
            }
            Self::HandshakeFailed => {
                "a caller that does not speak TLS 1.2 or 1.3, or went away; harmless"
            }
            Self::ProxyHeaderMissing => {
                "switch the PROXY protocol on in the load balancer, or take its network out of server.proxy_protocol_from"
            }
            Self::ProxyHeaderMalformed => {
                "what server.proxy_protocol_from trusts does not speak the PROXY protocol, version 1 or 2"
            }
            Self::ProxyHeaderFromStranger => {
                "a claim to speak for others: if it is your load balancer, add its network to server.proxy_protocol_from"
            }
            Self::PlainFromStranger => {
                "server.plain_listen serves server.trusted_proxies alone: if it is your load balancer, add its network"
            }
            Self::AlertReceived => {
                "the caller refused the server's certificate; run `hubgate check`"
            }
            Self::ServerNameUnknown => {
                "no [[server.certificate]] has the name that was asked for (server_name in the log), or none was: scanners; else compare with `hubgate check`"
            }
            Self::CertificateMissing => {
                "not Meta, or mTLS is off for the app: switch on \"Attach a client certificate to Webhook requests\""
            }
            Self::UnknownAnchor => {
                "if subject and issuer look like Meta's, its CA changed: add the CA's file to client_certificate.trust_anchors"
            }
            Self::CertificateExpired => {
                "if it is Meta's, wait for its renewal; if the anchor expired, install its successor"
            }
            Self::CertificateNotYetValid => "check this machine's clock",
            Self::BadSignature => {
                "a forged or damaged certificate, or one presented without its key; never Meta"
            }
            Self::KeyTooWeak => {
                "an RSA key below 2048 bits in the chain; not Meta, unless an anchor is that old: run `hubgate check`"
            }
            Self::KeyUnsupported => {
                "a key in the chain that is not RSA of 2048 to 8192 bits, ECDSA (P-256, P-384, P-521) or Ed25519; not Meta"
            }
            Self::SignatureUnsupported => {
                "a certificate signed with SHA-1 or another algorithm that proves nothing here; not Meta"
            }
            Self::WrongPurpose => "a certificate that is not for client authentication; not Meta",
            Self::ChainTooDeep => {
                "raise client_certificate.verify_depth only if Meta's chain really grew"
            }
            Self::NameNotSingle => "a subject without exactly one common name; not Meta",
            Self::NameMismatch => {
                "another customer of the same CA, or another of Meta's services; not the webhook sender"
            }
            Self::CertificateRevoked => "the CA took the certificate back; not to be trusted",
            Self::RevocationUnknown => {
                "the revocation list is missing or past its nextUpdate: see hubgate_crl_next_update_timestamp_seconds, client_certificate.crl_files and stale_crl"
            }
            Self::CertificateMalformed => "bytes that are no X.509 v3 certificate; not Meta",
        }
    }
}
