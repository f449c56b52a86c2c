//! Parked connections: they give back their buffers while they are idle, and are as good as new
//! afterwards.
//!
//! When a connection is parked cannot be seen from outside. So each test has a witness beside it: a
//! connection that becomes idle later, and whose parking is counted.

use std::time::Duration;

use hubgate_testkit::sender::{Connection, Http, Sender};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::backend::Backend;
use crate::harness::raw::{Raw, signed_event};
use crate::harness::world::event;
use crate::harness::{Plan, World};
use crate::waiting::PATIENCE;

/// That of every world.
const PARK_AFTER: Duration = Duration::from_millis(50);

async fn connect(world: &World, http: Http) -> Connection {
    Sender::new(world.meta().http(http)).unwrap().connect().await.unwrap()
}

/// Waits until a connection that became idle just now is parked, and of those before it `others`.
async fn until_parked(world: &World, others: f64) -> Connection {
    let witness = connect(world, Http::One).await;
    assert_eq!(witness.request(event("witness")).await.unwrap().status, 200);
    // Not to take one that should not have parked for the witness, which parks later.
    tokio::time::sleep(2 * PARK_AFTER).await;
    world.until_metric("hubgate_connections_parked", others + 1.0).await;
    witness
}

/// Waits for the close_notify alert: without it, the end of the stream is a read error.
async fn until_close_notify(stream: &mut (impl AsyncRead + Unpin)) {
    let mut nothing = [0; 64];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut nothing)).await;
    assert_eq!(read.expect("must be closed").unwrap(), 0);
}

#[tokio::test]
async fn a_connection_that_was_parked_is_as_good_as_new() {
    let world = World::start().await;
    let never_used = connect(&world, Http::One).await;
    let used = connect(&world, Http::One).await;
    assert_eq!(used.request(event("1")).await.unwrap().status, 200);
    let _witness = until_parked(&world, 2.0).await;

    for connection in [&never_used, &used] {
        assert_eq!(connection.request(event("2")).await.unwrap().status, 200);
    }

    // And they are parked again.
    world.until_metric("hubgate_connections_parked", 3.0).await;
    assert_eq!(used.request(event("3")).await.unwrap().status, 200);
    assert_eq!(world.app.received().len(), 5);
    assert_eq!(world.metric("hubgate_connections_open"), 3.0);
}

#[tokio::test]
async fn a_parked_connection_is_closed_gracefully_when_draining_begins() {
    let world = Plan::new().server("drain_timeout_ms = 3600000").start().await;
    let (mut silent, _) = Sender::new(world.meta()).unwrap().handshake().await.unwrap();
    let _witness = until_parked(&world, 1.0).await;

    world.proxy.drain();

    until_close_notify(&mut silent).await;
    world.until_metric("hubgate_connections_open", 0.0).await;
    assert_eq!(world.metric("hubgate_connections_parked"), 0.0);
}

#[tokio::test]
async fn a_parked_connection_is_closed_gracefully_when_it_was_idle_for_too_long() {
    let world = Plan::new()
        .limit("keep_alive_timeout_ms = 600")
        .limit("header_timeout_ms = 1000")
        .intervals(|intervals| intervals.linger = Duration::from_millis(50))
        .start()
        .await;
    // Before its first request it has the time of headers, and the other one the idle time.
    let (mut silent, _) = Sender::new(world.meta()).unwrap().handshake().await.unwrap();
    let mut used = Raw::connect(world.meta()).await;
    used.send(signed_event(b"{}")).await;
    assert_eq!(used.answer().await.status, 200);

    world.until_metric("hubgate_connections_parked", 2.0).await;

    used.until_closed().await;
    until_close_notify(&mut silent).await;
    world.until_metric("hubgate_connections_open", 0.0).await;
}

#[tokio::test]
async fn a_caller_that_disconnects_while_its_connection_is_parked_is_noticed() {
    let world = World::start().await;
    let (mut polite, _) = Sender::new(world.meta()).unwrap().handshake().await.unwrap();
    let (rude, _) = Sender::new(world.meta()).unwrap().handshake().await.unwrap();
    let _witness = until_parked(&world, 2.0).await;

    polite.shutdown().await.unwrap();
    drop(rude);

    world.until_metric("hubgate_connections_open", 1.0).await;
    world.until_metric("hubgate_connections_parked", 1.0).await;
}

#[tokio::test]
async fn half_a_request_behind_another_is_kept_and_must_be_whole_in_time() {
    let world = Plan::new().limit("header_timeout_ms = 60000").start().await;
    let next = signed_event(b"next");
    let (half, rest) = next.split_at(20);
    let mut raw = Raw::connect(world.meta()).await;
    raw.send([&signed_event(b"first"), half].concat()).await;
    assert_eq!(raw.answer().await.status, 200);
    // A connection with a request that has begun is not parked.
    let _witness = until_parked(&world, 0.0).await;

    raw.send(rest).await;

    assert_eq!(raw.answer().await.status, 200);
    let bodies: Vec<_> = world.app.received().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, ["first", "witness", "next"]);

    let world = Plan::new().limit("header_timeout_ms = 100").start().await;
    let mut slow = Raw::connect(world.meta()).await;
    slow.send([&signed_event(b"first"), half].concat()).await;
    assert_eq!(slow.answer().await.status, 200);
    slow.until_closed().await;
}

#[tokio::test]
async fn an_answer_that_its_caller_takes_its_time_with_is_whole() {
    const LENGTH: usize = 4 * 1024 * 1024;
    let backend = Backend::answering(|body| match body {
        b"witness" => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        _ => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n");
            [head.as_bytes(), &[b'x'; LENGTH]].concat()
        }
    })
    .await;
    let plan = Plan::new().upstream_url(&backend.url());
    let world = plan.upstream("response_max_bytes = 8388608").start().await;
    let mut raw = Raw::connect(world.meta()).await;
    raw.send(signed_event(b"large")).await;
    backend.until_seen(1).await;

    // More is on its way than sockets hold, and nobody reads.
    let _witness = until_parked(&world, 0.0).await;

    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.body.len()), (200, LENGTH));
}

#[tokio::test]
async fn http2_keeps_its_state() {
    let world = World::start().await;
    let two = connect(&world, Http::Two).await;
    assert_eq!(two.request(event("1")).await.unwrap().status, 200);

    let _witness = until_parked(&world, 0.0).await;

    assert_eq!(two.request(event("2")).await.unwrap().status, 200);
}
