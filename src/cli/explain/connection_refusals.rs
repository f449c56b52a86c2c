//! What each way to end a connection before HTTP means.
#![warn(clippy::wildcard_enum_match_arm)]

use super::explanation::Explanation;
use crate::refusal::ConnectionRefusal;

pub(super) fn explanation(connection_refusal: ConnectionRefusal) -> Explanation {
    match connection_refusal {
        ConnectionRefusal::ConnectionsFull => CONNECTIONS_FULL,
        ConnectionRefusal::NetworkFull => NETWORK_FULL,
        ConnectionRefusal::HandshakeTimeout => HANDSHAKE_TIMEOUT,
        ConnectionRefusal::HandshakeFailed => HANDSHAKE_FAILED,
        ConnectionRefusal::ProxyHeaderMissing => PROXY_HEADER_MISSING,
        ConnectionRefusal::ProxyHeaderMalformed => PROXY_HEADER_MALFORMED,
        ConnectionRefusal::ProxyHeaderFromStranger => PROXY_HEADER_FROM_STRANGER,
        ConnectionRefusal::PlainFromStranger => PLAIN_FROM_STRANGER,
        ConnectionRefusal::AlertReceived => ALERT_RECEIVED,
        ConnectionRefusal::ServerNameUnknown => SERVER_NAME_UNKNOWN,
        ConnectionRefusal::CertificateMissing => CERTIFICATE_MISSING,
        ConnectionRefusal::UnknownAnchor => UNKNOWN_ANCHOR,
        ConnectionRefusal::CertificateExpired => CERTIFICATE_EXPIRED,
        ConnectionRefusal::CertificateNotYetValid => CERTIFICATE_NOT_YET_VALID,
        ConnectionRefusal::BadSignature => BAD_SIGNATURE,
        ConnectionRefusal::KeyTooWeak => KEY_TOO_WEAK,
        ConnectionRefusal::KeyUnsupported => KEY_UNSUPPORTED,
        ConnectionRefusal::SignatureUnsupported => SIGNATURE_UNSUPPORTED,
        ConnectionRefusal::WrongPurpose => WRONG_PURPOSE,
        ConnectionRefusal::ChainTooDeep => CHAIN_TOO_DEEP,
        ConnectionRefusal::NameNotSingle => NAME_NOT_SINGLE,
        ConnectionRefusal::NameMismatch => NAME_MISMATCH,
        ConnectionRefusal::CertificateRevoked => CERTIFICATE_REVOKED,
        ConnectionRefusal::RevocationUnknown => REVOCATION_UNKNOWN,
        ConnectionRefusal::CertificateMalformed => CERTIFICATE_MALFORMED,
    }
}

const CONNECTIONS_FULL: Explanation = Explanation {
    meaning: "A connection was closed because all places for callers without proof were busy with requests.",
    causes: &[
        "a site whose answers take long, so that browsers pile up: see site.timeout_ms",
        "a flood of slow requests from many addresses",
        "limits.unproven_connections is set too low",
    ],
    next: "curl -s http://127.0.0.1:9180/metrics | grep -E 'connections_(open|evicted)|in_flight'",
};

const NETWORK_FULL: Explanation = Explanation {
    meaning: "One IPv4 address, or one IPv6 /64, already had limits.connections_per_network connections that had proven nothing.",
    causes: &[
        "one machine that opens connections and says nothing",
        "many users behind one address: a company's proxy, or a provider's NAT",
        "a load balancer in front that is not in server.trusted_proxies or server.proxy_protocol_from",
    ],
    next: "journalctl -u hubgate -o cat | grep network_full",
};

const HANDSHAKE_TIMEOUT: Explanation = Explanation {
    meaning: "A caller connected and did not finish the TLS handshake in time.",
    causes: &[
        "a port scanner or a monitor that only opens TCP connections",
        "a load balancer's health check that speaks no TLS",
        "a network that loses packets, if genuine callers do this, too",
    ],
    next: "curl -s http://127.0.0.1:9180/metrics | grep handshake_refusals",
};

const HANDSHAKE_FAILED: Explanation = Explanation {
    meaning: "What came was not TLS, or no TLS version that is spoken here, or the caller went away.",
    causes: &[
        "a scanner, or plain HTTP sent to the TLS port",
        "a client that has nothing newer than TLS 1.1; Meta has",
        "a load balancer that sends the PROXY protocol: see server.proxy_protocol_from",
    ],
    next: "openssl s_client -connect localhost:8443 </dev/null",
};

const PROXY_HEADER_MISSING: Explanation = Explanation {
    meaning: "A peer in server.proxy_protocol_from connected and did not begin with a PROXY protocol header.",
    causes: &[
        "the PROXY protocol is off in the load balancer (HAProxy: send-proxy-v2; NLB: the target group's attribute)",
        "a health check that leaves the header out; HAProxy's sends it with check-send-proxy",
        "somebody behind the same addresses who calls directly: name fewer of them",
    ],
    next: "journalctl -u hubgate -o cat | grep proxy_header_missing",
};

const PROXY_HEADER_MALFORMED: Explanation = Explanation {
    meaning: "A peer in server.proxy_protocol_from began a PROXY protocol header that is none.",
    causes: &[
        "a line of version 1 with a wrong address, port or end, or of more than 107 bytes",
        "a header of version 2 with an unknown command or family, cut short, or of more than 4096 bytes",
        "somebody behind the same addresses who tries what a parser does",
    ],
    next: "journalctl -u hubgate -o cat | grep proxy_header_malformed",
};

const PROXY_HEADER_FROM_STRANGER: Explanation = Explanation {
    meaning: "A peer that is not in server.proxy_protocol_from began with a PROXY protocol header.",
    causes: &[
        "the load balancer has an address that is not in server.proxy_protocol_from",
        "somebody who reaches hubgate past the load balancer, and claims another address",
    ],
    next: "journalctl -u hubgate -o cat | grep proxy_header_from_stranger",
};

const PLAIN_FROM_STRANGER: Explanation = Explanation {
    meaning: "A peer that is not in server.trusted_proxies connected to an address of server.plain_listen.",
    causes: &[
        "the load balancer has an address that is not in server.trusted_proxies: name its subnets",
        "somebody who reaches the plain address past the load balancer; close it with a firewall, too",
    ],
    next: "journalctl -u hubgate -o cat | grep plain_from_stranger",
};

const ALERT_RECEIVED: Explanation = Explanation {
    meaning: "The caller broke the handshake off with an alert: it does not take the server's certificate.",
    causes: &[
        "the server's certificate is expired",
        "its chain lacks the intermediate: the file is the leaf alone, not the full chain",
        "it is self-signed, or from a CA that is not public",
        "it does not name the host of the callback URL",
    ],
    next: "hubgate doctor --url https://your.host/webhooks",
};

const SERVER_NAME_UNKNOWN: Explanation = Explanation {
    meaning: "The caller asked in TLS (SNI) for a name that none of the server's certificates has, or for none.",
    causes: &[
        "scanners that call an address, not a name",
        "a host for which there is no [[server.certificate]] yet",
        "a certificate that was renewed for fewer names than before",
        "a load balancer's health check that names no host; let it, with unknown_sni = \"default\"",
    ],
    next: "hubgate check",
};

/// In the handshake if every route demands a certificate, else at the request.
pub(super) const CERTIFICATE_MISSING: Explanation = Explanation {
    meaning: "A client certificate is demanded and the caller presented none.",
    causes: &[
        "not Meta: a browser, a scanner, a health check",
        "\"Attach a client certificate to Webhook requests\" is off in the app's dashboard",
        "Meta sends the verification request without one: see webhook.verification_client_certificate",
        "this kind of object gets none from Meta: see webhook.client_certificate",
        "something in front of hubgate ends TLS, so that the certificate ends there, too",
    ],
    next: "journalctl -u hubgate -o cat | grep certificate_missing",
};

const UNKNOWN_ANCHOR: Explanation = Explanation {
    meaning: "No configured trust anchor vouches for the certificate that was presented.",
    causes: &[
        "Meta changed its CA, if the log shows its subject and a new issuer",
        "the right CA's file is missing in client_certificate.trust_anchors, or is another CA of the same name",
        "the caller left out an intermediate between its certificate and the anchor",
        "somebody else called, with a certificate of some other CA",
    ],
    next: "journalctl -u hubgate -o cat | grep unknown_anchor",
};

const CERTIFICATE_EXPIRED: Explanation = Explanation {
    meaning: "A certificate of the caller's chain, or the only anchor that fits it, is past its end.",
    causes: &[
        "the anchor ended and its successor is not configured",
        "the caller did not renew in time; if it is Meta, it delivers again once it has",
        "this machine's clock is ahead",
    ],
    next: "hubgate check",
};

const CERTIFICATE_NOT_YET_VALID: Explanation = Explanation {
    meaning: "A certificate of the caller's chain begins in the future.",
    causes: &[
        "this machine's clock is behind",
        "the caller's CA issued it a moment ago, and its clock is ahead",
    ],
    next: "timedatectl",
};

const BAD_SIGNATURE: Explanation = Explanation {
    meaning: "A signature in the chain is wrong, or the caller does not have the certificate's key.",
    causes: &[
        "a forged certificate that carries the name of a trusted CA",
        "two CAs with the same name, of which the other one is configured",
        "a certificate that was damaged on the caller's disk",
    ],
    next: "journalctl -u hubgate -o cat | grep bad_signature",
};

const KEY_TOO_WEAK: Explanation = Explanation {
    meaning: "A key in the chain is RSA below 2048 bits: it can be broken, so it proves nothing.",
    causes: &[
        "a certificate from many years ago, or from a CA of somebody's own; Meta's are RSA of 2048 bits or more",
        "the trust anchor itself has such a key: whoever breaks it could call as Meta",
    ],
    next: "hubgate explain --cert client.pem",
};

const KEY_UNSUPPORTED: Explanation = Explanation {
    meaning: "A key in the chain is none of RSA (2048 to 8192 bits), ECDSA (P-256, P-384, P-521) and Ed25519.",
    causes: &[
        "a CA of somebody's own, with DSA, Ed448, RSASSA-PSS keys or a rare curve such as P-192 or secp256k1",
        "an ECDSA key that describes its curve in place of naming it",
        "Meta changed the kind of its key, if the rest of the certificate looks like Meta's: look for a newer hubgate",
    ],
    next: "hubgate explain --cert client.pem",
};

const SIGNATURE_UNSUPPORTED: Explanation = Explanation {
    meaning: "A certificate of the chain is signed with an algorithm not taken here, such as SHA-1 with RSA.",
    causes: &[
        "a certificate from many years ago, or from a CA of somebody's own with old settings: SHA-1 and MD5 can be forged",
        "an algorithm that is younger than this hubgate, if the rest of the certificate looks like Meta's",
    ],
    next: "hubgate explain --cert client.pem",
};

const WRONG_PURPOSE: Explanation = Explanation {
    meaning: "A certificate of the chain may not be used for what it was used for.",
    causes: &[
        "a server's certificate (serverAuth alone) presented as a client's",
        "an intermediate that may not sign certificates",
        "an anchor whose own key usage or purpose forbids it to vouch for clients",
    ],
    next: "hubgate explain --cert client.pem",
};

const CHAIN_TOO_DEEP: Explanation = Explanation {
    meaning: "More certificates were presented above the leaf, or lie on its path, than is allowed.",
    causes: &[
        "client_certificate.verify_depth is below what Meta's chain needs (2)",
        "an anchor with a path length of its own, and an intermediate too many",
        "somebody who is not Meta, with a chain made to cost time",
    ],
    next: "hubgate explain --cert client.pem",
};

const NAME_NOT_SINGLE: Explanation = Explanation {
    meaning: "The leaf's subject has no common name, or more than one.",
    causes: &[
        "another customer of the CA, whose certificates have names in the SAN alone",
        "a certificate made so that careless checks find the right name in it",
    ],
    next: "hubgate explain --cert client.pem",
};

const NAME_MISMATCH: Explanation = Explanation {
    meaning: "The chain is in order, but the leaf's common name is not one of client_certificate.common_names.",
    causes: &[
        "another customer of the same public CA",
        "another of Meta's services, under Meta's own CA",
        "client_certificate.common_names was changed, or mistyped",
    ],
    next: "journalctl -u hubgate -o cat | grep name_mismatch",
};

const CERTIFICATE_REVOKED: Explanation = Explanation {
    meaning: "A revocation list of the CA names a certificate of the caller's chain.",
    causes: &[
        "the key was stolen or lost, and the CA took the certificate back",
        "Meta replaced its certificate and one of its machines still has the old one",
    ],
    next: "journalctl -u hubgate -o cat | grep certificate_revoked",
};

const REVOCATION_UNKNOWN: Explanation = Explanation {
    meaning: "No current revocation list speaks for the certificate, and stale_crl is \"refuse\".",
    causes: &[
        "lists are fetched, and the place that the CA names is not reachable from here",
        "a file in client_certificate.crl_files is past its nextUpdate",
        "an intermediate's own issuer has no list here: each step of the chain needs one",
        "the first fetch after a start is not done, and there is no crl_cache",
    ],
    next: "curl -s http://127.0.0.1:9180/metrics | grep hubgate_crl",
};

const CERTIFICATE_MALFORMED: Explanation = Explanation {
    meaning: "A certificate of the chain is no X.509 certificate that can be read.",
    causes: &[
        "a scanner that tries what a parser does",
        "a certificate with a critical extension that nobody here knows",
        "a key that is none: a point that is not on its curve, an exponent that is even",
    ],
    next: "journalctl -u hubgate -o cat | grep certificate_malformed",
};
