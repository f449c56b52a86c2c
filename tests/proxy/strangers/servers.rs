//! Servers of upstreams, and connections to them: what strangers do to none of them.

use http::Method;
use hubgate_testkit::sender::{Http, Message, Sender};

use super::{SITE, answering_events_alone, assert_events_pass, get};
use crate::harness::backend::{Backend, Hop};
use crate::harness::world::send;
use crate::harness::{Plan, operator};

#[tokio::test]
async fn callers_that_leave_a_site_do_not_speak_against_its_server() {
    let backend = answering_events_alone().await;
    let plan = Plan::new().more(SITE).upstream_url(&backend.url());
    let world = plan.start().await;
    for _ in 0..9 {
        let browser = Sender::new(world.stranger()).unwrap().connect().await.unwrap();
        let left = tokio::spawn(async move { browser.request(get("/slow")).await });
        world.until_metric("hubgate_requests_in_flight", 1.0).await;
        left.abort();
        world.until_metric("hubgate_requests_in_flight", 0.0).await;
    }

    let status = operator::status(&world).await;
    assert_eq!(status["upstreams"][0]["servers"][0]["state"], "available", "{status}");
    assert_events_pass(&world).await;
}

#[tokio::test]
async fn a_slow_site_does_not_eject_the_server_for_events() {
    let backend = answering_events_alone().await;
    let plan = Plan::new().more(&format!("{SITE}timeout_ms = 20\n")).upstream_url(&backend.url());
    let world = plan.start().await;
    for _ in 0..5 {
        assert_eq!(send(world.stranger(), get("/slow")).await.unwrap().status, 504);
    }

    let status = operator::status(&world).await;
    assert_eq!(status["upstreams"][0]["servers"][0]["state"], "available", "{status}");
}

#[tokio::test]
async fn answers_without_a_body_and_with_trailers_leave_the_connection_for_the_next() {
    let backend = Backend::scripted(|mut hop: Hop| async move {
        while let Some(head) = hop.head().await {
            let answer = match head.split(' ').nth(1).unwrap() {
                "/none" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/same" => "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n",
                "/empty" => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                "/head" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
                "/trailers" => {
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                     2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n"
                }
                other => panic!("{other}"),
            };
            hop.write(answer.as_bytes()).await;
        }
    })
    .await;
    let world = Plan::new().more(SITE).upstream_url(&backend.url()).start().await;
    for http in [Http::One, Http::Two] {
        let caller = Sender::new(world.stranger().http(http)).unwrap().connect().await.unwrap();
        for (path, status) in
            [("/none", 204), ("/same", 304), ("/empty", 200), ("/head", 200), ("/trailers", 200)]
        {
            let method = if path == "/head" { Method::HEAD } else { Method::GET };
            let message = Message::new(method).target_path(path).header("te", "trailers");
            let answer = caller.request(message).await.unwrap();
            assert_eq!(answer.status, status, "{path}");
        }
    }

    let connects = "hubgate_upstream_connects_total{upstream=\"app\"}";
    assert_eq!(world.metric(connects), 1.0);
    world.until_metric("hubgate_requests_total{route=\"/\"}", 10.0).await;
}

#[tokio::test]
async fn a_refused_reload_changes_nothing_of_the_servers_health() {
    // A server that health checks found bad, and a new configuration that has none, and that
    // cannot be put in force.
    let backend = Backend::answering(|_| b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n".to_vec());
    let backend = backend.await;
    let check = "health_check = { path = \"/\", interval_ms = 20, unhealthy_after = 1 }";
    let world = Plan::new().upstream_url(&backend.url()).upstream(check).start().await;
    let healthy =
        format!("hubgate_upstream_server_healthy{{upstream=\"app\",server=\"{}\"}}", backend.url());
    world.until_metric(&healthy, 0.0).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!("listen = [\"127.0.0.1:0\", \"{}\"]", taken.local_addr().unwrap());
    world.edit_config(check, "");
    world.edit_config("listen = [\"127.0.0.1:0\"]", &more);

    world.proxy.reload_from(&world.config_file()).unwrap_err();

    let status = operator::status(&world).await;
    assert_eq!(status["upstreams"][0]["servers"][0]["state"], "unhealthy", "{status}");
}
