//! How long a connection may take for what it does, and how much it may ask for.

use std::time::Duration;

use hubgate_testkit::sender::{Ending, Http, Sender};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::raw::{Raw, signed_event, until_hung_up};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

#[tokio::test]
async fn a_silent_client_is_cut_at_the_handshake_deadline() {
    let world = Plan::new().limit("handshake_timeout_ms = 100").start().await;
    let mut silent = TcpStream::connect(world.proxy.addresses()[0]).await.unwrap();
    until_hung_up(&mut silent).await;
    // A record that promises more than ever comes.
    let mut slow = TcpStream::connect(world.proxy.addresses()[0]).await.unwrap();
    slow.write_all(&[0x16, 3, 1, 1, 0, 1]).await.unwrap();
    until_hung_up(&mut slow).await;
    world.until_handshake_refused("handshake_timeout", 2).await;
    world.until_metric("hubgate_connections_open", 0.0).await;
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
}

#[tokio::test]
async fn what_is_not_tls_ends_at_once_and_harms_nobody() {
    let world = World::start().await;
    for bytes in
        [&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], b"\x17\x03\x03\x00\x02\xff\xff", &[0; 64]]
    {
        let mut stream = TcpStream::connect(world.proxy.addresses()[0]).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        until_hung_up(&mut stream).await;
    }
    drop(TcpStream::connect(world.proxy.addresses()[0]).await.unwrap());
    world.until_handshake_refused("handshake_failed", 4).await;
    world.until_metric("hubgate_connections_open", 0.0).await;
    world.assert_application_untouched();
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
}

#[tokio::test]
async fn headers_that_do_not_end_in_time_end_the_connection() {
    let world = Plan::new().limit("header_timeout_ms = 100").start().await;
    let mut stalled = Raw::connect(world.meta()).await;
    stalled.send("POST /webhooks HTTP/1.1\r\nhost:").await;
    stalled.until_closed().await;
    // A byte now and then does not buy time.
    let mut dribbling = Raw::connect(world.meta()).await;
    dribbling.send("POST /webhooks HTTP/1.1\r\nhost: x\r\nx: ").await;
    let dribble = async {
        while dribbling.try_send("x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), dribble).await.expect("must be closed");
    // Nor does a good request before.
    let mut second = Raw::connect(world.meta()).await;
    second.send(signed_event(b"{}")).await;
    assert_eq!(second.answer().await.status, 200);
    second.send("POST /web").await;
    second.until_closed().await;
    world
        .until_metric("hubgate_refusals_total{route=\"none\",reason=\"header_timeout\"}", 3.0)
        .await;
    assert_eq!(world.app.received().len(), 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_at_work_is_not() {
    // Until its first request, a connection has the time of headers in place of the idle time.
    let plan = Plan::new().limit("keep_alive_timeout_ms = 150\nheader_timeout_ms = 600");
    let world =
        plan.intervals(|intervals| intervals.linger = Duration::from_millis(50)).start().await;
    let mut never_used = Raw::connect(world.meta()).await;
    never_used.until_closed().await;
    let mut used = Raw::connect(world.meta()).await;
    used.send(signed_event(b"{}")).await;
    assert_eq!(used.answer().await.status, 200);
    used.until_closed().await;
    let http2 = Sender::new(world.meta().http(Http::Two)).unwrap().connect().await.unwrap();
    assert_eq!(http2.request(event("{}")).await.unwrap().status, 200);
    world.until_metric("hubgate_connections_open", 0.0).await;
    http2.request(event("{}")).await.expect_err("must be closed");

    // Longer than the idle time in all, never idle.
    for http in [Http::One, Http::Two] {
        let slow = event(vec![b'x'; 10]).in_pieces(1, Duration::from_millis(30));
        assert_eq!(send(world.meta().http(http), slow).await.unwrap().status, 200);
    }
    world.until_counted("hubgate_refusals_total", &[]).await;
}

#[tokio::test]
async fn the_last_request_that_a_connection_may_carry_is_answered_and_closes_it() {
    let world = Plan::new().limit("requests_per_connection = 3").start().await;
    let mut raw = Raw::connect(world.meta()).await;
    for number in 1..=3 {
        raw.send(signed_event(b"{}")).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.head.contains("connection: close"), number == 3, "{}", answer.head);
    }
    raw.until_closed().await;
    // Whatever is pipelined behind the last one is not served.
    let mut raw = Raw::connect(world.meta()).await;
    raw.send(signed_event(b"{}").repeat(5)).await;
    for _ in 0..3 {
        assert_eq!(raw.answer().await.status, 200);
    }
    raw.until_closed().await;
    assert_eq!(world.app.received().len(), 6);

    let http2 = Sender::new(world.meta().http(Http::Two)).unwrap().connect().await.unwrap();
    for _ in 0..3 {
        assert_eq!(http2.request(event("{}")).await.unwrap().status, 200);
    }
    http2.request(event("{}")).await.expect_err("must be going away");
    assert_eq!(world.app.received().len(), 9);
    world.until_metric("hubgate_connections_open", 0.0).await;
}

#[tokio::test]
async fn one_connection_more_than_the_limit_waits_and_is_served_when_there_is_room() {
    let world = Plan::new().limit("connections = 1").start().await;
    let holder = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    assert_eq!(holder.request(event("1")).await.unwrap().status, 200);
    let options = world.meta();
    let waiting = tokio::spawn(send(options, event("2")));
    world.until_metric("hubgate_connections_at_limit_total", 1.0).await;
    assert_eq!(holder.request(event("3")).await.unwrap().status, 200);
    assert!(!waiting.is_finished());
    assert_eq!(world.metric("hubgate_connections_total"), 1.0);

    holder.close().await;

    assert_eq!(waiting.await.unwrap().unwrap().status, 200);
    let bodies: Vec<_> = world.app.received().into_iter().map(|received| received.body).collect();
    assert_eq!(bodies, ["1", "3", "2"]);
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_nothing_behind() {
    let world = World::start().await;
    for http in [Http::One, Http::Two] {
        let connection = Sender::new(world.meta().http(http)).unwrap().connect().await.unwrap();
        let stalled = connection.request(event(vec![b'x'; 1000]).ending(Ending::Stalled(900)));
        tokio::select! {
            answer = stalled => panic!("must hang: {answer:?}"),
            () = world.until_held(900) => {}
        }
        drop(connection);
        world.until_metric("hubgate_body_memory_bytes", 0.0).await;
        world.until_metric("hubgate_connections_open", 0.0).await;
        world.until_metric("hubgate_requests_in_flight", 0.0).await;
    }
    world.assert_application_untouched();
}
