//! Webhooks that ask for a client certificate beside ones that do not.

use hubgate_testkit::pki::{Authority, Ca, Leaf};
use hubgate_testkit::sender::{Message, Sender, Tls};

use crate::harness::world::{VERIFY_TOKEN, event, send};
use crate::harness::{Plan, World};

const SIGNATURE_ONLY: &str = r#"
[[webhook]]
path = "/signature-only"
upstream = "app"
app_secrets = [{ file = "app-secret" }]
verify_token = { file = "verify-token" }
client_certificate = "none"
"#;

fn verification() -> Message {
    Message::verification(VERIFY_TOKEN, "1158201444")
}

#[tokio::test]
async fn without_a_certificate_only_the_webhook_that_asks_for_none_is_open() {
    let world = Plan::new().more(SIGNATURE_ONLY).start().await;
    for tls in [Tls::Only12, Tls::Only13] {
        let stranger = Sender::new(world.stranger().tls(tls)).unwrap().connect().await.unwrap();

        let answer = stranger.request(event("1").target_path("/signature-only")).await.unwrap();
        assert_eq!(answer.status, 200);
        let answer = stranger.request(verification().target_path("/signature-only")).await;
        assert_eq!(answer.unwrap().body, "1158201444");
        // The event last: its body is not read, so its connection is closed.
        for refused in [verification(), event("2")] {
            let answer = stranger.request(refused).await.unwrap();
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (403, &b"Forbidden"[..]));
        }
    }
    world.until_refused("certificate_missing", 4).await;
    for received in world.app.received() {
        assert_eq!(received.body, "1");
        assert_eq!(received.headers["x-hubgate-verified"], "signature");
        assert!(!received.headers.contains_key("client-cert"));
    }
    assert_eq!(world.app.received().len(), 2);
    world.until_counted("hubgate_anchor_uses_total", &[]).await;
    world.until_counted("hubgate_handshake_refusals_total", &[]).await;
}

#[tokio::test]
async fn with_a_certificate_both_are_open_and_say_what_was_proven() {
    let world = Plan::new().more(SIGNATURE_ONLY).start().await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    for path in ["/webhooks", "/signature-only"] {
        assert_eq!(meta.request(event(path).target_path(path)).await.unwrap().status, 200);
        let answer = meta.request(verification().target_path(path)).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    for received in world.app.received() {
        assert_eq!(received.headers["x-hubgate-verified"], "client-certificate, signature");
        assert!(received.headers.contains_key("client-cert"));
    }
    assert_eq!(world.app.received().len(), 2);
}

#[tokio::test]
async fn a_certificate_that_is_presented_and_not_valid_fails_the_handshake_all_the_same() {
    let world = Plan::new().more(SIGNATURE_ONLY).start().await;
    let other = Authority::root(Ca::named("another CA"));
    for (identity, alert) in [
        (other.issue(Leaf::meta()), "unknown_ca"),
        (world.meta_ca.issue(Leaf::named("evil.example")), "access_denied"),
        (world.meta_ca.issue(Leaf::meta().expired()), "certificate_expired"),
    ] {
        for tls in [Tls::Only12, Tls::Only13] {
            let message = event("{}").target_path("/signature-only");
            let error = send(world.caller(identity.clone()).tls(tls), message).await.unwrap_err();
            assert_eq!(error.tls_alert(), Some(alert), "{error:?}");
        }
    }
    world
        .until_counted(
            "hubgate_handshake_refusals_total",
            &[
                ("reason=\"certificate_expired\"", 2),
                ("reason=\"name_mismatch\"", 2),
                ("reason=\"unknown_anchor\"", 2),
            ],
        )
        .await;
    world.until_counted("hubgate_requests_total", &[]).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn verification_requests_alone_may_come_without_a_certificate() {
    let world = Plan::new().webhook("verification_client_certificate = \"none\"").start().await;
    let stranger = Sender::new(world.stranger()).unwrap().connect().await.unwrap();

    assert_eq!(stranger.request(verification()).await.unwrap().body, "1158201444");
    assert_eq!(stranger.request(event("{}")).await.unwrap().status, 403);

    world.until_refused("certificate_missing", 1).await;
    world.assert_application_untouched();
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
}

#[tokio::test]
async fn events_alone_may_come_without_a_certificate() {
    let world = Plan::new()
        .webhook("client_certificate = \"none\"")
        .webhook("verification_client_certificate = \"required\"")
        .start()
        .await;
    let stranger = Sender::new(world.stranger()).unwrap().connect().await.unwrap();

    assert_eq!(stranger.request(event("{}")).await.unwrap().status, 200);
    assert_eq!(stranger.request(verification()).await.unwrap().status, 403);

    world.until_refused("certificate_missing", 1).await;
    world.until_counted("hubgate_verifications_total", &[]).await;
    assert_eq!(send(world.meta(), verification()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_certificate_is_asked_for_if_any_webhook_wants_one_and_else_not() {
    let world = Plan::new().more(SIGNATURE_ONLY).start().await;
    let stranger = Sender::new(world.stranger()).unwrap();
    stranger.connect().await.unwrap();
    assert!(stranger.certificate_was_requested());

    let text = std::fs::read_to_string(world.config_file()).unwrap();
    let (before, rest) = text.split_once("[client_certificate]").unwrap();
    let (_, after) = rest.split_once("[limits]").unwrap();
    std::fs::write(world.config_file(), format!("{before}[limits]{after}")).unwrap();
    world
        .edit_config("path = \"/webhooks\"", "path = \"/webhooks\"\nclient_certificate = \"none\"");
    world.reload();

    let stranger = Sender::new(world.stranger()).unwrap();
    assert_eq!(stranger.send(event("{}")).await.unwrap().status, 200);
    assert!(!stranger.certificate_was_requested());
}

/// Signature-only is no way around: what proves there is still the signature.
#[tokio::test]
async fn without_certificate_and_signature_nothing_is_open() {
    let world = Plan::new().more(SIGNATURE_ONLY).start().await;
    let forged = Message::event("another secret", "{}").target_path("/signature-only");
    assert_eq!(send(world.stranger(), forged).await.unwrap().status, 403);
    let token = Message::verification("another token", "1").target_path("/signature-only");
    assert_eq!(send(world.stranger(), token).await.unwrap().status, 403);
    World::assert_application_untouched(&world);
}
