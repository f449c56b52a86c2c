//! Backends that are down, slow, or break off.

use std::net::SocketAddr;
use std::time::Duration;

use hubgate_testkit::sender::{Answer, Sender};
use socket2::{Domain, Socket, Type};

use crate::harness::backend::{Backend, OK, deserted_address};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};
use crate::waiting::{PATIENCE, until_deserted};

#[tokio::test]
async fn a_backend_that_is_down_is_a_502_after_a_second_try_and_the_next_event_tries_again() {
    let url = format!("http://{}", deserted_address());
    let world = Plan::new().upstream_url(&url).start().await;

    for tries in [1.0, 2.0] {
        let answer = send(world.meta(), event("1")).await.unwrap();

        assert_eq!((answer.status.as_u16(), &answer.body[..]), (502, &b"Bad Gateway"[..]));
        assert_eq!(world.metric("hubgate_upstream_retries_total{upstream=\"app\"}"), tries);
    }
    assert_eq!(world.metric("hubgate_upstream_connects_total{upstream=\"app\"}"), 0.0);
    world.until_refused("upstream_unreachable", 2).await;
}

#[tokio::test]
async fn a_backend_that_takes_no_connection_is_a_502_after_two_connect_timeouts() {
    let full = FullQueue::new();
    let url = format!("http://{}", full.address);
    let plan = Plan::new().upstream_url(&url).upstream("connect_timeout_ms = 100");
    let world = plan.upstream("timeout_ms = 60000").start().await;

    let answer = send(world.meta(), event("1")).await.unwrap();

    assert_eq!(answer.status, 502);
    assert!(answer.elapsed >= Duration::from_millis(200), "{:?}", answer.elapsed);
    world.until_refused("upstream_unreachable", 1).await;
}

#[tokio::test]
async fn the_whole_deadline_bounds_the_connects_too() {
    let full = FullQueue::new();
    let url = format!("http://{}", full.address);
    let plan = Plan::new().upstream_url(&url).upstream("connect_timeout_ms = 150");
    let world = plan.upstream("timeout_ms = 200").start().await;

    let answer = send(world.meta(), event("1")).await.unwrap();

    assert_eq!(answer.status, 504);
    world.until_refused("upstream_timeout", 1).await;
}

#[tokio::test]
async fn a_backend_that_accepts_and_never_answers_is_a_504_at_the_deadline_and_is_hung_up_on() {
    let (told, closed) = tokio::sync::oneshot::channel();
    let mut told = Some(told);
    let backend = Backend::scripted(move |mut hop| {
        let told = told.take().unwrap();
        async move {
            hop.request().await;
            hop.until_closed().await;
            told.send(()).unwrap();
        }
    })
    .await;
    let world = before(&backend, "connect_timeout_ms = 200\ntimeout_ms = 200").await;

    let answer = send(world.meta(), event("1")).await.unwrap();

    assert_eq!((answer.status.as_u16(), &answer.body[..]), (504, &b"Gateway Timeout"[..]));
    assert!(answer.elapsed >= Duration::from_millis(200), "{:?}", answer.elapsed);
    world.until_refused("upstream_timeout", 1).await;
    tokio::time::timeout(PATIENCE, closed).await.unwrap().unwrap();
    assert_eq!(backend.bodies(), ["1"]);
}

#[tokio::test]
async fn a_backend_that_stalls_within_its_answer_is_a_504_at_the_deadline() {
    for begun in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok"] {
        let backend = Backend::scripted(move |mut hop| async move {
            hop.request().await;
            hop.write(begun.as_bytes()).await;
            hop.until_closed().await;
        })
        .await;
        let world = before(&backend, "connect_timeout_ms = 200\ntimeout_ms = 200").await;

        assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 504, "{begun}");
        assert_eq!(backend.bodies(), ["1"]);
    }
}

#[tokio::test]
async fn a_backend_that_resets_before_it_reads_is_a_502() {
    let backend = Backend::scripted(|hop| async move { hop.reset() }).await;
    let world = before(&backend, "").await;

    assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 502);
    assert!(backend.seen().is_empty());
}

#[tokio::test]
async fn an_event_that_the_backend_read_is_not_sent_again_when_the_backend_dies() {
    // Closed or reset, on a fresh connection or on one that has served before.
    for is_reset in [false, true] {
        for served_before in [0, 1] {
            let backend = Backend::scripted(move |mut hop| async move {
                for _ in 0..served_before {
                    hop.request().await;
                    hop.write(OK).await;
                }
                hop.request().await;
                if is_reset {
                    hop.reset();
                }
            })
            .await;
            let world = before(&backend, "").await;
            let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();
            for _ in 0..served_before {
                assert_eq!(meta.request(event("good")).await.unwrap().status, 200);
            }

            assert_eq!(meta.request(event("lost")).await.unwrap().status, 502);

            world.until_refused("upstream_broken", 1).await;
            let connections: Vec<_> =
                backend.seen().iter().filter(|s| s.body == "lost").map(|s| s.connection).collect();
            assert_eq!(connections, [0], "reset {is_reset}, served before {served_before}");
        }
    }
}

#[tokio::test]
async fn a_backend_that_flaps_is_served_whenever_it_is_up() {
    let mut backend = Backend::good_at("127.0.0.1:0".parse().unwrap()).await;
    let address = backend.address;
    let world = before(&backend, "").await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();

    for _ in 0..3 {
        assert_eq!(meta.request(event("up")).await.unwrap().status, 200);
        assert_eq!(backend.bodies(), ["up"]);
        drop(backend);
        until_deserted(address).await;
        assert_eq!(meta.request(event("down")).await.unwrap().status, 502);
        backend = Backend::good_at(address).await;
    }
    assert_eq!(meta.request(event("up")).await.unwrap().status, 200);
    assert_eq!(backend.bodies(), ["up"]);
}

#[tokio::test]
async fn an_answer_before_the_whole_request_is_read_is_passed_on() {
    let (answered, hold) = tokio::sync::oneshot::channel::<()>();
    let mut hold = Some(hold);
    let backend = Backend::scripted(move |mut hop| {
        let hold = hold.take();
        async move {
            hop.head().await;
            let text =
                "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig";
            hop.write(text.as_bytes()).await;
            // The socket stays open and unread for as long as the test runs.
            if let Some(hold) = hold {
                let _test_is_over = hold.await;
            }
        }
    })
    .await;
    let world = before(&backend, "timeout_ms = 20000").await;

    let answer: Answer = send(world.meta(), event(vec![b'x'; 3_000_000])).await.unwrap();

    assert_eq!((answer.status.as_u16(), &answer.body[..]), (413, &b"big"[..]));
    world.until_metric("hubgate_body_memory_bytes", 0.0).await;
    drop(answered);
}

/// A world whose upstream is this backend, with one more line of settings for it.
async fn before(backend: &Backend, setting: &str) -> World {
    Plan::new().upstream_url(&backend.url()).upstream(setting).start().await
}

/// A listening socket whose queue is full: the kernel answers no further connect.
struct FullQueue {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<Socket>,
}

impl FullQueue {
    fn new() -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        loop {
            let caller = socket();
            let connected = caller.connect_timeout(&address, Duration::from_millis(100));
            queued.push(caller);
            if connected.is_err() {
                let address = address.as_socket().unwrap();
                return Self { address, _listener: listener, _queued: queued };
            }
        }
    }
}
