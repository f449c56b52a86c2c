//! How many connections the backend gets at once, and who waits for one.

use std::sync::Arc;

use hubgate_testkit::sender::{Answer, SendError};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::harness::backend::{Backend, OK};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

#[tokio::test]
async fn an_event_above_the_connection_limit_waits_and_is_then_served_on_the_same_connection() {
    let (backend, release) = held().await;
    let world = before(&backend, "timeout_ms = 60000").await;

    let first = send_in_background(&world, "1");
    backend.until_seen(1).await;
    let second = send_in_background(&world, "2");
    world.until_metric("hubgate_requests_in_flight", 2.0).await;
    assert_eq!(backend.bodies(), ["1"]);
    release.add_permits(2);

    assert_eq!(first.await.unwrap().unwrap().status, 200);
    assert_eq!(second.await.unwrap().unwrap().status, 200);
    let seen: Vec<_> = backend.seen().into_iter().map(|s| (s.body, s.connection)).collect();
    assert_eq!(seen, [("1".into(), 0), ("2".into(), 0)]);
    assert_eq!(world.metric("hubgate_upstream_connects_total{upstream=\"app\"}"), 1.0);
    world.until_metric("hubgate_requests_in_flight", 0.0).await;
}

#[tokio::test]
async fn an_event_that_waits_for_a_connection_past_the_deadline_is_a_504() {
    let (backend, _release) = held().await;
    let world = before(&backend, "connect_timeout_ms = 300\ntimeout_ms = 300").await;

    let first = send_in_background(&world, "1");
    backend.until_seen(1).await;
    let second = send_in_background(&world, "2");

    assert_eq!(first.await.unwrap().unwrap().status, 504);
    let second = second.await.unwrap().unwrap();
    assert_eq!(second.status, 504);
    // Its own deadline ran while it waited: not that one and another after it.
    assert!(second.elapsed.as_millis() < 2 * 300 + 200, "{:?}", second.elapsed);
    world.until_refused("upstream_timeout", 2).await;
    world.until_metric("hubgate_requests_in_flight", 0.0).await;
    world.until_metric("hubgate_body_memory_bytes", 0.0).await;
}

#[tokio::test]
async fn one_event_above_the_limit_of_requests_is_a_503_and_never_reaches_the_backend() {
    let (backend, release) = held().await;
    let plan = Plan::new().upstream_url(&backend.url()).limit("requests_in_flight = 1");
    let world = plan.upstream("timeout_ms = 60000").start().await;

    let first = send_in_background(&world, "1");
    backend.until_seen(1).await;
    assert_eq!(send(world.meta(), event("2")).await.unwrap().status, 503);
    world.until_refused("too_many_requests", 1).await;
    release.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap().status, 200);

    // The place is free again.
    assert_eq!(send(world.meta(), event("3")).await.unwrap().status, 200);
    assert_eq!(backend.bodies(), ["1", "3"]);
}

/// A backend that reads each event at once and answers one for each permit.
async fn held() -> (Backend, Arc<Semaphore>) {
    let release = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&release);
    let backend = Backend::scripted(move |mut hop| {
        let permits = Arc::clone(&permits);
        async move {
            while hop.request().await.is_some() {
                permits.acquire().await.unwrap().forget();
                hop.write(OK).await;
            }
        }
    })
    .await;
    (backend, release)
}

/// A world that may have one connection to this backend.
async fn before(backend: &Backend, setting: &str) -> World {
    let plan = Plan::new().upstream_url(&backend.url());
    plan.upstream("connections = 1").upstream(setting).start().await
}

fn send_in_background(world: &World, body: &'static str) -> JoinHandle<Result<Answer, SendError>> {
    tokio::spawn(send(world.meta(), event(body)))
}
