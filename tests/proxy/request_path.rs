//! The main job, end to end.

use hubgate_testkit::sender::Message;

use crate::harness::World;
use crate::harness::world::{VERIFY_TOKEN, event, send};

#[tokio::test]
async fn a_signed_event_from_meta_reaches_the_application_as_it_was_sent() {
    let world = World::start().await;
    let body = br#"{"object":"page","entry":[{"text":"caf\u00e9 \/"}]}"#;

    let answer = send(world.meta(), event(body.as_slice())).await.unwrap();

    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]));
    let received = world.app.only();
    assert_eq!((received.method.as_str(), received.uri.path()), ("POST", "/webhooks"));
    assert_eq!(received.body, &body[..]);
    assert_eq!(received.headers["content-length"], body.len().to_string());
    assert_eq!(received.headers["x-hubgate-verified"], "client-certificate, signature");
    world.until_metric("hubgate_events_verified_total{route=\"/webhooks\"}", 1.0).await;
}

#[tokio::test]
async fn a_verification_request_with_our_token_gets_the_bare_challenge() {
    let world = World::start().await;

    let answer =
        send(world.meta(), Message::verification(VERIFY_TOKEN, "1158201444")).await.unwrap();

    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"1158201444"[..]));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(world.app.received().is_empty());
}

#[tokio::test]
async fn a_wrong_signature_is_refused_and_nothing_reaches_the_application() {
    let world = World::start().await;

    let forged = Message::event("another secret", b"{}".as_slice());
    let answer = send(world.meta(), forged).await.unwrap();

    assert_eq!((answer.status.as_u16(), &answer.body[..]), (403, &b"Forbidden"[..]));
    assert!(world.app.received().is_empty());
    world.until_refused("signature_mismatch", 1).await;
}

#[tokio::test]
async fn a_stranger_without_a_certificate_gets_no_http() {
    let world = World::start().await;

    let error =
        send(world.stranger(), event(b"{}".as_slice())).await.expect_err("must not connect");

    assert_eq!(error.tls_alert(), Some("certificate_required"), "{error:?}");
    assert!(world.app.received().is_empty());
    world.until_handshake_refused("certificate_missing", 1).await;
}
