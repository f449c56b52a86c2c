//! Routes that pass through: everything but what could be taken for proof.

mod paths;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use hubgate_testkit::sender::{Message, Options, Sender};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::application::Application;
use crate::harness::raw::unnamed;
use crate::harness::world::{APP_SECRET, event, send};
use crate::harness::{Plan, World};

const SITE: &str = "[[site]]\nupstream = \"app\"\n";

fn get(target: &str) -> Message {
    Message::new(Method::GET).target_path(target)
}

/// Sends these bytes over TLS as they are, and reads until the other side closes.
async fn raw(options: Options, request: &str) -> String {
    let (mut stream, _) = Sender::new(unnamed(options)).unwrap().handshake().await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _closed_either_way = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_browser_without_a_certificate_reaches_a_site_and_no_webhook() {
    let world = Plan::new().more(SITE).start().await;

    let page = send(world.stranger(), get("/a/page?x=1")).await.unwrap();
    let hook = send(world.stranger(), event("{}")).await.unwrap();

    assert_eq!((page.status.as_u16(), &page.body[..]), (200, &b"ok"[..]));
    assert_eq!(hook.status, 403);
    let received = world.app.only();
    assert_eq!(received.uri, "/a/page?x=1");
    assert!(!received.headers.contains_key("x-hubgate-verified"));
    assert!(!received.headers.contains_key("client-cert"));
    world.until_refused("certificate_missing", 1).await;
}

/// An application may take what follows a body for headers, so nothing follows one.
#[tokio::test]
async fn trailers_of_a_request_tell_the_application_nothing() {
    let world = Plan::new().more(SITE).start().await;
    for more in
        ["", "Trailer: X-Hubgate-Verified\r\n", "Trailer: X-Hubgate-Verified\r\nTE: trailers\r\n"]
    {
        let request = format!(
            "POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{more}\
             Connection: close\r\n\r\n2\r\n{{}}\r\n0\r\nX-Hubgate-Verified: signature\r\n\r\n"
        );
        let answer = raw(world.stranger(), &request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let received = world.app.received().pop().unwrap();
        assert!(!received.headers.contains_key("x-hubgate-verified"));
        assert!(received.trailers.is_empty(), "{received:?}");
    }
}

#[tokio::test]
async fn a_head_keeps_the_length_of_the_body_that_it_did_not_ask_for() {
    let app = Application::answering(|received| {
        let body = if received.method == Method::HEAD { "" } else { "0123456789" };
        Response::builder().header("content-length", "10").body(Full::from(body)).unwrap()
    })
    .await;
    let world = Plan::new().more(SITE).start_before(app).await;

    let head = send(world.stranger(), Message::new(Method::HEAD).target_path("/f")).await.unwrap();

    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], "10");
}

#[tokio::test]
async fn a_body_streams_both_ways_before_it_has_ended() {
    // Answers each piece as it comes: nothing in between may wait for the end.
    let app = Application::scripted(|mut stream| async move {
        let mut buffer = [0; 4096];
        let mut seen = Vec::new();
        while !seen.ends_with(b"one") {
            let count = stream.read(&mut buffer).await.unwrap();
            seen.extend_from_slice(&buffer[..count]);
        }
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 6\r\n\r\nONE";
        stream.write_all(head.as_bytes()).await.unwrap();
        while !seen.ends_with(b"two") {
            let count = stream.read(&mut buffer).await.unwrap();
            seen.extend_from_slice(&buffer[..count]);
        }
        stream.write_all(b"TWO").await.unwrap();
    })
    .await;
    let world = Plan::new().more(SITE).start_before(app).await;
    let (mut stream, _) =
        Sender::new(unnamed(world.stranger())).unwrap().handshake().await.unwrap();

    stream.write_all(b"POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none").await.unwrap();
    until(&mut stream, "ONE").await;
    stream.write_all(b"two").await.unwrap();
    until(&mut stream, "TWO").await;
}

#[tokio::test]
async fn a_body_above_the_sites_limit_is_refused() {
    let world = Plan::new().more(&format!("{SITE}body_max_bytes = 1000\n")).start().await;
    let post = |length: usize| {
        Message::new(Method::POST).target_path("/upload").body(Bytes::from(vec![b'x'; length]))
    };

    let at_limit = send(world.stranger(), post(1000)).await.unwrap();
    let above = send(world.stranger(), post(1001)).await.unwrap();
    let chunked = post(100_000).framing(hubgate_testkit::sender::Framing::Chunked);
    let chunked = send(world.stranger(), chunked).await.unwrap();

    assert_eq!((at_limit.status.as_u16(), above.status.as_u16()), (200, 413));
    assert_eq!(chunked.status, 413);
    assert_eq!(world.app.only().body.len(), 1000);
}

#[tokio::test]
async fn a_site_that_is_too_slow_or_too_quiet_is_cut() {
    let app = Application::scripted(|mut stream| async move {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        if buffer[..count].starts_with(b"GET /quiet") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
        }
        std::future::pending::<()>().await;
    })
    .await;
    let site = format!("{SITE}timeout_ms = 50\nidle_timeout_ms = 50\n");
    let world = Plan::new().more(&site).start_before(app).await;

    assert_eq!(send(world.stranger(), get("/slow")).await.unwrap().status, 504);
    send(world.stranger(), get("/quiet")).await.expect_err("the body must break off");
}

#[tokio::test]
async fn report_only_passes_a_failed_signature_on_with_a_mark_and_enforces_the_certificate() {
    let plan = Plan::new().webhook("signature = \"report\"").more(SITE);
    let world: World = plan.start().await;
    let wrong = || Message::event("another secret", "{}");
    let without = || Message::unsigned_event("{}");

    for (message, verified) in [
        (Message::event(APP_SECRET, "{}"), "client-certificate, signature"),
        (wrong(), "client-certificate"),
        (without(), "client-certificate"),
    ] {
        assert_eq!(send(world.meta(), message).await.unwrap().status, 200);
        let received = world.app.received().pop().unwrap();
        assert_eq!(received.headers["x-hubgate-verified"], verified);
    }
    let stranger = send(world.stranger(), wrong()).await.unwrap();
    assert_eq!(stranger.status, 403);
    assert_eq!(world.app.received().len(), 3);
    let series = "hubgate_would_refuse_total{route=\"/webhooks\",reason=\"signature_mismatch\"}";
    world.until_metric(series, 1.0).await;
    let series = "hubgate_would_refuse_total{route=\"/webhooks\",reason=\"signature_missing\"}";
    world.until_metric(series, 1.0).await;
    world.until_metric("hubgate_events_verified_total{route=\"/webhooks\"}", 1.0).await;
}

async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), expected: &str) {
    let mut seen = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&seen).contains(expected) {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "closed after {:?}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..count]);
        }
    };
    let reading = tokio::time::timeout(Duration::from_secs(10), reading).await;
    assert!(reading.is_ok(), "no `{expected}` in time");
}
