//! Trusted proxies say in `X-Forwarded-For` who called, and nobody else can.

use hubgate_testkit::sender::{Http, Options};

use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]";

/// What the application gets as `X-Forwarded-For` of a request with these lines of it.
async fn told(world: &World, options: Options, lines: &[&str]) -> String {
    let message =
        lines.iter().fold(event("{}"), |message, line| message.header("x-forwarded-for", line));
    assert_eq!(send(options, message).await.unwrap().status, 200);
    let received = world.app.received().pop().unwrap();
    let values: Vec<_> = received.headers.get_all("x-forwarded-for").iter().collect();
    assert_eq!(values.len(), 1, "{received:?}");
    values[0].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_caller_is_the_last_untrusted_address_of_what_a_trusted_proxy_sends() {
    let world = Plan::new().server(TRUSTED).start().await;
    for http in [Http::One, Http::Two] {
        for (lines, expected) in [
            (&[][..], "127.0.0.1"),
            (&["203.0.113.5"], "203.0.113.5"),
            (&["1.1.1.1, 203.0.113.5, 10.0.0.7"], "203.0.113.5"),
            (&["1.1.1.1, 203.0.113.5", "10.0.0.7", "10.0.0.8"], "203.0.113.5"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["1.1.1.1, forged, 10.0.0.7"], "10.0.0.7"),
            (&["1.1.1.1, forged"], "127.0.0.1"),
        ] {
            let told = told(&world, world.meta().http(http), lines).await;
            assert_eq!(told, expected, "{lines:?}");
        }
    }
}

#[tokio::test]
async fn what_a_stranger_claims_is_dropped() {
    let world = Plan::new().server(TRUSTED).start().await;
    let stranger = || world.meta().source("127.0.0.2".parse().unwrap());
    for lines in [&["203.0.113.5"][..], &["10.0.0.7"], &["127.0.0.1"], &["127.0.0.1", "10.0.0.1"]] {
        assert_eq!(told(&world, stranger(), lines).await, "127.0.0.2", "{lines:?}");
    }
}

#[tokio::test]
async fn a_proxy_behind_a_balancer_is_trusted_by_the_address_in_the_proxy_header() {
    let world = Plan::new()
        .server("proxy_protocol_from = [\"127.0.0.1\"]\ntrusted_proxies = [\"10.0.0.0/8\"]")
        .start()
        .await;
    let line = |source: &str| format!("PROXY TCP4 {source} 198.51.100.1 12345 443\r\n");

    let proxy = world.meta().preamble(line("10.0.0.7"));
    assert_eq!(told(&world, proxy, &["203.0.113.5"]).await, "203.0.113.5");
    let stranger = world.meta().preamble(line("192.0.2.7"));
    assert_eq!(told(&world, stranger, &["203.0.113.5"]).await, "192.0.2.7");
}

#[tokio::test]
async fn a_reload_changes_who_is_trusted_on_connections_that_are_open() {
    let world = Plan::new().server(TRUSTED).start().await;
    let sender = hubgate_testkit::sender::Sender::new(world.meta()).unwrap();
    let connection = sender.connect().await.unwrap();
    for (is_trusted, expected) in [(true, "203.0.113.5"), (false, "127.0.0.1")] {
        if !is_trusted {
            world.edit_config(TRUSTED, "trusted_proxies = [\"10.0.0.0/8\"]");
            world.reload();
        }
        let message = event("{}").header("x-forwarded-for", "203.0.113.5");
        assert_eq!(connection.request(message).await.unwrap().status, 200);
        let received = world.app.received().pop().unwrap();
        assert_eq!(received.headers["x-forwarded-for"], expected);
    }
}
