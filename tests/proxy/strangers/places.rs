//! Places for connections and requests: who has which, and who gives way.

use std::sync::Arc;

use hubgate_testkit::sender::{Http, Message, Sender};
use tokio::net::{TcpSocket, TcpStream};

use super::{SITE, answering_events_alone, assert_events_pass, get};
use crate::harness::backend::{Backend, Hop, OK};
use crate::harness::raw::{Raw, unnamed, until_hung_up};
use crate::harness::websocket::{AGREED, HANDSHAKE, Shouted};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};
/// One upstream for the webhook and the site, with few connections, and one worker.
const FEW: &str = "connections = 2\nsite_connections = 2";

/// From another address of this machine than the senders' own.
async fn stranger_at(world: &World, source: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    socket.connect(world.proxy.addresses()[0]).await.unwrap()
}

#[tokio::test]
async fn silent_connections_at_the_limit_give_way_to_events() {
    // They would be gone by then, if they were not to give way.
    let plan = Plan::new().limit("connections = 50").limit("handshake_timeout_ms = 600000");
    let world = plan.start().await;
    let mut silent = Vec::new();
    for _ in 0..60 {
        silent.push(TcpStream::connect(world.proxy.addresses()[0]).await.unwrap());
    }

    assert_events_pass(&world).await;

    // The oldest went first; the limit holds.
    until_hung_up(&mut silent[0]).await;
    assert!(world.metric("hubgate_connections_open") <= 50.0);
    assert!(world.metric("hubgate_connections_evicted_total") >= 30.0);
}

#[tokio::test]
async fn connections_that_have_shaken_hands_and_say_nothing_give_way_too() {
    let plan = Plan::new().more(SITE).limit("connections = 20");
    let world = plan.start().await;
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(Raw::connect(world.stranger()).await);
    }

    assert_events_pass(&world).await;

    silent[0].until_closed().await;
    assert!(world.metric("hubgate_connections_evicted_total") >= 20.0);
}

#[tokio::test]
async fn a_proven_connection_gives_way_to_nobody() {
    let world = Plan::new().more(SITE).limit("connections = 8").start().await;
    let mut proven = Vec::new();
    for _ in 0..4 {
        proven.push(Sender::new(world.meta()).unwrap().connect().await.unwrap());
    }
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(Raw::connect(world.stranger()).await);
    }
    for connection in &proven {
        assert_eq!(connection.request(event("{}")).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_connection_without_certificate_is_proven_by_its_first_right_signature() {
    let plan = Plan::new().webhook("client_certificate = \"none\"").limit("connections = 8");
    let world = plan.start().await;
    let proven = Sender::new(world.stranger()).unwrap().connect().await.unwrap();
    assert_eq!(proven.request(event("{}")).await.unwrap().status, 200);
    let forger = Sender::new(world.stranger()).unwrap().connect().await.unwrap();
    let forged = Message::event("another secret", "{}");
    assert_eq!(forger.request(forged.clone()).await.unwrap().status, 403);

    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(Raw::connect(world.stranger()).await);
    }

    assert_eq!(proven.request(event("{}")).await.unwrap().status, 200);
    forger.request(forged).await.expect_err("gave way");
}

#[tokio::test]
async fn half_open_handshakes_give_way_to_whoever_finishes_his() {
    let world = Plan::new().limit("handshakes = 5").start().await;
    let mut half_open = Vec::new();
    for _ in 0..20 {
        half_open.push(TcpStream::connect(world.proxy.addresses()[0]).await.unwrap());
    }
    world.until_metric("hubgate_connections_evicted_total", 15.0).await;

    assert_events_pass(&world).await;

    until_hung_up(&mut half_open[0]).await;
    assert!(world.metric("hubgate_connections_open") <= 6.0);
}

#[tokio::test]
async fn one_network_has_its_share_of_connections_and_no_more() {
    let plan = Plan::new().more(SITE).limit("connections_per_network = 3");
    let world = plan.start().await;
    let options = unnamed(world.stranger());
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(Raw::over(stranger_at(&world, "127.0.0.7").await, options.clone()).await);
    }

    until_hung_up(&mut stranger_at(&world, "127.0.0.7").await).await;
    world.until_handshake_refused("network_full", 1).await;
    // Another one has its own, and so has this one again as soon as a connection of it has ended.
    let other = stranger_at(&world, "127.0.0.8").await;
    let mut other = Raw::over(other, options.clone()).await;
    other.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(other.answer().await.status, 200);
    drop(held.pop());
    world.until_metric("hubgate_connections_open", 3.0).await;
    let mut again = Raw::over(stranger_at(&world, "127.0.0.7").await, options).await;
    again.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(again.answer().await.status, 200);
}

#[tokio::test]
async fn proven_callers_and_trusted_proxies_do_not_count_against_a_network() {
    let world = Plan::new().limit("connections_per_network = 1").start().await;
    let mut proven = Vec::new();
    for _ in 0..5 {
        proven.push(Sender::new(world.meta()).unwrap().connect().await.unwrap());
    }
    let plan = Plan::new().more(SITE).limit("connections_per_network = 1");
    let world = plan.server("trusted_proxies = [\"127.0.0.1\"]").start().await;
    for _ in 0..5 {
        let connection = Sender::new(world.stranger()).unwrap().connect().await.unwrap();
        assert_eq!(connection.request(get("/")).await.unwrap().status, 200);
        std::mem::forget(connection);
    }
}

#[tokio::test]
async fn the_first_request_has_the_time_of_headers_and_no_more() {
    let world = Plan::new().more(SITE).limit("header_timeout_ms = 150").start().await;
    for http in [Http::One, Http::Two] {
        let silent = Sender::new(world.stranger().http(http)).unwrap().connect().await.unwrap();
        world.until_metric("hubgate_connections_open", 0.0).await;
        silent.request(get("/")).await.expect_err("was closed");
    }
    // Once there was one, it may rest for the time of keep-alive.
    let kept = Sender::new(world.stranger()).unwrap().connect().await.unwrap();
    assert_eq!(kept.request(get("/")).await.unwrap().status, 200);
    let mut other = Raw::connect(world.stranger()).await;
    other.until_closed().await;
    assert_eq!(kept.request(get("/")).await.unwrap().status, 200);
}

#[tokio::test]
async fn idle_websockets_take_nothing_from_events_and_have_a_limit() {
    let backend = Backend::scripted(|mut hop: Hop| async move {
        while let Some(head) = hop.head().await {
            if head.contains("sec-websocket-key") {
                hop.write(AGREED.as_bytes()).await;
                hop.shout().await;
                return;
            }
            let _body = hop.body(&head).await;
            hop.write(OK).await;
        }
    })
    .await;
    let plan = Plan::new().more(&format!("{SITE}websocket = true\n")).upstream(FEW);
    let world = plan.upstream_url(&backend.url()).limit("tunnels = 10").start().await;
    let mut tunnels = Vec::new();
    for _ in 0..10 {
        tunnels.push(Shouted::open(world.stranger()).await);
    }

    assert_events_pass(&world).await;
    assert_eq!(send(world.stranger(), get("/")).await.unwrap().status, 200);

    let mut one_more = Raw::connect(world.stranger()).await;
    one_more.send(HANDSHAKE).await;
    assert_eq!(one_more.answer().await.status, 503);
    let reason = "route=\"/\",reason=\"too_many_tunnels\"";
    world.until_metric(&format!("hubgate_refusals_total{{{reason}}}"), 1.0).await;
    // A tunnel is nobody's to take away.
    for tunnel in &mut tunnels {
        tunnel.is_alive("still there").await;
    }
    drop(tunnels);
    world.until_metric("hubgate_tunnels_open", 0.0).await;
    Shouted::open(world.stranger()).await;
}

#[tokio::test]
async fn browsers_of_a_slow_site_take_no_connection_and_no_place_of_an_event() {
    let backend = answering_events_alone().await;
    let plan = Plan::new().more(SITE).upstream(FEW).limit("site_requests_in_flight = 12");
    let world = plan.upstream_url(&backend.url()).start().await;
    let mut browsers = Vec::new();
    for _ in 0..3 {
        let options = world.stranger().http(Http::Two);
        let browser = Sender::new(options).unwrap().connect().await.unwrap();
        let browser = Arc::new(browser);
        for _ in 0..8 {
            let browser = Arc::clone(&browser);
            browsers.push(tokio::spawn(async move { browser.request(get("/slow")).await }));
        }
    }
    world.until_metric("hubgate_requests_in_flight", 12.0).await;
    let reason = "route=\"/\",reason=\"too_many_site_requests\"";
    world.until_metric(&format!("hubgate_refusals_total{{{reason}}}"), 12.0).await;

    assert_events_pass(&world).await;

    for browser in browsers {
        browser.abort();
    }
}

#[tokio::test]
async fn slow_bodies_without_proof_take_no_place_of_an_event() {
    let plan = Plan::new().more(
        "[[webhook]]\npath = \"/open\"\nupstream = \"app\"\nclient_certificate = \"none\"\n\
         app_secrets = { file = \"app-secret\" }\nverify_token = { file = \"verify-token\" }\n",
    );
    let plan = plan.limit("requests_in_flight = 4").limit("site_requests_in_flight = 4");
    let world = plan.start().await;
    let head = format!(
        "POST /open HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\
         x-hub-signature-256: sha256={}\r\n\r\n",
        "0".repeat(64)
    );
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut raw = Raw::connect(world.stranger()).await;
        raw.send(&head).await;
        slow.push(raw);
    }
    world.until_metric("hubgate_requests_in_flight", 4.0).await;
    let mut one_more = Raw::connect(world.stranger()).await;
    one_more.send(&head).await;
    assert_eq!(one_more.answer().await.status, 503);

    assert_events_pass(&world).await;
}

#[tokio::test]
async fn a_lower_limit_of_connections_is_in_force_after_a_reload() {
    let world = Plan::new().more(SITE).limit("connections = 20").start().await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(Raw::connect(world.stranger()).await);
    }
    world.edit_config("connections = 20", "connections = 4");
    world.reload();

    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);

    // Half of four may be unproven: one gave its place to the caller before he proved himself.
    world.until_metric("hubgate_connections_open", 1.0).await;
}
