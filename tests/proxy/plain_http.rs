//! Plain HTTP for trusted proxies that end TLS in front, and for nobody else.

use std::time::Duration;

use hubgate_testkit::sender::Sender;
use tokio::io::AsyncWriteExt as _;

use crate::harness::Plan;
use crate::harness::raw::{Raw, signed_head, until_hung_up};
use crate::harness::world::{event, send};

/// Plain HTTP at an address of its own, for 127.0.0.1; nobody needs a certificate.
fn plan() -> Plan {
    Plan::new()
        .server("plain_listen = [\"127.0.0.3:0\"]\ntrusted_proxies = [\"127.0.0.1\"]")
        .webhook("client_certificate = \"none\"")
}

#[tokio::test]
async fn a_trusted_proxy_brings_events_in_plain_http() {
    let world = plan().start().await;
    let mut raw = Raw::plain(world.plain("127.0.0.1").await);
    let port = world.proxy.addresses()[1].port().to_string();
    for (more, for_, proto, expected_port) in [
        ("", "127.0.0.1", "https", &*port),
        ("x-forwarded-for: 203.0.113.5\r\n", "203.0.113.5", "https", &port),
        ("x-forwarded-proto: https\r\nx-forwarded-port: 443\r\n", "127.0.0.1", "https", "443"),
        ("x-forwarded-proto: http\r\nx-forwarded-port: 80\r\n", "127.0.0.1", "http", "80"),
        ("x-forwarded-proto: evil\r\nx-forwarded-port: +80\r\n", "127.0.0.1", "https", &port),
    ] {
        raw.send(signed_head(b"{}", &format!("content-length: 2\r\n{more}"))).await;
        raw.send("{}").await;
        assert_eq!(raw.answer().await.status, 200);
        let received = world.app.received().pop().unwrap();
        assert_eq!(received.headers["x-forwarded-for"], for_, "{more}");
        assert_eq!(received.headers["x-forwarded-proto"], proto, "{more}");
        assert_eq!(received.headers["x-forwarded-port"], expected_port, "{more}");
        assert_eq!(received.headers["x-hubgate-verified"], "signature");
        assert!(!received.headers.contains_key("client-cert"));
    }
}

#[tokio::test]
async fn nobody_else_gets_an_answer_in_plain_http() {
    let plan = plan().intervals(|intervals| intervals.alert_linger = Duration::from_millis(50));
    let world = plan.start().await;
    let mut stranger = world.plain("127.0.0.2").await;
    stranger.write_all(&signed_head(b"", "content-length: 0\r\n").into_bytes()).await.unwrap();
    until_hung_up(&mut stranger).await;
    world.until_handshake_refused("plain_from_stranger", 1).await;
    world.until_metric("hubgate_connections_open", 0.0).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn what_demands_a_certificate_gets_none_in_plain_http() {
    let world = plan_that_demands().start().await;
    let mut raw = Raw::plain(world.plain("127.0.0.1").await);
    raw.send(signed_head(b"{}", "content-length: 2\r\nx-amzn-mtls-clientcert-leaf: x\r\n")).await;
    assert_eq!(raw.answer().await.status, 403);
    world.until_refused("certificate_missing", 1).await;
    world.assert_application_untouched();
}

fn plan_that_demands() -> Plan {
    Plan::new().server("plain_listen = [\"127.0.0.3:0\"]\ntrusted_proxies = [\"127.0.0.1\"]")
}

#[tokio::test]
async fn addresses_for_tls_still_speak_tls_and_say_nothing_of_the_scheme_that_is_claimed() {
    let world = plan().start().await;
    let claiming = event("{}").header("x-forwarded-proto", "http").header("x-forwarded-port", "80");
    assert_eq!(send(world.meta(), claiming).await.unwrap().status, 200);
    let received = world.app.only();
    assert_eq!(received.headers["x-forwarded-proto"], "https");
    assert_eq!(received.headers["x-forwarded-port"], world.proxy.addresses()[0].port().to_string());
    // And plain ones speak no TLS.
    let options = world.meta().address(world.proxy.addresses()[1]);
    Sender::new(options).unwrap().connect().await.unwrap_err();
    assert_eq!(world.app.received().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_is_trusted_no_more_is_asked_to_go() {
    let world = plan().start().await;
    let mut raw = Raw::plain(world.plain("127.0.0.1").await);
    raw.send(signed_head(b"", "content-length: 0\r\n")).await;
    assert_eq!(raw.answer().await.status, 200);

    world.edit_config("trusted_proxies = [\"127.0.0.1\"]", "trusted_proxies = [\"10.0.0.1\"]");
    world.reload();

    raw.until_closed().await;
    let mut stranger = world.plain("127.0.0.1").await;
    until_hung_up(&mut stranger).await;
    world.until_handshake_refused("plain_from_stranger", 1).await;
}

#[tokio::test]
async fn a_header_of_the_proxy_protocol_may_stand_before_plain_http() {
    let world = plan().server("proxy_protocol_from = [\"127.0.0.1\"]").start().await;
    for (source, is_trusted) in [("127.0.0.1", true), ("192.0.2.7", false)] {
        let mut stream = world.plain("127.0.0.1").await;
        let line = format!("PROXY TCP4 {source} 198.51.100.1 12345 443\r\n");
        stream.write_all(line.as_bytes()).await.unwrap();
        if !is_trusted {
            until_hung_up(&mut stream).await;
            continue;
        }
        let mut raw = Raw::plain(stream);
        raw.send(signed_head(b"", "content-length: 0\r\n")).await;
        assert_eq!(raw.answer().await.status, 200);
    }
    world.until_handshake_refused("plain_from_stranger", 1).await;
}
