//! What each refusal with an answer means.
#![warn(clippy::wildcard_enum_match_arm)]

use super::connection_refusals::CERTIFICATE_MISSING;
use super::explanation::Explanation;
use crate::refusal::Refusal;

pub(super) fn explanation(refusal: Refusal) -> Explanation {
    match refusal {
        Refusal::RequestMalformed => REQUEST_MALFORMED,
        Refusal::HeaderTimeout => HEADER_TIMEOUT,
        Refusal::NoRoute => NO_ROUTE,
        Refusal::MethodNotAllowed => METHOD_NOT_ALLOWED,
        Refusal::VerificationOff => VERIFICATION_OFF,
        Refusal::UpgradeNotAllowed => UPGRADE_NOT_ALLOWED,
        Refusal::WebsocketNotAllowed => WEBSOCKET_NOT_ALLOWED,
        Refusal::WebsocketInvalid => WEBSOCKET_INVALID,
        Refusal::HostInvalid => HOST_INVALID,
        Refusal::HostMismatch => HOST_MISMATCH,
        Refusal::PathInvalid => PATH_INVALID,
        Refusal::HeadersTooLarge => HEADERS_TOO_LARGE,
        Refusal::CertificateMissing => CERTIFICATE_MISSING,
        Refusal::CertificateNoLongerTrusted => CERTIFICATE_NO_LONGER_TRUSTED,
        Refusal::CertificateFromStranger => CERTIFICATE_FROM_STRANGER,
        Refusal::CertificateHeaderMalformed => CERTIFICATE_HEADER_MALFORMED,
        Refusal::CertificateRefused => CERTIFICATE_REFUSED,
        Refusal::VerificationMalformed => VERIFICATION_MALFORMED,
        Refusal::VerificationModeUnknown => VERIFICATION_MODE_UNKNOWN,
        Refusal::VerifyTokenMismatch => VERIFY_TOKEN_MISMATCH,
        Refusal::SignatureMissing => SIGNATURE_MISSING,
        Refusal::SignatureMalformed => SIGNATURE_MALFORMED,
        Refusal::SignatureMismatch => SIGNATURE_MISMATCH,
        Refusal::BodyTooLarge => BODY_TOO_LARGE,
        Refusal::BodyTimeout => BODY_TIMEOUT,
        Refusal::BodyBroken => BODY_BROKEN,
        Refusal::TooManyRequests => TOO_MANY_REQUESTS,
        Refusal::TooManySiteRequests => TOO_MANY_SITE_REQUESTS,
        Refusal::TooManyTunnels => TOO_MANY_TUNNELS,
        Refusal::BodyMemoryExhausted => BODY_MEMORY_EXHAUSTED,
        Refusal::UpstreamUnreachable => UPSTREAM_UNREACHABLE,
        Refusal::UpstreamBroken => UPSTREAM_BROKEN,
        Refusal::UpstreamMalformed => UPSTREAM_MALFORMED,
        Refusal::UpstreamTimeout => UPSTREAM_TIMEOUT,
    }
}

const REQUEST_MALFORMED: Explanation = Explanation {
    meaning: "The bytes on the connection are no HTTP request.",
    causes: &[
        "a scanner, or another protocol within TLS",
        "a client that contradicts itself, such as with both Content-Length and Transfer-Encoding",
        "a proxy in front that damages requests",
    ],
    next: "journalctl -u hubgate -o cat | grep request_malformed",
};

const HEADER_TIMEOUT: Explanation = Explanation {
    meaning: "The headers of a request did not arrive in time; the connection was dropped.",
    causes: &[
        "a caller that holds connections open on purpose (slowloris)",
        "a client on a very bad network; Meta is not one",
    ],
    next: "journalctl -u hubgate -o cat | grep header_timeout",
};

const NO_ROUTE: Explanation = Explanation {
    meaning: "No route has the host and path of the request.",
    causes: &[
        "a scanner that looks for known paths",
        "the callback URL in the dashboard has another path than webhook.path, which is compared byte for byte: a slash at the end counts",
        "webhook.host or site.host is not the host that callers ask for",
        "the path is taken out of its site by site.except",
        "a site would carry it, but an application may read it as a webhook's path or as one of site.except: `/webhooks.json`, `/Webhooks;a`, `/index.php/webhooks`, `/?q=webhooks`",
    ],
    next: "hubgate check",
};

const METHOD_NOT_ALLOWED: Explanation = Explanation {
    meaning: "The route does not take the request's method.",
    causes: &[
        "a browser or a monitor sends HEAD to a webhook, which takes GET and POST",
        "site.methods leaves the method out",
        "a scanner that tries CONNECT or TRACE",
    ],
    next: "journalctl -u hubgate -o cat | grep method_not_allowed",
};

const VERIFICATION_OFF: Explanation = Explanation {
    meaning: "A verification request came for a webhook whose verification is \"off\".",
    causes: &[
        "the callback URL is being registered, or saved again, in the dashboard",
        "a monitor sends GET to the webhook's path",
    ],
    next: "journalctl -u hubgate -o cat | grep verification_off",
};

const UPGRADE_NOT_ALLOWED: Explanation = Explanation {
    meaning: "The request asks a webhook for another protocol.",
    causes: &[
        "a WebSocket client with the wrong path",
        "a scanner that tries to smuggle requests through an upgrade",
    ],
    next: "journalctl -u hubgate -o cat | grep upgrade_not_allowed",
};

const WEBSOCKET_NOT_ALLOWED: Explanation = Explanation {
    meaning: "The request asks for a WebSocket, and its site does not say `websocket = true`.",
    causes: &[
        "the application behind the site speaks WebSocket, and the configuration does not say so yet",
        "a more exact [[site]] has the path, and only the wider one says `websocket = true`",
        "a scanner, where the application speaks none",
    ],
    next: "hubgate check",
};

const WEBSOCKET_INVALID: Explanation = Explanation {
    meaning: "The request names a WebSocket among the protocols that it asks for, and is not the opening handshake of RFC 6455.",
    causes: &[
        "a client, or a proxy in front, that leaves out Connection, Sec-WebSocket-Version (13) or Sec-WebSocket-Key",
        "it asks for other protocols beside, or sends a body, or is no GET",
        "a scanner that tries to smuggle requests through an upgrade",
    ],
    next: "journalctl -u hubgate -o cat | grep websocket_invalid",
};

const HOST_INVALID: Explanation = Explanation {
    meaning: "The request has no Host, two of them, a malformed one, or one that contradicts :authority.",
    causes: &[
        "a scanner, or a monitor that speaks HTTP/1.0",
        "an attempt to be taken for another host",
    ],
    next: "journalctl -u hubgate -o cat | grep host_invalid",
};

const HOST_MISMATCH: Explanation = Explanation {
    meaning: "The TLS handshake named one host (SNI), the request on that connection another.",
    causes: &[
        "a browser that uses one HTTP/2 connection for several hosts of a certificate; it tries again",
        "a proxy in front that opens its connections for one name: add it to server.trusted_proxies",
        "a probe or a test whose Host header differs from the name it connects to",
        "an attempt to reach one host's routes over a connection that was opened for another",
    ],
    next: "curl -sv --connect-to HOST:443:127.0.0.1:8443 https://HOST/",
};

const PATH_INVALID: Explanation = Explanation {
    meaning: "The path could be read in more than one way by the application, so it goes to none.",
    causes: &[
        "an encoded slash, a backslash, a control character or a broken escape, also if it is encoded twice",
        "a segment that some servers read as `..`, such as `..;`",
        "a scanner that looks for files outside of the site",
        "an application that puts slashes into one segment of its paths, as `%2F`",
    ],
    next: "journalctl -u hubgate -o cat | grep path_invalid",
};

const HEADERS_TOO_LARGE: Explanation = Explanation {
    meaning: "The headers are more, or longer, than the limits allow.",
    causes: &[
        "a browser with very large cookies, or a request line above 8190 bytes, on a site route",
        "limits.header_max_count or limits.header_max_bytes was lowered",
        "somebody tries how much is taken; Meta sends about ten headers",
    ],
    next: "journalctl -u hubgate -o cat | grep headers_too_large",
};

const CERTIFICATE_NO_LONGER_TRUSTED: Explanation = Explanation {
    meaning: "The connection's client certificate was proven once, but is not any more.",
    causes: &[
        "a reload took out the anchor, or the name, or brought a revocation list that names it",
        "the certificate ended while the connection was open",
        "no current revocation list speaks for it now, and stale_crl is \"refuse\"",
    ],
    next: "journalctl -u hubgate -o cat | grep certificate_no_longer_trusted",
};

const CERTIFICATE_FROM_STRANGER: Explanation = Explanation {
    meaning: "A header X-Amzn-Mtls-Clientcert came from a peer that is not in server.trusted_proxies.",
    causes: &[
        "the load balancer has an address that is not in server.trusted_proxies: name its subnets",
        "somebody who reaches hubgate past the load balancer, and claims a certificate",
    ],
    next: "journalctl -u hubgate -o cat | grep certificate_from_stranger",
};

const CERTIFICATE_HEADER_MALFORMED: Explanation = Explanation {
    meaning: "The load balancer's headers do not hold what its mode says: one leaf or subject, or one chain.",
    causes: &[
        "client_certificate.source is \"alb\" and the listener's mutual TLS is in passthrough mode, or the other way round",
        "a header that is there twice, so that something in front adds to it",
        "a value that is no URL-encoded PEM, or no name after RFC 2253",
    ],
    next: "journalctl -u hubgate -o cat | grep certificate_header_malformed",
};

const CERTIFICATE_REFUSED: Explanation = Explanation {
    meaning: "The client certificate that the load balancer forwards is not one that is let in.",
    causes: &[
        "another client of the load balancer's trust store: the log line before says name_mismatch",
        "client_certificate.trust_anchors lacks the CA, or an intermediate that an ALB in verify mode leaves out: unknown_anchor",
        "no trust_anchors, and the balancer is in passthrough mode, where it proves nothing",
    ],
    next: "journalctl -u hubgate -o cat | grep \"client certificate refused\"",
};

const VERIFICATION_MALFORMED: Explanation = Explanation {
    meaning: "A GET on a webhook is not a verification request: hub.mode, hub.challenge and hub.verify_token are not there once each.",
    causes: &[
        "somebody opened the callback URL in a browser",
        "a monitor asks the webhook's path; `/ready` on the admin address is for that",
        "something in front rewrites the query, or takes the dots out of its names",
    ],
    next: "journalctl -u hubgate -o cat | grep verification_malformed",
};

const VERIFICATION_MODE_UNKNOWN: Explanation = Explanation {
    meaning: "hub.mode of a verification request is not `subscribe`.",
    causes: &["a test by hand with another word", "not Meta"],
    next: "journalctl -u hubgate -o cat | grep verification_mode_unknown",
};

const VERIFY_TOKEN_MISMATCH: Explanation = Explanation {
    meaning: "The token of a verification request is none of webhook.verify_token.",
    causes: &[
        "the token in the dashboard was typed differently, or has a blank at its end",
        "the file of the token is an old one, or has more than one line",
        "the request was meant for another app on the same host",
        "somebody guesses tokens",
    ],
    next: "hubgate doctor --url https://your.host/webhooks --token-file verify-token",
};

const SIGNATURE_MISSING: Explanation = Explanation {
    meaning: "An event came without X-Hub-Signature-256.",
    causes: &[
        "not Meta: somebody posts to the webhook's path",
        "something in front removes the header",
        "the app has no app secret that it could sign with",
    ],
    next: "journalctl -u hubgate -o cat | grep signature_missing",
};

const SIGNATURE_MALFORMED: Explanation = Explanation {
    meaning: "X-Hub-Signature-256 is there twice, or is not `sha256=` and 64 lower-case hex digits.",
    causes: &[
        "a test by hand that wrote the digits in another form",
        "something in front doubles the header",
        "not Meta",
    ],
    next: "journalctl -u hubgate -o cat | grep signature_malformed",
};

const SIGNATURE_MISMATCH: Explanation = Explanation {
    meaning: "None of the route's app secrets made this signature over these bytes.",
    causes: &[
        "the app secret was reset in the dashboard and webhook.app_secrets has only the old one",
        "the event is of another app that shares the callback URL, whose secret is not in the list",
        "an Instagram event is signed with the Instagram app's secret, and the list has the Facebook app's, or the other way round",
        "something in front changed the body: compressed it, or parsed it and wrote it again",
        "somebody who does not know the secret tries to be Meta",
    ],
    next: "hubgate check",
};

const BODY_TOO_LARGE: Explanation = Explanation {
    meaning: "The body is longer than the limit of the route.",
    causes: &[
        "webhook.body_max_bytes or limits.body_max_bytes is below the 3 MB that Meta sends at most",
        "an upload to a site is larger than site.body_max_bytes",
        "somebody tries how much is taken",
    ],
    next: "hubgate check",
};

const BODY_TIMEOUT: Explanation = Explanation {
    meaning: "The body did not arrive in time.",
    causes: &[
        "a caller that sends slowly on purpose",
        "a network between that loses packets",
        "limits.body_timeout_ms is too short for what is sent",
    ],
    next: "curl -s http://127.0.0.1:9180/metrics | grep hubgate_body_duration_seconds",
};

const BODY_BROKEN: Explanation = Explanation {
    meaning: "The body broke off before its announced end, or its framing is wrong.",
    causes: &[
        "the caller disconnected; if it was Meta, it delivers again",
        "a proxy in front with a shorter deadline than the caller's",
    ],
    next: "journalctl -u hubgate -o cat | grep body_broken",
};

const TOO_MANY_REQUESTS: Explanation = Explanation {
    meaning: "limits.requests_in_flight requests of proven callers are being answered already.",
    causes: &[
        "the application is slow, so that answers pile up: see hubgate_upstream_duration_seconds",
        "more events come than the application was made for",
        "limits.requests_in_flight is set too low",
    ],
    next: "curl -s http://127.0.0.1:9180/metrics | grep -E 'in_flight|upstream_duration_seconds_(sum|count)'",
};

const TOO_MANY_SITE_REQUESTS: Explanation = Explanation {
    meaning: "limits.site_requests_in_flight requests to sites, or to webhooks without proof yet, are being answered already.",
    causes: &[
        "the application behind a site is slow, so that answers pile up",
        "somebody sends requests to a site faster than it answers, or bodies very slowly",
        "limits.site_requests_in_flight is set too low; proven events do not count there",
    ],
    next: "curl -s http://127.0.0.1:9180/metrics | grep -E 'in_flight|upstream_duration_seconds_(sum|count)'",
};

const TOO_MANY_TUNNELS: Explanation = Explanation {
    meaning: "limits.tunnels WebSockets are open already.",
    causes: &[
        "more users than that have a page open that holds a WebSocket",
        "somebody opens WebSockets and leaves them",
        "the pages open another one whenever one is lost",
    ],
    next: "curl -s http://127.0.0.1:9180/metrics | grep hubgate_tunnels",
};

const BODY_MEMORY_EXHAUSTED: Explanation = Explanation {
    meaning: "The bodies being held take limits.body_memory_bytes already.",
    causes: &[
        "the application is slow, so that bodies wait for it",
        "many large events at once",
        "many callers announce large bodies and send them slowly",
    ],
    next: "curl -s http://127.0.0.1:9180/metrics | grep -E 'body_memory|in_flight|upstream_duration_seconds_(sum|count)'",
};

const UPSTREAM_UNREACHABLE: Explanation = Explanation {
    meaning: "The application could not be connected to.",
    causes: &[
        "it does not run, or is being restarted",
        "upstream.url names another port, or another path of a socket",
        "the socket's directory is not open to hubgate's user",
        "every server of the upstream failed and is ejected for a moment",
    ],
    next: "hubgate check",
};

const UPSTREAM_BROKEN: Explanation = Explanation {
    meaning: "The application closed or reset the connection before its answer was whole.",
    causes: &[
        "it crashed, or was restarted, while it worked",
        "it closes idle connections sooner than upstream.idle_timeout_ms",
        "it does not read large bodies to their end before it answers and closes",
    ],
    next: "journalctl -u hubgate -o cat | grep upstream_broken",
};

const UPSTREAM_MALFORMED: Explanation = Explanation {
    meaning: "The application's answer is no valid HTTP, contradicts itself, or is too large.",
    causes: &[
        "upstream.url says http where the application speaks https, or the other way round",
        "the answer is larger than upstream.response_max_bytes",
        "something other than the application listens there",
        "it switched protocols (101) unasked, or agreed to a WebSocket with a wrong Sec-WebSocket-Accept",
    ],
    next: "journalctl -u hubgate -o cat | grep upstream_malformed",
};

const UPSTREAM_TIMEOUT: Explanation = Explanation {
    meaning: "The application did not answer in time.",
    causes: &[
        "it does its work before it answers: acknowledge first, work later",
        "its database or another service that it waits for is slow",
        "upstream.timeout_ms (site.timeout_ms) is shorter than its usual answer",
    ],
    next: "curl -s http://127.0.0.1:9180/metrics | grep upstream_duration",
};
