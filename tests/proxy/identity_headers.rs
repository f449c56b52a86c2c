//! What the application is told about the caller: only what was proven, and only by us.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use hubgate::rehearsal::pki::Leaf;
use hubgate::rehearsal::sender::{Http, Sender};

use crate::harness::World;
use crate::harness::application::Received;
use crate::harness::raw::{Raw, signed_head, unnamed};
use crate::harness::world::{event, send};

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

const CLAIMS: [&str; 27] = [
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
    "X-Hubgate-Anything",
    "X-Request-Id",
    "X_Forwarded_For",
    "X-Forwarded_For",
    "Client_Cert",
    "X_Hub_Signature_256",
    "X_SSL_CLIENT_VERIFY",
    "x_hubgate_verified",
    "ssl_client_verify",
];

#[tokio::test]
async fn what_a_sender_claims_about_itself_never_reaches_the_application() {
    let world = World::start().await;
    for http in [Http::One, Http::Two] {
        let message =
            CLAIMS.iter().fold(event("{}").header("x-kept", "forged"), |message, name| {
                message.header(name, "forged").header(name, "forged too")
            });
        assert_eq!(send(world.meta().http(http), message).await.unwrap().status, 200);
        let received = world.app.received().pop().unwrap();
        let forged: Vec<_> = received
            .headers
            .iter()
            .filter(|(_, value)| value.to_str().unwrap().contains("forged"))
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(forged, ["x-kept"]);
    }
}

/// In bytes, since a client library writes names in lower case.
#[tokio::test]
async fn case_and_spelling_of_a_claim_do_not_matter() {
    let world = World::start().await;
    let mut more = "content-length: 2\r\n".to_owned();
    for name in CLAIMS {
        more += &format!("{}: forged\r\n{}: forged\r\n", name.to_uppercase(), name.to_lowercase());
    }
    let mut raw = Raw::connect(world.meta()).await;
    raw.send(signed_head(b"{}", &more)).await;
    raw.send("{}").await;
    assert_eq!(raw.answer().await.status, 200);
    let received = world.app.only();
    assert!(received.headers.values().all(|value| value != "forged"), "{received:?}");
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
                Connection: client-cert,x-hubgate-verified,x-forwarded-for,,x-request-id, close\r\n";
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
        "x-request-id",
    ] {
        assert_eq!(all(&received, kept).len(), 1, "{kept}: {received:?}");
    }
    assert_eq!(received.body, "{}");
}
