//! The end of a proxy: what was begun is finished, nothing new is taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hubgate::app;
use hubgate::config::Config;
use hubgate::lifecycle::Intervals;
use hubgate::listener::Sockets;
use hubgate_testkit::sender::{Connection, Http, Sender};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::harness::backend::Backend;
use crate::harness::world::event;
use crate::harness::{Plan, World, operator};
use crate::waiting::{PATIENCE, comes_true, until_deserted};

#[tokio::test]
async fn every_request_that_is_in_flight_when_draining_begins_is_answered() {
    let (backend, release) = Backend::held().await;
    let plan = Plan::new().upstream_url(&backend.url()).server("workers = 2");
    let world = plan.upstream("timeout_ms = 60000").start().await;
    let mut requests = Vec::new();
    for http in [Http::One, Http::Two].into_iter().cycle().take(20) {
        let connection = connect(&world, http).await;
        requests.push(tokio::spawn(async move { connection.request(event("1")).await }));
    }
    backend.until_seen(20).await;

    world.proxy.drain();
    until_refused(&world).await;
    // Not one was cut off by the end of the listening.
    assert_eq!(world.metric("hubgate_requests_in_flight"), 20.0);
    release.add_permits(20);

    for request in requests {
        assert_eq!(request.await.unwrap().unwrap().status, 200);
    }
    until_ended(&world).await;
    assert_eq!(backend.seen().len(), 20);
    assert_eq!(world.metric("hubgate_connections_open"), 0.0);
}

#[tokio::test]
async fn under_load_every_event_that_reached_the_application_is_answered_200() {
    let world = Arc::new(Plan::new().server("workers = 2").start().await);
    let senders = [Http::One, Http::Two].into_iter().cycle().take(8).map(|http| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let sender = Sender::new(world.meta().http(http)).unwrap();
            let mut answered = 0;
            // A kept connection until it is closed, then new ones until they are refused.
            while let Ok(connection) = sender.connect().await {
                while let Ok(answer) = connection.request(event("1")).await {
                    assert_eq!(answer.status, 200);
                    answered += 1;
                }
            }
            answered
        })
    });
    let senders: Vec<_> = senders.collect();
    world.until_metric("hubgate_connections_open", 8.0).await;
    assert!(comes_true(async || world.app.received().len() >= 100).await);

    world.proxy.drain();

    let mut answered = 0;
    for sender in senders {
        answered += tokio::time::timeout(PATIENCE, sender).await.unwrap().unwrap();
    }
    until_ended(&world).await;
    assert_eq!(world.app.received().len(), answered);
}

#[tokio::test]
async fn idle_connections_are_closed_at_once_and_gracefully() {
    let world = Plan::new().server("drain_timeout_ms = 3600000").start().await;
    let (mut silent, _) = Sender::new(world.meta()).unwrap().handshake().await.unwrap();
    let one = connect(&world, Http::One).await;
    let two = connect(&world, Http::Two).await;
    for connection in [&one, &two] {
        assert_eq!(connection.request(event("1")).await.unwrap().status, 200);
    }
    assert_eq!(world.metric("hubgate_connections_open"), 3.0);

    world.proxy.drain();

    until_ended(&world).await;
    // TLS's own end, not a cut that an attacker could have made.
    assert_eq!(silent.read(&mut [0; 64]).await.unwrap(), 0);
    for connection in [one, two] {
        connection.request(event("2")).await.expect_err("must be closed");
    }
    assert_eq!(world.app.received().len(), 2);
}

#[tokio::test]
async fn an_http1_request_in_flight_is_told_that_its_connection_ends() {
    let (backend, release) = Backend::held().await;
    let world = Plan::new().upstream_url(&backend.url()).start().await;
    let connection = connect(&world, Http::One).await;
    let request = tokio::spawn(async move {
        let answer = connection.request(event("1")).await.unwrap();
        (answer, connection)
    });
    backend.until_seen(1).await;
    world.proxy.drain();
    until_refused(&world).await;
    release.add_permits(1);

    let (answer, connection) = request.await.unwrap();

    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["connection"], "close");
    connection.request(event("2")).await.expect_err("must be closed");
    until_ended(&world).await;
    assert_eq!(backend.bodies(), ["1"]);
}

#[tokio::test]
async fn an_http2_connection_finishes_its_streams_and_takes_no_other() {
    let (backend, release) = Backend::holding(b"before").await;
    let world = Plan::new().upstream_url(&backend.url()).start().await;
    let connection = Arc::new(connect(&world, Http::Two).await);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let connection = Arc::clone(&connection);
        streams.push(tokio::spawn(async move { connection.request(event("before")).await }));
    }
    backend.until_seen(5).await;
    world.proxy.drain();

    // GOAWAY arrived once the client itself refuses to open a stream.
    assert!(comes_true(async || connection.request(event("after")).await.is_err()).await);
    assert!(streams.iter().all(|stream| !stream.is_finished()));
    release.add_permits(5);

    for stream in streams {
        assert_eq!(stream.await.unwrap().unwrap().status, 200);
    }
    until_ended(&world).await;
}

#[tokio::test]
async fn the_drain_timeout_ends_what_does_not_end_by_itself() {
    let (backend, _release) = Backend::held().await;
    let plan = Plan::new().upstream_url(&backend.url()).server("drain_timeout_ms = 300");
    let world = plan.upstream("timeout_ms = 3600000").start().await;
    let connection = connect(&world, Http::One).await;
    let request = tokio::spawn(async move { connection.request(event("1")).await });
    backend.until_seen(1).await;
    // One that never shakes hands is no reason to wait either.
    let _silent = TcpStream::connect(world.proxy.addresses()[0]).await.unwrap();
    world.until_metric("hubgate_connections_open", 2.0).await;

    let began = Instant::now();
    world.proxy.drain();
    until_ended(&world).await;

    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    request.await.unwrap().expect_err("must be cut off");
    for level in ["connections_open", "requests_in_flight", "body_memory_bytes"] {
        assert_eq!(world.metric(&format!("hubgate_{level}")), 0.0, "{level}");
    }
}

#[tokio::test]
async fn a_delivery_whose_caller_is_gone_is_finished_before_the_end() {
    let (backend, release) = Backend::held().await;
    let world = Plan::new().upstream_url(&backend.url()).start().await;
    let connection = connect(&world, Http::One).await;
    let request = tokio::spawn(async move { connection.request(event("1")).await });
    backend.until_seen(1).await;
    request.abort();
    world.until_metric("hubgate_connections_open", 0.0).await;

    world.proxy.drain();
    until_refused(&world).await;
    assert_eq!(world.metric("hubgate_requests_in_flight"), 1.0);
    release.add_permits(1);

    until_ended(&world).await;
    assert_eq!(world.metric("hubgate_requests_in_flight"), 0.0);
}

#[tokio::test]
async fn the_operator_can_look_until_the_end_and_is_told_that_it_drains() {
    let (backend, release) = Backend::held().await;
    let world = Plan::new().upstream_url(&backend.url()).start().await;
    assert_eq!(operator::get(&world, "/ready").await, (200, "ready\n".to_owned()));
    let connection = connect(&world, Http::One).await;
    let request = tokio::spawn(async move { connection.request(event("1")).await });
    backend.until_seen(1).await;

    world.proxy.drain();
    until_refused(&world).await;

    let not_ready = (503, "not ready: draining\n".to_owned());
    let is_told = async || operator::try_get(&world, "/ready").await.as_ref() == Ok(&not_ready);
    assert!(comes_true(is_told).await);
    let (code, status) = operator::get(&world, "/status").await;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        (code, &status["phase"], &status["health"]),
        (200, &"draining".into(), &"red".into())
    );
    assert_eq!(status["upstreams"][0]["servers"][0]["in_flight"], 1);
    assert!(operator::get(&world, "/metrics").await.1.contains("hubgate_requests_in_flight 1\n"));
    release.add_permits(1);

    assert_eq!(request.await.unwrap().unwrap().status, 200);
    until_ended(&world).await;
    operator::try_get(&world, "/live").await.expect_err("must be gone");
}

#[tokio::test]
async fn from_the_drain_on_the_process_that_takes_over_alone_answers_the_operator() {
    let (backend, release) = Backend::held().await;
    let world = Plan::new().upstream_url(&backend.url()).start().await;
    let connection = connect(&world, Http::One).await;
    let request = tokio::spawn(async move { connection.request(event("1")).await });
    backend.until_seen(1).await;
    let [callers, admin] = [world.proxy.addresses()[0], world.proxy.admin_address().unwrap()];
    world.edit_config(
        "[admin]\nlisten = \"127.0.0.1:0\"",
        &format!("[admin]\nlisten = \"{admin}\""),
    );
    world.edit_config("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"{callers}\"]"));
    let config = Config::load(&world.config_file()).unwrap();
    let successor =
        app::start_with(config, Sockets::default().beside_another(), Intervals::default()).unwrap();

    world.proxy.drain();
    world.until_metric("hubgate_connections_open", 1.0).await;

    // The kernel would have given about half of these to each.
    let ready = async {
        let mut in_a_row = 0;
        while in_a_row < 20 {
            let is_ready =
                operator::try_get(&world, "/ready").await.is_ok_and(|(code, _)| code == 200);
            in_a_row = if is_ready { in_a_row + 1 } else { 0 };
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.unwrap();
    release.add_permits(1);
    assert_eq!(request.await.unwrap().unwrap().status, 200);
    until_ended(&world).await;
    successor.stop();
}

async fn connect(world: &World, http: Http) -> Connection {
    Sender::new(world.meta().http(http)).unwrap().connect().await.unwrap()
}

/// Waits until nobody can connect any more.
async fn until_refused(world: &World) {
    until_deserted(world.proxy.addresses()[0]).await;
}

/// Waits until no thread of the proxy runs any more.
async fn until_ended(world: &World) {
    tokio::time::timeout(PATIENCE, world.proxy.ended()).await.unwrap();
}
