//! What the application is told about the caller: only what was proven, and only by us.

use std::collections::{BTreeSet, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use hubgate_testkit::pki::Leaf;
use hubgate_testkit::sender::{Http, Message, Sender};

use crate::harness::application::Received;
use crate::harness::raw::{Raw, signed_head, unnamed};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

/// Every value of this header as the application saw it.
fn all<'a>(received: &'a Received, name: &str) -> Vec<&'a HeaderValue> {
    received.headers.get_all(name).iter().collect()
}

#[tokio::test]
async fn the_application_is_told_what_is_true_of_the_caller() {
    let world = World::start().await;
    let identity = world.meta_ca.issue(Leaf::meta());
    let leaf = format!(":{}:", STANDARD.encode(identity.leaf()));
    let port = world.proxy.addresses()[0].port().to_string();
    let mut ids = HashSet::new();
    for http in [Http::One, Http::Two] {
        let options = unnamed(world.caller(identity.clone())).http(http);
        let options = options.authority(HeaderValue::from_static("Hooks.example:444"));
        let connection = Sender::new(options).unwrap().connect().await.unwrap();
        for _ in 0..3 {
            assert_eq!(connection.request(event("{}")).await.unwrap().status, 200);
            let received = world.app.received().pop().unwrap();
            assert_eq!(all(&received, "x-forwarded-for"), ["127.0.0.1"]);
            assert_eq!(all(&received, "x-forwarded-proto"), ["https"]);
            assert_eq!(all(&received, "x-forwarded-host"), ["Hooks.example:444"]);
            assert_eq!(all(&received, "x-forwarded-port"), [&port]);
            assert_eq!(all(&received, "host"), ["Hooks.example:444"]);
            // RFC 9440 section 2.2.
            assert_eq!(all(&received, "client-cert"), [&leaf]);
            assert_eq!(all(&received, "x-hubgate-verified"), ["client-certificate, signature"]);
            let id = received.headers["x-request-id"].to_str().unwrap().to_owned();
            assert!(id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
            ids.insert(id);
        }
    }
    assert_eq!(ids.len(), 6, "{ids:?}");
}

/// What applications trust of a caller, from wherever they are put.
const CLAIMS: &[&str] = &[
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Anything",
    "X-Real-IP",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Client-Cert",
    "X-Client-Cert-Subject",
    "X-Client-DN",
    "X-Client-Verify",
    "X-SSL-Client-Verify",
    "X-SSL-Client-S-DN",
    "X-Amzn-Mtls-Clientcert-Leaf",
    "X-Hubgate-Verified",
    "X-Hubgate-Proof",
    "X-Hubgate-Anything",
    "X-Request-Id",
    "X_Forwarded_For",
    "X-Forwarded_For",
    "Client_Cert",
    "X_Hub_Signature_256",
    "X_SSL_CLIENT_VERIFY",
    "x_hubgate_verified",
    "ssl_client_verify",
    "X-Forwarded",
    "X-Forwarded-User",
    "X-Forwarded-Prefix",
    "Forwarded-For",
    "Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "CF-Connecting-IPv6",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Originating-IP",
    "Fastly-Client-IP",
    "Fly-Client-IP",
    "DO-Connecting-IP",
    "X-Azure-ClientIP",
    "X-ProxyUser-Ip",
    "Proxy-Client-IP",
    "WL-Proxy-Client-IP",
    "X-Envoy-External-Address",
    "X-Envoy-Internal",
    "X-Vercel-Forwarded-For",
    "CloudFront-Viewer-Address",
    "Remote-User",
    "Remote_User",
    "Remote-Addr",
    "Remote-Groups",
    "X-Remote-User",
    "X-Remote-Group",
    "X-Auth-Request-Email",
    "X-Authenticated-User",
    "X-WebAuth-User",
    "X-Appengine-User-Email",
    "X-MS-Client-Principal",
    "X-Goog-Authenticated-User-Email",
    "X-Amzn-Oidc-Identity",
    "MS-ASPNETCORE-CLIENTCERT",
    "X-Script-Name",
    "Script-Name",
    "SCRIPT_NAME",
    "Path-Info",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Host",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-Rewrite-Path",
    "X-Envoy-Original-Path",
    "X-Override-URL",
    "X-Matched-Path",
    "X-Host",
    "X-HTTP-Host-Override",
    "X-Scheme",
    "Front-End-Https",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "X-Sendfile",
    "X-Sendfile-Type",
    "X-Accel-Mapping",
    "X-Accel-Redirect",
    "X-Middleware-Subrequest",
    "Proxy",
];

/// What must go through beside them.
const OWN: [&str; 7] = [
    "authorization",
    "cookie",
    "x-api-key",
    "x-client-id",
    "x-csrf-token",
    "x-hub-signature",
    "x-requested-with",
];

#[tokio::test]
async fn what_a_sender_claims_about_itself_never_reaches_the_application() {
    let world = Plan::new().more("[[site]]\nupstream = \"app\"\n").start().await;
    let page = || Message::new(Method::GET).target_path("/page");
    let reserved = hubgate::RESERVED_HEADERS.map(|reserved| reserved.name.trim_end_matches('*'));
    // Fewer than `limits.header_max_count` at once.
    for names in CLAIMS.chunks(40).chain(reserved.chunks(40)) {
        for (http, message) in [Http::One, Http::Two]
            .into_iter()
            .flat_map(|http| [event("{}"), page()].map(|message| (http, message)))
        {
            let message = OWN.iter().fold(message, |message, name| message.header(name, "forged"));
            let message = names.iter().fold(message, |message, name| {
                message.header(name, "forged").header(name, "forged too")
            });
            assert_eq!(send(world.meta().http(http), message).await.unwrap().status, 200);
            let received = world.app.received().pop().unwrap();
            let headers = received.headers.iter();
            let forged = headers.filter(|(_, value)| value.to_str().unwrap().contains("forged"));
            let forged: BTreeSet<_> = forged.map(|(name, _)| name.as_str()).collect();
            assert_eq!(forged, BTreeSet::from(OWN), "{names:?}");
        }
    }
}

/// In bytes, since a client library writes names in lower case.
#[tokio::test]
async fn case_and_spelling_of_a_claim_do_not_matter() {
    let world = World::start().await;
    for names in CLAIMS.chunks(40) {
        let mut more = "content-length: 2\r\n".to_owned();
        for name in names {
            let (upper, lower) = (name.to_uppercase(), name.to_lowercase());
            more += &format!("{upper}: forged\r\n{lower}: forged\r\n");
        }
        let mut raw = Raw::connect(world.meta()).await;
        raw.send(signed_head(b"{}", &more)).await;
        raw.send("{}").await;
        assert_eq!(raw.answer().await.status, 200);
        let received = world.app.received().pop().unwrap();
        assert!(received.headers.values().all(|value| value != "forged"), "{received:?}");
    }
}

#[tokio::test]
async fn end_to_end_headers_reach_the_application_and_hop_by_hop_ones_do_not() {
    let world = World::start().await;
    let mut raw = Raw::connect(world.meta()).await;
    let more = "content-length: 2\r\ncontent-type: application/json\r\nuser-agent: facebookexternalua\r\n\
                accept-encoding: deflate, gzip\r\nx-business: 7\r\nx-business: 8\r\n\
                connection: keep-alive, x-named\r\nx-named: 1\r\nkeep-alive: timeout=9\r\n\
                proxy-connection: keep-alive\r\nproxy-authorization: Basic eDp5\r\nte: trailers\r\n\
                trailer: x-late\r\nexpect: 100-continue\r\n";
    raw.send(signed_head(b"{}", more)).await;
    assert_eq!(raw.answer().await.status, 100);
    raw.send("{}").await;
    assert_eq!(raw.answer().await.status, 200);

    let received = world.app.only();
    assert_eq!(all(&received, "content-type"), ["application/json"]);
    assert_eq!(all(&received, "user-agent"), ["facebookexternalua"]);
    assert_eq!(all(&received, "accept-encoding"), ["deflate, gzip"]);
    assert_eq!(all(&received, "x-business"), ["7", "8"]);
    assert_eq!(all(&received, "content-length"), ["2"]);
    for gone in [
        "connection",
        "x-named",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "expect",
    ] {
        assert!(!received.headers.contains_key(gone), "{gone}: {received:?}");
    }
}

/// RFC 9110 section 7.6.1 lets a sender name what an intermediary takes out; not what it proves.
#[tokio::test]
async fn connection_can_name_neither_what_was_proven_nor_what_proves_it() {
    let world = World::start().await;
    let mut raw = Raw::connect(world.meta()).await;
    let more = "content-length: 2\r\ncontent-type: application/json\r\n\
                Connection: X-Hub-Signature-256, Content-Length, Content-Type, Host\r\n\
                Connection: client-cert,x-hubgate-verified,x-forwarded-for,,x-request-id, close\r\n\
                Connection: x-forwarded-host, x-forwarded-proto, x-forwarded-port, traceparent,tracestate\r\n\
                traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n\
                tracestate: vendor=1\r\n";
    raw.send(signed_head(b"{}", more)).await;
    raw.send("{}").await;
    assert_eq!(raw.answer().await.status, 200);
    raw.until_closed().await;

    let received = world.app.only();
    for kept in [
        "x-hub-signature-256",
        "content-length",
        "content-type",
        "host",
        "client-cert",
        "x-hubgate-verified",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-request-id",
        "traceparent",
        "tracestate",
    ] {
        assert_eq!(all(&received, kept).len(), 1, "{kept}: {received:?}");
    }
    assert_eq!(received.body, "{}");
}
