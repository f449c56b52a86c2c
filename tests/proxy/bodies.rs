//! Bodies: whole, identical, within their limits, and never before they are proven.

use std::time::Duration;

use bytes::Bytes;
use hubgate_testkit::sender::{Ending, Framing, Http, Message, Sender};

use crate::harness::raw::{Raw, signed_event, signed_head};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

const MIB: usize = 1024 * 1024;

/// Bytes in which a lost, doubled or moved piece shows.
fn body(length: usize) -> Bytes {
    (0..=250).cycle().take(length).collect::<Vec<u8>>().into()
}

#[tokio::test]
async fn bodies_of_every_size_arrive_identical_however_they_are_sent() {
    let world = World::start().await;
    for length in [0, 1024, MIB, 3 * MIB, 4 * MIB] {
        let body = body(length);
        let message = event(body.clone());
        for http in [Http::One, Http::Two] {
            let meta = Sender::new(world.meta().http(http)).unwrap().connect().await.unwrap();
            for framing in [Framing::ContentLength, Framing::Chunked] {
                let at_once = message.clone().framing(framing);
                let piece = length.div_ceil(20).max(1);
                let in_dribbles = at_once.clone().in_pieces(piece, Duration::from_millis(1));
                for message in [at_once, in_dribbles] {
                    let before = world.app.received().len();
                    let answer = meta.request(message).await.unwrap();
                    assert_eq!(answer.status, 200, "{length} {http:?} {framing:?}");
                    let received = world.app.received();
                    assert_eq!(received.len(), before + 1);
                    let received = received.last().unwrap();
                    assert!(received.body == body, "{length} {http:?} {framing:?}");
                    assert_eq!(received.headers["content-length"], length.to_string());
                    assert!(!received.headers.contains_key("transfer-encoding"));
                }
            }
        }
    }
    world.until_metric("hubgate_body_memory_bytes", 0.0).await;
}

#[tokio::test]
async fn one_byte_more_than_the_limit_is_refused_however_it_is_sent() {
    let world = World::start().await;
    let message = event(body(4 * MIB + 1));
    let mut refused = 0;
    for http in [Http::One, Http::Two] {
        for framing in [Framing::ContentLength, Framing::Chunked] {
            let answer = send(world.meta().http(http), message.clone().framing(framing)).await;
            let answer = answer.unwrap();
            assert_eq!(
                (answer.status.as_u16(), &answer.body[..]),
                (413, &b"Payload Too Large"[..])
            );
            refused += 1;
        }
    }
    world.until_refused("body_too_large", refused).await;
    world.until_metric("hubgate_body_memory_bytes", 0.0).await;
    world.assert_application_untouched();
}

/// Everything but the last byte is here, in memory, and hashed; the application has not so much as
/// a connection.
#[tokio::test]
async fn the_application_hears_nothing_of_an_event_before_its_last_byte() {
    let world = World::start().await;
    for framing in ["content-length: 300000\r\n", "transfer-encoding: chunked\r\n"] {
        let is_chunked = framing.starts_with('t');
        let body = body(300_000);
        let (most, last) = body.split_at(body.len() - 1);
        let mut raw = Raw::connect(world.meta()).await;
        raw.send(signed_head(&body, framing)).await;
        if is_chunked {
            raw.send(format!("{:x}\r\n", most.len())).await;
        }
        raw.send(most).await;
        world.until_held(299_999).await;
        if !is_chunked {
            world.assert_application_untouched();
        }
        let before = world.app.received().len();
        assert_eq!(before, usize::from(is_chunked));

        if is_chunked {
            raw.send("\r\n1\r\n").await;
        }
        raw.send(last).await;
        if is_chunked {
            // The body ends with its last chunk, not with its last byte.
            world.until_held(300_000).await;
            assert_eq!(world.app.received().len(), before);
            raw.send("\r\n0\r\n\r\n").await;
        }

        assert_eq!(raw.answer().await.status, 200);
        let received = world.app.received();
        assert_eq!(received.len(), before + 1);
        assert_eq!(received[before].body, body);
    }
}

#[tokio::test]
async fn a_forged_event_is_received_whole_and_reaches_nobody() {
    let world = World::start().await;
    let mut forged = signed_event(&body(MIB));
    *forged.last_mut().unwrap() ^= 1;
    let mut raw = Raw::connect(world.meta()).await;
    raw.send(forged).await;
    assert_eq!(raw.answer().await.status, 403);
    world.until_refused("signature_mismatch", 1).await;
    world.until_metric("hubgate_received_bytes_total{route=\"/webhooks\"}", MIB as f64).await;
    world.assert_application_untouched();
}

/// A kernel that resets a connection with unread bytes throws away the answer with it.
#[tokio::test]
async fn a_sender_that_does_not_stop_sending_can_read_that_it_was_too_much() {
    let world = World::start().await;
    let body = body(6 * MIB);
    for framing in ["content-length: 6291456\r\n", "transfer-encoding: chunked\r\n"] {
        let mut raw = Raw::connect(world.meta()).await;
        raw.send(signed_head(&body, framing)).await;
        for piece in body.chunks(64 * 1024) {
            if framing.starts_with('t') {
                raw.send(format!("{:x}\r\n", piece.len())).await;
            }
            raw.send(piece).await;
            if framing.starts_with('t') {
                raw.send("\r\n").await;
            }
        }
        let answer = raw.answer().await;
        assert_eq!(answer.status, 413);
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        raw.until_closed().await;
    }
    world.until_refused("body_too_large", 2).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn a_sender_that_asks_is_told_to_continue_when_its_body_is_going_to_be_read() {
    let world = World::start().await;
    let mut raw = Raw::connect(world.meta()).await;
    for _ in 0..2 {
        raw.send(signed_head(b"{}", "content-length: 2\r\nexpect: 100-continue\r\n")).await;
        assert_eq!(raw.answer().await.status, 100);
        raw.send("{}").await;
        assert_eq!(raw.answer().await.status, 200);
    }
    assert_eq!(world.app.received().len(), 2);
}

#[tokio::test]
async fn a_sender_that_asks_is_not_told_to_continue_when_it_is_refused_anyway() {
    let world = World::start().await;
    let expect = "content-length: 2\r\nexpect: 100-continue\r\n";
    let signed = signed_head(b"{}", expect);
    let unsigned = format!("POST /webhooks HTTP/1.1\r\nhost: x\r\n{expect}\r\n");
    let too_long = signed.replace("content-length: 2", "content-length: 4194305");
    let no_route = signed.replace("/webhooks", "/elsewhere");
    let malformed = signed.replace("sha256=", "sha512=");
    let put = signed.replace("POST", "PUT");
    for (head, status) in
        [(unsigned, 403), (malformed, 403), (too_long, 413), (no_route, 404), (put, 405)]
    {
        let mut raw = Raw::connect(world.meta()).await;
        raw.send(&head).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, status, "{head}");
        // It may not know whether to send the body; so this connection is over.
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        raw.until_closed().await;
    }
    world.assert_application_untouched();
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_is_refused_and_forgotten() {
    let world = Plan::new().limit("body_timeout_ms = 200").start().await;
    for http in [Http::One, Http::Two] {
        let stalled = event(body(1000)).ending(Ending::Stalled(900));
        let answer = send(world.meta().http(http), stalled).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (408, &b"Request Timeout"[..]));
    }
    // Slow is not late: each byte may take its time as long as all of them are in time.
    let slow = event(body(10)).in_pieces(1, Duration::from_millis(2));
    assert_eq!(send(world.meta(), slow).await.unwrap().status, 200);
    world.until_refused("body_timeout", 2).await;
    world.until_metric("hubgate_body_memory_bytes", 0.0).await;
    assert_eq!(world.app.only().body, body(10));
}

#[tokio::test]
async fn a_body_that_breaks_off_reaches_nobody() {
    let world = World::start().await;
    for framing in ["content-length: 1000\r\n", "transfer-encoding: chunked\r\n"] {
        let mut raw = Raw::connect(world.meta()).await;
        raw.send(signed_head(&body(1000), framing)).await;
        if framing.starts_with('t') {
            raw.send("3e8\r\n").await;
        }
        raw.send(&body(900)).await;
        world.until_held(900).await;
        drop(raw);
        world.until_metric("hubgate_body_memory_bytes", 0.0).await;
    }
    let breaking = [Framing::ContentLength, Framing::Chunked].map(|framing| {
        let broken = event(body(1000)).framing(framing).ending(Ending::BrokenOff(900));
        tokio::spawn(send(world.meta().http(Http::Two), broken))
    });
    for broken in breaking {
        broken.await.unwrap().expect_err("it broke off itself");
    }
    world.until_refused("body_broken", 4).await;
    world.until_metric("hubgate_body_memory_bytes", 0.0).await;
    world.until_metric("hubgate_requests_in_flight", 0.0).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn an_event_that_finds_no_memory_is_put_off_and_let_in_once_there_is() {
    let world =
        Plan::new().limit("body_max_bytes = 1000").limit("body_memory_bytes = 2000").start().await;
    let meta = Sender::new(world.meta()).unwrap();
    let (first, second) = (meta.connect().await.unwrap(), meta.connect().await.unwrap());
    // The memory for all of it is taken with its first byte.
    let held = first.request(event(body(1000)).ending(Ending::Stalled(800)));
    let short = second.request(event(body(500)).ending(Ending::Stalled(400)));
    let other = async {
        world.until_held(1500).await;
        let answer = meta.send(event(body(1000))).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (503, &b"Service Unavailable"[..]));
        // Another that fits into what is left.
        assert_eq!(meta.send(event(body(500))).await.unwrap().status, 200);
    };
    tokio::select! {
        answer = held => panic!("must hang: {answer:?}"),
        answer = short => panic!("must hang: {answer:?}"),
        () = other => {}
    }
    drop((first, second));
    world.until_metric("hubgate_body_memory_bytes", 0.0).await;
    assert_eq!(meta.send(event(body(1000))).await.unwrap().status, 200);
    world.until_refused("body_memory_exhausted", 1).await;
    assert_eq!(world.app.received().len(), 2);
}

#[tokio::test]
async fn events_beyond_what_may_be_in_flight_are_put_off() {
    let world = Plan::new().limit("requests_in_flight = 1").start().await;
    let meta = Sender::new(world.meta()).unwrap();
    let holder = meta.connect().await.unwrap();
    let held = holder.request(event(body(1000)).ending(Ending::Stalled(800)));
    let other = async {
        world.until_metric("hubgate_requests_in_flight", 1.0).await;
        assert_eq!(meta.send(event("{}")).await.unwrap().status, 503);
    };
    tokio::select! {
        answer = held => panic!("must hang: {answer:?}"),
        () = other => {}
    }
    world.until_refused("too_many_requests", 1).await;
    world.assert_application_untouched();
    drop(holder);
    world.until_metric("hubgate_requests_in_flight", 0.0).await;
    assert_eq!(meta.send(event("{}")).await.unwrap().status, 200);
}

/// Trailers come after the bytes that were signed.
#[tokio::test]
async fn trailers_are_no_part_of_an_event() {
    let world = World::start().await;
    let mut raw = Raw::connect(world.meta()).await;
    raw.send(signed_head(b"{}", "transfer-encoding: chunked\r\ntrailer: x-late\r\n")).await;
    raw.send("2\r\n{}\r\n0\r\nx-late: 1\r\nx-hubgate-verified: forged\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 200);
    let received = world.app.only();
    assert_eq!(received.body, "{}");
    assert!(!received.headers.contains_key("x-late"));
    assert_eq!(received.headers["x-hubgate-verified"], "client-certificate, signature");
    let unsigned = Message::unsigned_event("{}");
    assert_eq!(send(world.meta(), unsigned).await.unwrap().status, 403);
}
