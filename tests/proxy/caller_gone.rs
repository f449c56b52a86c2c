//! A caller that disconnects: before the event is proven, and while the backend works on it.

use std::sync::Arc;

use hubgate_testkit::sender::{Ending, Framing, Http, Sender};
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::harness::backend::{Backend, OK};
use crate::harness::world::{PATH, event};
use crate::harness::{Plan, World};

#[tokio::test]
async fn a_proven_event_is_delivered_whole_although_its_caller_hangs_up_meanwhile() {
    for http in [Http::One, Http::Two] {
        let (backend, release) = reading_on_permit().await;
        let plan = Plan::new().upstream_url(&backend.url()).limit("body_max_bytes = 16000000");
        let world = plan.start().await;
        let connection = Sender::new(world.meta().http(http)).unwrap().connect().await.unwrap();
        // More than the kernel holds: its end is still with the proxy when the caller goes.
        let body = vec![b'x'; 12_000_000];
        let event = event(body.clone());
        let request = tokio::spawn(async move { connection.request(event).await });
        world.until_metric(VERIFIED, 1.0).await;
        assert!(backend.seen().is_empty());

        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        world.until_metric("hubgate_connections_open", 0.0).await;
        // The request's record is closed, its delivery is not.
        world.until_metric(REQUESTS, 1.0).await;
        assert_eq!(world.metric("hubgate_requests_in_flight"), 1.0, "{http:?}");
        assert_eq!(world.metric("hubgate_body_memory_bytes"), 12_000_000.0, "{http:?}");
        release.add_permits(1);

        backend.until_seen(1).await;
        assert_eq!(backend.bodies(), [body], "{http:?}");
        world.until_metric("hubgate_requests_in_flight", 0.0).await;
        world.until_metric("hubgate_body_memory_bytes", 0.0).await;
        assert_eq!(world.metric("hubgate_upstream_connects_total{upstream=\"app\"}"), 1.0);
    }
}

#[tokio::test]
async fn the_connection_of_a_delivery_without_its_caller_is_used_again() {
    let (backend, release) = reading_on_permit().await;
    let world = Plan::new().upstream_url(&backend.url()).start().await;
    let sender = Sender::new(world.meta()).unwrap();
    let connection = sender.connect().await.unwrap();
    let request = tokio::spawn(async move { connection.request(event("1")).await });
    world.until_metric(VERIFIED, 1.0).await;
    request.abort();
    world.until_metric("hubgate_connections_open", 0.0).await;
    release.add_permits(2);
    world.until_metric("hubgate_requests_in_flight", 0.0).await;

    assert_eq!(sender.send(event("2")).await.unwrap().status, 200);

    let seen: Vec<_> = backend.seen().into_iter().map(|s| (s.body, s.connection)).collect();
    assert_eq!(seen, [("1".into(), 0), ("2".into(), 0)]);
}

#[tokio::test]
async fn a_caller_that_breaks_off_within_the_body_leaves_nothing_at_the_application() {
    let world = World::start().await;
    let mut breaking = JoinSet::new();
    for http in [Http::One, Http::Two] {
        for framing in [Framing::ContentLength, Framing::Chunked] {
            for sent in [0, 1, 70_000] {
                let sender = Sender::new(world.meta().http(http)).unwrap();
                let body = vec![b'x'; 100_000];
                let message = event(body).framing(framing).ending(Ending::BrokenOff(sent));
                breaking.spawn(async move {
                    let connection = sender.connect().await.unwrap();
                    // HTTP/1.1 closes the connection, HTTP/2 resets the stream.
                    let _no_answer = connection.request(message).await.map(|answer| answer.status);
                });
            }
        }
    }
    let broken = breaking.join_all().await.len();
    world.until_metric("hubgate_requests_in_flight", 0.0).await;
    world.until_metric("hubgate_body_memory_bytes", 0.0).await;
    world.until_metric("hubgate_connections_open", 0.0).await;
    assert!(world.app.received().is_empty());
    assert_eq!(world.metric(VERIFIED), 0.0);
    assert!(world.metric(REQUESTS) <= broken as f64);
}

#[tokio::test]
async fn half_a_close_or_a_reset_at_any_moment_leaks_no_connection_and_no_memory() {
    let (backend, release) = reading_on_permit().await;
    release.add_permits(1000);
    let world = Plan::new().upstream_url(&backend.url()).start().await;
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n");
    let signed = format!("{head}X-Hub-Signature-256: sha256={}\r\n\r\n", "0".repeat(64));
    let moments = ["", "POST", &head, &signed, &format!("{signed}half a body")];

    for is_reset in [false, true] {
        // Before TLS, and within it.
        for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
            let address = world.proxy.addresses()[0];
            let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
            socket.write_all(bytes).await.unwrap();
            world.until_metric("hubgate_connections_open", 1.0).await;
            leave(socket, is_reset, &world).await;
        }
        for bytes in moments {
            let (mut tls, _) = Sender::new(world.meta()).unwrap().handshake().await.unwrap();
            tls.write_all(bytes.as_bytes()).await.unwrap();
            tls.flush().await.unwrap();
            leave(tls.into_inner().0, is_reset, &world).await;
        }
    }
    assert!(backend.seen().is_empty());
    assert_eq!(world.metric(VERIFIED), 0.0);
}

/// Resets the connection, or closes the sending half of it; either must be the end of it.
async fn leave(mut socket: tokio::net::TcpStream, is_reset: bool, world: &World) {
    if is_reset {
        SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(socket);
    } else {
        socket.shutdown().await.unwrap();
    }
    for level in ["connections_open", "requests_in_flight", "body_memory_bytes"] {
        world.until_metric(&format!("hubgate_{level}"), 0.0).await;
    }
}

/// A backend that reads and answers one event for each permit.
async fn reading_on_permit() -> (Backend, Arc<Semaphore>) {
    let release = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&release);
    let backend = Backend::scripted(move |mut hop| {
        let permits = Arc::clone(&permits);
        async move {
            loop {
                permits.acquire().await.unwrap().forget();
                if hop.request().await.is_none() {
                    return;
                }
                hop.write(OK).await;
            }
        }
    })
    .await;
    (backend, release)
}

const VERIFIED: &str = "hubgate_events_verified_total{route=\"/webhooks\"}";
const REQUESTS: &str = "hubgate_requests_total{route=\"/webhooks\"}";
