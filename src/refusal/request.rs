//! Why a request was refused, with an answer: the closed list.
#![warn(clippy::wildcard_enum_match_arm)]

use http::StatusCode;

use super::Severity;

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
    /// The request asks a site for a WebSocket, which the site does not allow.
    WebsocketNotAllowed,
    /// The request asks a site for a WebSocket, but not as RFC 6455 says, or not for it alone.
    WebsocketInvalid,
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
    /// Too many requests of proven callers are being answered.
    TooManyRequests,
    /// Too many requests to sites, or without proof yet, are being answered.
    TooManySiteRequests,
    /// Too many WebSockets are open.
    TooManyTunnels,
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

impl Refusal {
    /// Every variant, for metrics that start at zero.
    pub const ALL: [Self; 34] = [
        Self::RequestMalformed,
        Self::HeaderTimeout,
        Self::NoRoute,
        Self::MethodNotAllowed,
        Self::VerificationOff,
        Self::UpgradeNotAllowed,
        Self::WebsocketNotAllowed,
        Self::WebsocketInvalid,
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
        Self::TooManySiteRequests,
        Self::TooManyTunnels,
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
            | Self::WebsocketInvalid
            | Self::VerificationMalformed
            | Self::VerificationModeUnknown
            | Self::CertificateHeaderMalformed
            | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::WebsocketNotAllowed
            | Self::CertificateMissing
            | Self::CertificateNoLongerTrusted
            | Self::CertificateFromStranger
            | Self::CertificateRefused
            | Self::VerifyTokenMismatch
            | Self::SignatureMissing
            | Self::SignatureMalformed
            | Self::SignatureMismatch => StatusCode::FORBIDDEN,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeaderTimeout | Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyRequests
            | Self::TooManySiteRequests
            | Self::TooManyTunnels
            | Self::BodyMemoryExhausted => StatusCode::SERVICE_UNAVAILABLE,
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
            Self::WebsocketNotAllowed => "websocket_not_allowed",
            Self::WebsocketInvalid => "websocket_invalid",
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
            Self::TooManySiteRequests => "too_many_site_requests",
            Self::TooManyTunnels => "too_many_tunnels",
            Self::BodyMemoryExhausted => "body_memory_exhausted",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamMalformed => "upstream_malformed",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// Strangers' doing is INFO at most; a fault of ours or of the backend is WARN.
    pub fn severity(self) -> Severity {
        match self {
            Self::RequestMalformed
            | Self::HeaderTimeout
            | Self::NoRoute
            | Self::MethodNotAllowed
            | Self::VerificationOff
            | Self::UpgradeNotAllowed
            | Self::WebsocketNotAllowed
            | Self::WebsocketInvalid
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
            | Self::TooManySiteRequests
            | Self::TooManyTunnels
            | Self::BodyMemoryExhausted => Severity::Notice,
            Self::UpstreamUnreachable
            | Self::UpstreamBroken
            | Self::UpstreamMalformed
            | Self::UpstreamTimeout => Severity::Fault,
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
            Self::WebsocketNotAllowed => {
                "if the application behind this [[site]] speaks WebSocket, set its `websocket = true`"
            }
            Self::WebsocketInvalid => {
                "no browser: a GET without a body, for `websocket` alone, version 13, with a key (RFC 6455)"
            }
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
            Self::TooManySiteRequests => {
                "limits.site_requests_in_flight is reached: is a site slow, or somebody flooding it?"
            }
            Self::TooManyTunnels => {
                "limits.tunnels is reached: raise it if so many users have a page open that holds a WebSocket"
            }
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
                "the application's answer is no valid HTTP, above upstream.response_max_bytes, or a 101 that was not asked for"
            }
            Self::UpstreamTimeout => {
                "the application took longer than upstream.timeout_ms: acknowledge first, work later"
            }
        }
    }
}
