//! The closed lists of everything a stranger can be refused for.
//!
//! [`Hangup`] ends a connection before it speaks HTTP; [`Refusal`] has an answer. Each variant has
//! a stable label (metric label, log field, what `hubgate explain` takes), a loudness and a hint for
//! the operator. No match here has a wildcard arm: a new variant does not compile until it has all.
//! What strangers can cause at will is never louder than [`Loudness::Notice`].
#![warn(clippy::wildcard_enum_match_arm)]

use http::StatusCode;

/// How loudly a refusal is logged; the one `match` from here to a level is in `telemetry::log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// Scanners and accidents: DEBUG.
    Noise,
    /// What an operator looks for when events stop: INFO.
    Notice,
    /// Our side or the backend is at fault: WARN.
    Fault,
}

/// Why a connection ended before HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hangup {
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

/// Why a request was refused, with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The bytes are no HTTP request.
    RequestMalformed,
    /// The head of a request did not arrive in time; the connection is dropped without the answer,
    /// for nobody reads one before the request is out.
    HeaderTimeout,
    /// No route has this host and path.
    NoRoute,
    /// The route does not take this method.
    MethodNotAllowed,
    /// Anything but a POST on a webhook whose verification is off.
    VerificationOff,
    /// The request asks for another protocol.
    UpgradeNotAllowed,
    /// No `Host`, two, a malformed one, or one that contradicts `:authority`.
    HostInvalid,
    /// The host is not the one that the TLS connection was opened for (RFC 9110 section 15.5.20).
    HostMismatch,
    /// A path that an application could read in more than one way.
    PathInvalid,
    /// The headers are more, or longer, than the limits allow.
    HeadersTooLarge,
    /// The route asks for a client certificate and the connection has none.
    CertificateMissing,
    /// The connection's client certificate was proven once, but not under today's trust.
    CertificateNoLongerTrusted,
    /// A load balancer's header with a client certificate, from somebody who is no trusted proxy.
    CertificateFromStranger,
    /// The load balancer's headers hold no one certificate or name, or those of another mode.
    CertificateHeaderMalformed,
    /// The certificate that the load balancer forwards is nobody's who is let in.
    CertificateRefused,
    /// A GET on a webhook without the parameters of a verification request, or with doubled ones.
    VerificationMalformed,
    /// `hub.mode` is not `subscribe`.
    VerificationModeUnknown,
    /// `hub.verify_token` is none of the configured ones.
    VerifyTokenMismatch,
    /// No `X-Hub-Signature-256`.
    SignatureMissing,
    /// `X-Hub-Signature-256` is there more than once, or not `sha256=` and 64 lower-case digits.
    SignatureMalformed,
    /// None of the route's secrets made this signature over these bytes.
    SignatureMismatch,
    /// The body is longer than the limit.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body broke off or its framing is wrong.
    BodyBroken,
    /// Too many requests are being answered.
    TooManyRequests,
    /// Too many bytes of bodies are held.
    BodyMemoryExhausted,
    /// The upstream could not be connected to.
    UpstreamUnreachable,
    /// The upstream closed or reset before its answer was whole.
    UpstreamBroken,
    /// The upstream's answer is malformed, contradicts itself or is too large.
    UpstreamMalformed,
    /// The upstream did not answer in time.
    UpstreamTimeout,
}

impl Hangup {
    /// Every variant, for metrics that start at zero.
    pub const ALL: [Self; 20] = [
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
    pub fn loudness(self) -> Loudness {
        match self {
            Self::HandshakeTimeout | Self::HandshakeFailed | Self::AlertReceived => Loudness::Noise,
            Self::ProxyHeaderMissing
            | Self::ProxyHeaderMalformed
            | Self::ProxyHeaderFromStranger
            | Self::PlainFromStranger
            | Self::CertificateMissing
            | Self::UnknownAnchor
            | Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::BadSignature
            | Self::WrongPurpose
            | Self::ChainTooDeep
            | Self::NameNotSingle
            | Self::NameMismatch
            | Self::CertificateRevoked
            | Self::RevocationUnknown
            | Self::ServerNameUnknown
            | Self::CertificateMalformed => Loudness::Notice,
        }
    }

    /// What the operator does about it.
    pub fn hint(self) -> &'static str {
        match self {
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
            Self::BadSignature => "a forged or damaged certificate; never Meta",
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

impl Refusal {
    /// Every variant, for metrics that start at zero.
    pub const ALL: [Self; 30] = [
        Self::RequestMalformed,
        Self::HeaderTimeout,
        Self::NoRoute,
        Self::MethodNotAllowed,
        Self::VerificationOff,
        Self::UpgradeNotAllowed,
        Self::HostInvalid,
        Self::HostMismatch,
        Self::PathInvalid,
        Self::HeadersTooLarge,
        Self::CertificateMissing,
        Self::CertificateNoLongerTrusted,
        Self::CertificateFromStranger,
        Self::CertificateHeaderMalformed,
        Self::CertificateRefused,
        Self::VerificationMalformed,
        Self::VerificationModeUnknown,
        Self::VerifyTokenMismatch,
        Self::SignatureMissing,
        Self::SignatureMalformed,
        Self::SignatureMismatch,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::BodyBroken,
        Self::TooManyRequests,
        Self::BodyMemoryExhausted,
        Self::UpstreamUnreachable,
        Self::UpstreamBroken,
        Self::UpstreamMalformed,
        Self::UpstreamTimeout,
    ];

    /// What the caller sees. The three signature variants share one answer, to teach a forger nothing.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::HostMismatch => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed | Self::VerificationOff => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestMalformed
            | Self::HostInvalid
            | Self::PathInvalid
            | Self::UpgradeNotAllowed
            | Self::VerificationMalformed
            | Self::VerificationModeUnknown
            | Self::CertificateHeaderMalformed
            | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::CertificateMissing
            | Self::CertificateNoLongerTrusted
            | Self::CertificateFromStranger
            | Self::CertificateRefused
            | Self::VerifyTokenMismatch
            | Self::SignatureMissing
            | Self::SignatureMalformed
            | Self::SignatureMismatch => StatusCode::FORBIDDEN,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeaderTimeout | Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyRequests | Self::BodyMemoryExhausted => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamUnreachable | Self::UpstreamBroken | Self::UpstreamMalformed => {
                StatusCode::BAD_GATEWAY
            }
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// One of the three ways in which a signature fails; no caller may tell which.
    pub(crate) fn is_about_signature(self) -> bool {
        matches!(self, Self::SignatureMissing | Self::SignatureMalformed | Self::SignatureMismatch)
    }

    /// Metric label and log field; stable.
    pub fn label(self) -> &'static str {
        match self {
            Self::RequestMalformed => "request_malformed",
            Self::HeaderTimeout => "header_timeout",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::VerificationOff => "verification_off",
            Self::UpgradeNotAllowed => "upgrade_not_allowed",
            Self::HostInvalid => "host_invalid",
            Self::HostMismatch => "host_mismatch",
            Self::PathInvalid => "path_invalid",
            Self::HeadersTooLarge => "headers_too_large",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateNoLongerTrusted => "certificate_no_longer_trusted",
            Self::CertificateFromStranger => "certificate_from_stranger",
            Self::CertificateHeaderMalformed => "certificate_header_malformed",
            Self::CertificateRefused => "certificate_refused",
            Self::VerificationMalformed => "verification_malformed",
            Self::VerificationModeUnknown => "verification_mode_unknown",
            Self::VerifyTokenMismatch => "verify_token_mismatch",
            Self::SignatureMissing => "signature_missing",
            Self::SignatureMalformed => "signature_malformed",
            Self::SignatureMismatch => "signature_mismatch",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
            Self::TooManyRequests => "too_many_requests",
            Self::BodyMemoryExhausted => "body_memory_exhausted",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamMalformed => "upstream_malformed",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// Strangers' doing is INFO at most; a fault of ours or of the backend is WARN.
    pub fn loudness(self) -> Loudness {
        match self {
            Self::RequestMalformed
            | Self::HeaderTimeout
            | Self::NoRoute
            | Self::MethodNotAllowed
            | Self::VerificationOff
            | Self::UpgradeNotAllowed
            | Self::HostInvalid
            | Self::HostMismatch
            | Self::PathInvalid
            | Self::HeadersTooLarge
            | Self::VerificationMalformed
            | Self::VerificationModeUnknown
            | Self::BodyTimeout
            | Self::BodyBroken
            | Self::CertificateMissing
            | Self::CertificateNoLongerTrusted
            | Self::CertificateFromStranger
            | Self::CertificateHeaderMalformed
            | Self::CertificateRefused
            | Self::VerifyTokenMismatch
            | Self::SignatureMissing
            | Self::SignatureMalformed
            | Self::SignatureMismatch
            | Self::BodyTooLarge
            | Self::TooManyRequests
            | Self::BodyMemoryExhausted => Loudness::Notice,
            Self::UpstreamUnreachable
            | Self::UpstreamBroken
            | Self::UpstreamMalformed
            | Self::UpstreamTimeout => Loudness::Fault,
        }
    }

    /// What the operator does about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::RequestMalformed => "a caller that does not speak HTTP, or bends it; not Meta",
            Self::HeaderTimeout => "a request's headers came too slowly: not Meta",
            Self::NoRoute => {
                "no [[webhook]] has this host and path; compare with the callback URL in the dashboard"
            }
            Self::MethodNotAllowed => "a webhook takes GET (verification) and POST (events)",
            Self::VerificationOff => {
                "webhook.verification is \"off\"; to register the callback URL, set it to \"answer\""
            }
            Self::UpgradeNotAllowed => "a webhook speaks plain HTTP requests; not Meta",
            Self::HostInvalid => {
                "not a browser or Meta: the Host header is missing, doubled or malformed"
            }
            Self::HostMismatch => {
                "the TLS connection was opened for another host; browsers try again on a connection of its own"
            }
            Self::PathInvalid => {
                "an encoded slash, a backslash, a control character, a hidden dot segment or a broken escape in the path"
            }
            Self::HeadersTooLarge => {
                "raise limits.header_max_count or header_max_bytes only if Meta's requests grew"
            }
            Self::CertificateMissing => {
                "the webhook demands a client certificate: see webhook.client_certificate and verification_client_certificate"
            }
            Self::CertificateNoLongerTrusted => {
                "an anchor, name or CRL changed, or the certificate expired, while the connection was open"
            }
            Self::CertificateFromStranger => {
                "a claim to speak for others: if it is your load balancer, add its network to server.trusted_proxies"
            }
            Self::CertificateHeaderMalformed => {
                "not what the load balancer sends in the mode of client_certificate.source, or a header twice"
            }
            Self::CertificateRefused => {
                "the log line before says why, in the words of the handshake; not the webhook sender"
            }
            Self::VerificationMalformed => {
                "a GET without hub.mode, hub.challenge and hub.verify_token once each; not Meta"
            }
            Self::VerificationModeUnknown => {
                "hub.mode is not `subscribe`; not a verification request"
            }
            Self::VerifyTokenMismatch => {
                "the token in the dashboard is none of webhook.verify_token"
            }
            Self::SignatureMissing => {
                "no X-Hub-Signature-256: not Meta, or something in front removes it"
            }
            Self::SignatureMalformed => {
                "X-Hub-Signature-256 is not sha256= and 64 lower-case hex digits; not Meta"
            }
            Self::SignatureMismatch => {
                "if Meta sent it: webhook.app_secrets lacks this app's secret, or something in front changed the body"
            }
            Self::BodyTooLarge => {
                "Meta sends up to 3 MB; limits.body_max_bytes must not be below that"
            }
            Self::BodyTimeout => "the body came too slowly: see limits.body_timeout_ms",
            Self::BodyBroken => "the caller broke off within the body; Meta delivers again",
            Self::TooManyRequests => "limits.requests_in_flight is reached: is the upstream slow?",
            Self::BodyMemoryExhausted => {
                "limits.body_memory_bytes is reached: is the upstream slow?"
            }
            Self::UpstreamUnreachable => {
                "nothing accepts connections at upstream.url: is the application running?"
            }
            Self::UpstreamBroken => {
                "the application closed the connection before its answer was whole: see its log"
            }
            Self::UpstreamMalformed => {
                "the application's answer is no valid HTTP, or above upstream.response_max_bytes"
            }
            Self::UpstreamTimeout => {
                "the application took longer than upstream.timeout_ms: acknowledge first, work later"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_refusal_stands_once_in_all_and_has_a_label_of_its_own() {
        let labels: HashSet<_> = Refusal::ALL.iter().map(|r| r.label()).collect();
        assert_eq!(labels.len(), Refusal::ALL.len());
        let labels: HashSet<_> = Hangup::ALL.iter().map(|h| h.label()).collect();
        assert_eq!(labels.len(), Hangup::ALL.len());
    }

    #[test]
    fn the_three_ways_a_signature_fails_look_alike_from_outside() {
        assert_eq!(Refusal::SignatureMissing.status(), Refusal::SignatureMismatch.status());
        assert_eq!(Refusal::SignatureMalformed.status(), Refusal::SignatureMismatch.status());
    }
}
