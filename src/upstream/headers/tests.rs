use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::fixture::load;
use hubgate_testkit::pki::{Authority, Ca, Leaf};

/// What a request is to be told, to which application.
struct Case<'a> {
    reserved: &'a ReservedHeaders,
    identity: &'a IdentityHeaders,
    client: Option<&'a ClientIdentity>,
}

impl Case<'_> {
    fn forwarded(&self, given: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("valid name");
            headers.append(name, HeaderValue::from_str(value).expect("valid value"));
        }
        let trusted = TrustedHeaders {
            forwarded_for: &HeaderValue::from_static("192.0.2.1"),
            forwarded_proto: HeaderValue::from_static("https"),
            forwarded_port: &HeaderValue::from_static("8443"),
            forwarded_host: HeaderValue::from_static("hooks.example"),
            client: self.client,
            identity: self.identity,
            request_id: HeaderValue::from_static("id"),
            verified: Some(HeaderValue::from_static("signature")),
        };
        rewrite_request_headers(&mut headers, self.reserved, trusted);
        headers
    }
}

/// Upstreams with these dialects each, and one whose application reads names of its own.
fn upstreams(dialects: &[&[&str]]) -> Vec<Upstream> {
    let own = "identity_headers = [\"nginx\"]\nidentity_header_names = { verify = \"X-Tls-Ok\", \
               subject = \"caller_name\", serial = \"y-serial\" }";
    let mut text = format!("[[upstream]]\nname = \"own\"\nurl = \"http://a\"\n{own}\n");
    for (index, dialects) in dialects.iter().enumerate() {
        let name = if index == 0 { "app".to_owned() } else { index.to_string() };
        text += &format!(
            "[[upstream]]\nname = \"{name}\"\nurl = \"http://a\"\nidentity_headers = {dialects:?}\n"
        );
    }
    load(&text).upstreams
}

fn client() -> ClientIdentity {
    let identity = Authority::root(Ca::meta()).issue(Leaf::meta());
    ClientIdentity::of(identity.leaf(), &[]).expect("can be read")
}

fn forwarded(given: &[(&str, &str)]) -> HeaderMap {
    let upstreams = upstreams(&[&["rfc9440"]]);
    let identity = &upstreams.last().expect("is there").identity;
    Case { reserved: &ReservedHeaders::of(&upstreams), identity, client: None }.forwarded(given)
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
        "X-SSL-Issuer",
        "X-Client-Cert-Subject",
        "X-Client-DN",
        "X-Amzn-Mtls-Clientcert-Leaf",
        "X-ARR-ClientCert",
        "X-Hubgate-Verified",
        "X-Hubgate-Proof",
        "X-Request-Id",
        "X_SSL_CLIENT_VERIFY",
        "X.SSL.Client.Verify",
        "client_cert",
        "ssl_client_verify",
        "ssl-client-subject-dn",
        // Chosen for another upstream.
        "X-Tls-Ok",
        "X_Tls-Ok",
        "Caller-Name",
        "caller_name",
        "Y-Serial",
        "Y*Serial",
    ];
    let given: Vec<_> = names.iter().map(|name| (*name, "forged")).collect();
    let headers = forwarded(&given);
    assert!(headers.values().all(|value| value != "forged"), "{headers:?}");
}

#[test]
fn names_that_nobody_chose_are_the_callers_own() {
    let given = [("x-tls", "1"), ("x-tls-oks", "2"), ("caller", "3"), ("serial", "4")];
    let headers = forwarded(&given);
    for (name, value) in given {
        assert_eq!(headers.get(name).expect("kept"), value);
    }
}

#[test]
fn connection_cannot_hide_the_signature_the_host_the_type_or_the_trace() {
    let headers = forwarded(&[
        ("connection", "x-hub-signature-256, host, content-type, x-drop-me, keep-alive"),
        ("connection", "traceparent, tracestate, x-hubgate-verified, x-request-id"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
        ("tracestate", "vendor=1"),
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
    for kept in ["traceparent", "tracestate", "x-hubgate-verified", "x-request-id"] {
        assert!(headers.contains_key(kept), "{kept}");
    }
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

    /// Whatever the application reads, and whatever the caller sends: under a name that could be
    /// taken for identity stands what we say, once, or nothing.
    #[test]
    fn no_mix_of_headers_gets_a_claim_through_or_the_signature_lost(
        given in prop::collection::vec((name(), "forged|x-real-ip, te|x-forwarded-for"), 0..20),
        options in prop::collection::vec(name(), 0..8),
        dialects in prop::sample::subsequence(DIALECTS, 1..=DIALECTS.len()),
        reads_own_names in any::<bool>(),
        is_proven in any::<bool>(),
    ) {
        let connection = options.join(", ");
        let mut given: Vec<_> = given.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        given.push(("connection", &connection));
        given.push(("x-hub-signature-256", "sha256=00"));
        let upstreams = upstreams(&[&dialects, &["rfc9440"]]);
        let identity = &upstreams.get(usize::from(!reads_own_names)).expect("is there").identity;
        let client = client();
        let client = is_proven.then_some(&client);

        let case = Case { reserved: &ReservedHeaders::of(&upstreams), identity, client };
        let headers = case.forwarded(&given);

        let signature = headers.get_all(SIGNATURE_HEADER).iter().next_back();
        prop_assert_eq!(signature.expect("kept"), "sha256=00");
        let dialects = if reads_own_names { vec!["own"] } else { dialects };
        let expected = expected(&dialects, client);
        let identity: BTreeMap<_, _> = headers
            .iter()
            .filter(|(name, _)| is_identity(name.as_str()))
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        prop_assert_eq!(&identity, &expected);
        for name in headers.keys().map(HeaderName::as_str) {
            let times = headers.get_all(name).iter().count();
            prop_assert!(times == 1 || !is_identity(name), "{} stands there twice", name);
            prop_assert!(!["connection", "te", "upgrade", "keep-alive"].contains(&name));
        }
    }
}

/// A CGI-style application sees neither case nor what is no letter and no digit, so the names are
/// compared as it would see them.
fn is_identity(name: &str) -> bool {
    let seen = name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    ["host", "forwarded"].contains(&seen.as_str())
        || IDENTITY.iter().any(|claim| seen.starts_with(claim))
        || IDENTITY_WHOLE.contains(&seen.as_str())
        || OWN.iter().any(|(name, _)| name.replace('_', "-") == seen)
}

/// Everything that only we may say, as the dialects have it.
fn expected(
    dialects: &[&str],
    client: Option<&ClientIdentity>,
) -> BTreeMap<&'static str, HeaderValue> {
    let mut expected: BTreeMap<_, _> = [
        ("host", "hooks.example"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "hooks.example"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-proto", "https"),
        ("x-hubgate-verified", "signature"),
        ("x-request-id", "id"),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
    .into();
    let own = OWN.iter().map(|(name, part)| ("own", *name, *part));
    for (dialect, name, part) in NAMES.iter().copied().chain(own) {
        if dialects.contains(&dialect) {
            let value = client.and_then(|client| client.value(part)).cloned();
            let none = || (part == IdentityPart::Verify).then(|| HeaderValue::from_static("NONE"));
            expected.extend(value.or_else(none).map(|value| (name, value)));
        }
    }
    if dialects.contains(&"forwarded") {
        let value = "for=192.0.2.1;host=hooks.example;proto=https";
        expected.insert("forwarded", HeaderValue::from_static(value));
    }
    expected
}

/// Names that mean something here, in any case and spelling, and others.
fn name() -> impl Strategy<Value = String> {
    let own = OWN.iter().map(|(name, _)| *name);
    let set = NAMES.iter().map(|(_, name, _)| *name);
    let known = IDENTITY.iter().chain(IDENTITY_WHOLE).chain(HOP);
    let known: Vec<_> = known.copied().chain(own).chain(set).collect();
    let ending = "|[a-z-]{0,4}|for|cert|dn|verify";
    let between = prop::sample::select(vec!["-", "_", ".", "*"]);
    let known = (prop::sample::select(known), ending, any::<bool>(), between);
    let known = known.prop_map(|(name, ending, is_upper, between)| {
        let name = format!("{name}{ending}").replace('-', between);
        if is_upper { name.to_uppercase() } else { name }
    });
    prop_oneof![4 => known, 1 => "[a-zA-Z_-]{1,12}"]
}

const DIALECTS: &[&str] = &["rfc9440", "rfc9440_chain", "nginx", "alb", "xfcc", "forwarded"];

const NAMES: &[(&str, &str, IdentityPart)] = &[
    ("rfc9440", "client-cert", IdentityPart::ClientCert),
    ("rfc9440_chain", "client-cert-chain", IdentityPart::ClientCertChain),
    ("nginx", "x-ssl-client-verify", IdentityPart::Verify),
    ("nginx", "x-ssl-client-s-dn", IdentityPart::Subject),
    ("nginx", "x-ssl-client-i-dn", IdentityPart::Issuer),
    ("nginx", "x-ssl-client-serial", IdentityPart::Serial),
    ("nginx", "x-ssl-client-fingerprint", IdentityPart::Fingerprint),
    ("alb", "x-amzn-mtls-clientcert-serial-number", IdentityPart::Serial),
    ("alb", "x-amzn-mtls-clientcert-issuer", IdentityPart::Issuer),
    ("alb", "x-amzn-mtls-clientcert-subject", IdentityPart::Subject),
    ("alb", "x-amzn-mtls-clientcert-validity", IdentityPart::Validity),
    ("alb", "x-amzn-mtls-clientcert-leaf", IdentityPart::AlbLeaf),
    ("xfcc", "x-forwarded-client-cert", IdentityPart::ForwardedClientCert),
];

/// As [`upstreams`] has them.
const OWN: &[(&str, IdentityPart)] = &[
    ("x-tls-ok", IdentityPart::Verify),
    ("caller_name", IdentityPart::Subject),
    ("y-serial", IdentityPart::Serial),
];

const IDENTITY: &[&str] = &[
    "x-forwarded-",
    "x-real-ip",
    "client-cert",
    "x-client-cert",
    "x-client-dn",
    "x-client-verify",
    "x-ssl-",
    "ssl-client-",
    "x-amzn-mtls-",
    "x-arr-clientcert",
    "x-hubgate-",
    "x-request-id",
    "remote-",
    "x-remote-",
    "x-auth-request-",
    "x-original-",
    "x-rewrite-",
    "x-envoy-",
    "x-http-method",
    "x-accel-",
    "x-middleware-subrequest",
];

/// These alone, and nothing that begins so.
const IDENTITY_WHOLE: &[&str] = &[
    "client-ip",
    "true-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "script-name",
    "x-script-name",
    "x-method-override",
    "x-host",
    "proxy",
];

const HOP: &[&str] = &["connection", "te", "upgrade", "keep-alive", "host", "x-hub-signature-256"];
