//! Which headers the application sees: the caller's own, less what only we may say, plus what we
//! proved; and which of its headers the caller sees.

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::webhook::signature::SIGNATURE_HEADER;

/// What is true of a request; every header here is set by us and by nobody else.
pub(crate) struct Truth<'a> {
    /// Address of the caller.
    pub(crate) forwarded_for: &'a HeaderValue,
    /// `https`, or what a trusted proxy says.
    pub(crate) forwarded_proto: HeaderValue,
    /// Port that it connected to.
    pub(crate) forwarded_port: &'a HeaderValue,
    /// Host that it asked for.
    pub(crate) forwarded_host: HeaderValue,
    /// The proven leaf after RFC 9440, if there is one.
    pub(crate) client_cert: Option<&'a HeaderValue>,
    /// Our name for this request.
    pub(crate) request_id: HeaderValue,
    /// What was proven.
    pub(crate) verified: Option<HeaderValue>,
}

/// Headers to the application.
pub(crate) fn towards_upstream(headers: &mut HeaderMap, truth: Truth<'_>) {
    remove(headers, |name| is_hop_by_hop(name) || is_claim(name.as_str()) || *name == EXPECT);
    headers.insert(HOST, truth.forwarded_host.clone());
    headers.insert(X_FORWARDED_FOR, truth.forwarded_for.clone());
    headers.insert(X_FORWARDED_PROTO, truth.forwarded_proto);
    headers.insert(X_FORWARDED_HOST, truth.forwarded_host);
    headers.insert(X_FORWARDED_PORT, truth.forwarded_port.clone());
    if let Some(client_cert) = truth.client_cert {
        headers.insert(CLIENT_CERT, client_cert.clone());
    }
    headers.insert(X_REQUEST_ID, truth.request_id);
    if let Some(verified) = truth.verified {
        headers.insert(X_HUBGATE_VERIFIED, verified);
    }
}

/// Headers to the caller: end-to-end ones only.
pub(crate) fn towards_caller(headers: &mut HeaderMap) {
    // Our length is written from the body that we send.
    remove(headers, |name| is_hop_by_hop(name) || *name == CONTENT_LENGTH);
}

/// Headers to the caller of a site: the length stays, since it may be that of a body that a HEAD
/// did not ask for, and trailers stay announced.
pub(crate) fn streamed_towards_caller(headers: &mut HeaderMap) {
    let trailer = headers.remove(TRAILER);
    remove(headers, is_hop_by_hop);
    if let Some(trailer) = trailer {
        headers.insert(TRAILER, trailer);
    }
}

/// The protocol that a request asks for, if it does so properly (RFC 9110 section 7.8).
pub(crate) fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let is_named = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|o| o.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    };
    let is_asked = headers.get_all(CONNECTION).iter().any(is_named);
    headers.get(UPGRADE).filter(|_| is_asked).cloned()
}

/// Removes what `is_unwanted` names, and whatever `Connection` names (RFC 9110 section 7.6.1). One
/// pass over what is there: there are fewer headers in a request than names to look for.
fn remove(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    if headers.contains_key(CONNECTION) {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
    }
    let unwanted: Vec<HeaderName> =
        headers.keys().filter(|name| is_unwanted(name)).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}

/// The fixed ones of RFC 9110 section 7.6.1, and those that are treated so.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    KEEP_ALIVE,
    PROXY_CONNECTION,
];

/// Options of `Connection` that name a header, save those that a sender must not make us drop.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let options = headers.get_all(CONNECTION).iter();
    let options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .filter(|name| ![SIGNATURE_HEADER, HOST, CONTENT_LENGTH, CONTENT_TYPE].contains(name))
        .collect()
}

/// What a sender has no business to say: who it is, whom it came through, what was proven.
///
/// Names are lower case here. One with an underscore reaches a CGI-style application under the
/// same name as one with a hyphen, so none passes (nginx drops them by default, too).
fn is_claim(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'c') => name.starts_with("client-cert") || name.contains('_'),
        Some(b'f') => name == FORWARDED.as_str() || name.contains('_'),
        Some(b's') => name.starts_with("ssl-client-") || name.contains('_'),
        Some(b'x') => {
            CLAIM_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name.contains('_')
        }
        _ => name.contains('_'),
    }
}

const CLAIM_PREFIXES: [&str; 11] = [
    "x-forwarded-",
    "x-real-ip",
    "x-client-cert",
    "x-client-dn",
    "x-client-verify",
    "x-ssl-client-",
    "x-amzn-mtls-",
    "x-hubgate-",
    "x-request-id",
    // Not identity, but another path than the one that was matched: some frameworks obey these.
    "x-original-u",
    "x-rewrite-url",
];

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_HUBGATE_VERIFIED: HeaderName = HeaderName::from_static("x-hubgate-verified");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn truth<'a>(address: &'a HeaderValue, port: &'a HeaderValue) -> Truth<'a> {
        Truth {
            forwarded_for: address,
            forwarded_proto: HeaderValue::from_static("https"),
            forwarded_port: port,
            forwarded_host: HeaderValue::from_static("hooks.example"),
            client_cert: None,
            request_id: HeaderValue::from_static("id"),
            verified: Some(HeaderValue::from_static("signature")),
        }
    }

    fn forwarded(given: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("valid name");
            headers.append(name, HeaderValue::from_str(value).expect("valid value"));
        }
        let (address, port) =
            (HeaderValue::from_static("192.0.2.1"), HeaderValue::from_static("8443"));
        towards_upstream(&mut headers, truth(&address, &port));
        headers
    }

    #[test]
    fn identity_that_a_sender_claims_never_passes_in_any_dialect() {
        let names = [
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Client-Cert",
            "X-Real-IP",
            "Client-Cert",
            "Client-Cert-Chain",
            "X-SSL-Client-Verify",
            "X-SSL-Client-S-DN",
            "X-Client-Cert-Subject",
            "X-Client-DN",
            "X-Amzn-Mtls-Clientcert-Leaf",
            "X-Hubgate-Verified",
            "X-Request-Id",
            "X_SSL_CLIENT_VERIFY",
            "client_cert",
            "ssl_client_verify",
            "ssl-client-subject-dn",
        ];
        let given: Vec<_> = names.iter().map(|name| (*name, "forged")).collect();
        let headers = forwarded(&given);
        assert!(headers.values().all(|value| value != "forged"), "{headers:?}");
    }

    #[test]
    fn connection_cannot_hide_the_signature_the_host_or_the_type() {
        let headers = forwarded(&[
            ("connection", "x-hub-signature-256, host, content-type, x-drop-me, keep-alive"),
            ("x-hub-signature-256", "sha256=00"),
            ("content-type", "application/json"),
            ("x-drop-me", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
        ]);
        assert_eq!(headers.get("x-hub-signature-256").expect("kept"), "sha256=00");
        assert_eq!(headers.get("content-type").expect("kept"), "application/json");
        assert_eq!(headers.get("host").expect("kept"), "hooks.example");
        for gone in ["connection", "x-drop-me", "keep-alive", "te", "upgrade"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
    }

    proptest! {
        // The smallest input that fails stands in the panic, not in a file beside the source.
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// A CGI-style application sees neither case nor hyphens, so the names are compared as it
        /// would see them.
        #[test]
        fn no_mix_of_headers_gets_a_claim_through_or_the_signature_lost(
            given in prop::collection::vec((name(), "forged|x-real-ip, te|x-forwarded-for"), 0..20),
            options in prop::collection::vec(name(), 0..8),
        ) {
            let connection = options.join(", ");
            let mut given: Vec<_> = given.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            given.push(("connection", &connection));
            given.push(("x-hub-signature-256", "sha256=00"));

            let headers = forwarded(&given);

            let signature = headers.get_all(SIGNATURE_HEADER).iter().next_back();
            prop_assert_eq!(signature.expect("kept"), "sha256=00");
            for (name, ours) in [
                ("x-forwarded-for", "192.0.2.1"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "hooks.example"),
                ("x-forwarded-port", "8443"),
                ("host", "hooks.example"),
                ("x-request-id", "id"),
                ("x-hubgate-verified", "signature"),
            ] {
                let values: Vec<_> = headers.get_all(name).iter().collect();
                prop_assert_eq!(values, [ours]);
            }
            for name in headers.keys().map(HeaderName::as_str) {
                let seen = name.replace('_', "-");
                let is_ours = OURS.contains(&name);
                let is_claim = IDENTITY.iter().any(|claim| seen.starts_with(claim));
                prop_assert!(is_ours || !is_claim, "{} passed", name);
                prop_assert!(!["connection", "te", "upgrade", "keep-alive"].contains(&name));
            }
        }
    }

    /// Names that mean something here, in any case and with underscores, and others.
    fn name() -> impl Strategy<Value = String> {
        let known = prop::sample::select([IDENTITY, HOP].concat());
        let ending = "[a-z-]{0,4}|for|cert|dn|verify";
        let known = (known, ending, any::<bool>(), any::<bool>());
        let known = known.prop_map(|(name, ending, is_upper, is_cgi)| {
            let name = format!("{name}{ending}");
            let name = if is_upper { name.to_uppercase() } else { name };
            if is_cgi { name.replace('-', "_") } else { name }
        });
        prop_oneof![4 => known, 1 => "[a-zA-Z_-]{1,12}"]
    }

    const OURS: &[&str] = &[
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-request-id",
        "x-hubgate-verified",
    ];

    const IDENTITY: &[&str] = &[
        "x-forwarded-",
        "x-real-ip",
        "client-cert",
        "x-client-cert",
        "x-client-dn",
        "x-client-verify",
        "x-ssl-client-",
        "ssl-client-",
        "x-amzn-mtls-",
        "x-hubgate-",
        "x-request-id",
    ];

    const HOP: &[&str] =
        &["connection", "te", "upgrade", "keep-alive", "host", "x-hub-signature-256"];
}
