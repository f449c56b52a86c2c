//! Servers that are asked how they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hubgate_testkit::sender::Sender;

use crate::harness::application::Application;
use crate::harness::backend::{Backend, Hop, deserted_address};
use crate::harness::operator::status;
use crate::harness::websocket::AGREED;
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

/// An application that says how it is, and takes events either way.
struct Patient {
    application: Application,
    status: Arc<AtomicU16>,
}

impl Patient {
    async fn start(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let says = Arc::clone(&status);
        let application = Application::answering(move |received| {
            let status = match received.uri.path() {
                "/health" => StatusCode::from_u16(says.load(Ordering::Relaxed)).unwrap(),
                _ => StatusCode::OK,
            };
            Response::builder().status(status).body(Full::new(Bytes::from_static(b"ok"))).unwrap()
        })
        .await;
        Self { application, status }
    }

    fn url(&self) -> String {
        format!("http://{}", self.application.address)
    }

    fn says(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// How many events it got.
    fn events(&self) -> usize {
        let received = self.application.received();
        received.iter().filter(|received| received.uri.path() != "/health").count()
    }
}

const CHECK: &str = "health_check = { path = \"/health\", interval_ms = 10, timeout_ms = 20000 }";

/// A world whose upstream are these servers.
async fn before(urls: &[String], settings: &str) -> World {
    let world = Plan::new().upstream(settings).start().await;
    let url = format!("url = \"http://{}\"", world.app.address);
    world.edit_config(&url, &format!("servers = {urls:?}"));
    world.reload();
    world
}

async fn until_healthy(world: &World, url: &str, is_healthy: bool) {
    let series = format!("hubgate_upstream_server_healthy{{upstream=\"app\",server=\"{url}\"}}");
    world.until_metric(&series, f64::from(u8::from(is_healthy))).await;
}

async fn deliver(world: &World, times: usize) {
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    for _ in 0..times {
        assert_eq!(meta.request(event("1")).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn an_unhealthy_server_is_not_tried_until_it_is_healthy_again() {
    let (ill, well) = (Patient::start(503).await, Patient::start(204).await);
    let world = before(&[ill.url(), well.url()], CHECK).await;
    until_healthy(&world, &ill.url(), false).await;
    until_healthy(&world, &well.url(), true).await;

    deliver(&world, 20).await;
    assert_eq!((ill.events(), well.events()), (0, 20));
    let status = status(&world).await;
    let servers = &status["upstreams"][0]["servers"];
    assert_eq!(
        (&servers[0]["state"], &servers[1]["state"]),
        (&"unhealthy".into(), &"available".into())
    );

    // A redirection is an answer as good as any.
    ill.says(302);
    until_healthy(&world, &ill.url(), true).await;
    deliver(&world, 20).await;
    assert!(ill.events() > 0);
    let asked = ill.application.received();
    let asked = asked.iter().find(|received| received.uri.path() == "/health").unwrap();
    assert_eq!(asked.method, "GET");
    assert_eq!(asked.headers["host"], ill.application.address.to_string().as_str());
}

#[tokio::test]
async fn where_all_are_unhealthy_events_are_tried_all_the_same() {
    let ill = Patient::start(500).await;
    let absent = format!("http://{}", deserted_address());
    let world = before(&[absent.clone(), ill.url()], CHECK).await;
    until_healthy(&world, &ill.url(), false).await;
    until_healthy(&world, &absent, false).await;

    for _ in 0..5 {
        assert_eq!(send(world.meta(), event("1")).await.unwrap().status, 200);
    }
    assert_eq!(ill.events(), 5);
}

#[tokio::test]
async fn a_verdict_outlasts_a_reload_and_ends_with_the_checks() {
    let (ill, well) = (Patient::start(503).await, Patient::start(200).await);
    let world = before(&[ill.url(), well.url()], CHECK).await;
    until_healthy(&world, &ill.url(), false).await;

    world.edit_config("interval_ms = 10,", "interval_ms = 3600000, unhealthy_after = 1000000,");
    world.reload();
    until_healthy(&world, &ill.url(), false).await;
    deliver(&world, 10).await;
    assert_eq!(ill.events(), 0);

    world.edit_config("health_check =", "#health_check =");
    world.reload();
    deliver(&world, 10).await;
    assert!(ill.events() > 0);
    assert!(!world.proxy.metrics().contains("hubgate_upstream_server_healthy{"));
}

/// Nobody asked it for another protocol.
#[tokio::test]
async fn a_server_that_switches_protocols_at_its_health_check_is_not_healthy() {
    let backend = Backend::scripted(|mut hop: Hop| async move {
        let _head = hop.head().await;
        hop.write(AGREED.as_bytes()).await;
        hop.until_closed().await;
    })
    .await;
    let world = before(&[backend.url()], CHECK).await;
    until_healthy(&world, &backend.url(), false).await;
}
