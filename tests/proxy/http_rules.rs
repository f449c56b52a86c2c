//! Which requests are requests at all: hosts, targets, methods, framing.

use std::time::Duration;

use http::HeaderValue;
use hubgate_testkit::sender::{Http, Sender};

use crate::harness::raw::{Raw, signed_event, signed_head, unnamed};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

/// Sends these bytes, then an honest event on the same connection: the first answer has this
/// status (0 for none), there is no second one, and nothing reaches the application.
async fn assert_refused(world: &World, bytes: &[u8], status: u16) {
    let shown = String::from_utf8_lossy(bytes).into_owned();
    let mut raw = Raw::connect(world.meta()).await;
    raw.send(bytes).await;
    // It may be closed by now, which is as good.
    let _sent = raw.try_send(signed_event(b"smuggled")).await;
    let answer = raw.answer_or_end().await;
    assert_eq!(answer.map_or(0, |answer| answer.status), status, "{shown:?}");
    raw.until_closed().await;
    assert!(world.app.received().is_empty(), "{shown:?}");
}

fn refused(route: &str, reason: &str) -> String {
    format!("hubgate_refusals_total{{route=\"{route}\",reason=\"{reason}\"}}")
}

#[tokio::test]
async fn a_request_without_exactly_one_good_host_is_refused() {
    let world = World::start().await;
    let hosts = [
        "",
        "host: a.example\r\nhost: b.example\r\n",
        "host: a.example\r\nhost: a.example\r\n",
        "host:\r\n",
        "host: a b\r\n",
        "host: user@a.example\r\n",
        "host: a.example/webhooks\r\n",
        "host: a.example, b.example\r\n",
        "host: a.example:port\r\n",
        "host: \u{e9}.example\r\n",
    ];
    for host in hosts {
        let head =
            signed_head(b"{}", "content-length: 2\r\n").replace("host: hooks.example\r\n", host);
        assert_refused(&world, head.as_bytes(), 400).await;
    }
    world.until_metric(&refused("none", "host_invalid"), hosts.len() as f64).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn an_absolute_target_must_agree_with_the_host() {
    let world = World::start().await;
    let with_target = |target: &str| {
        let event = String::from_utf8(signed_event(b"{}")).unwrap();
        event.replacen("/webhooks", target, 1).into_bytes()
    };
    for conflict in [
        "https://other.example/webhooks",
        "https://hooks.example:444/webhooks",
        "https://user@hooks.example/webhooks",
    ] {
        let mut bytes = with_target(conflict);
        bytes.truncate(bytes.len() - 2);
        assert_refused(&world, &bytes, 400).await;
    }
    world.until_metric(&refused("none", "host_invalid"), 3.0).await;
    for agreeing in ["https://hooks.example/webhooks", "https://HOOKS.example/webhooks?x=1"] {
        let mut raw = Raw::connect(world.meta()).await;
        raw.send(with_target(agreeing)).await;
        assert_eq!(raw.answer().await.status, 200, "{agreeing}");
    }
    let targets: Vec<_> = world.app.received().iter().map(|r| r.uri.to_string()).collect();
    assert_eq!(targets, ["/webhooks", "/webhooks?x=1"]);
}

#[tokio::test]
async fn over_http_2_a_host_that_contradicts_the_authority_is_refused() {
    let world = World::start().await;
    let options = unnamed(world.meta()).http(Http::Two);
    let options = options.authority(HeaderValue::from_static("hooks.example"));
    let meta = Sender::new(options).unwrap().connect().await.unwrap();
    for (host, status) in
        [("other.example", 400), ("hooks.example:444", 400), ("hooks.example", 200)]
    {
        let answer = meta.request(event("{}").header("host", host)).await.unwrap();
        assert_eq!(answer.status, status, "{host}");
    }
    let two = event("{}").header("host", "hooks.example").header("host", "hooks.example");
    assert_eq!(meta.request(two).await.unwrap().status, 400);
    world.until_metric(&refused("none", "host_invalid"), 3.0).await;
    assert_eq!(world.app.only().headers["host"], "hooks.example");
}

#[tokio::test]
async fn a_webhook_with_a_host_takes_requests_for_that_host_only() {
    let world = Plan::new().webhook("host = \"hooks.example\"").start().await;
    for http in [Http::One, Http::Two] {
        for (host, status) in [
            ("hooks.example", 200),
            ("HOOKS.Example:8443", 200),
            ("other.example", 404),
            ("hooks.example.evil.example", 404),
            ("hooks.example.", 404),
        ] {
            let options = unnamed(world.meta()).http(http);
            let options = options.authority(HeaderValue::from_static(host));
            assert_eq!(send(options, event("{}")).await.unwrap().status, status, "{host}");
        }
    }
    world.until_metric(&refused("none", "no_route"), 6.0).await;
    assert_eq!(world.app.received().len(), 4);
}

#[tokio::test]
async fn a_path_that_is_not_the_webhooks_is_not_found() {
    let world = World::start().await;
    let others = [
        "/",
        "/webhooks/",
        "/webhooks/..",
        "/webhooks/x",
        "/Webhooks",
        "/%57ebhooks",
        "/webhooks%3Fx",
        "/webhooks;x=1",
        "/webhooks.",
        "/webhook",
        "/?/webhooks",
    ];
    for http in [Http::One, Http::Two] {
        for path in others {
            let answer = send(world.meta().http(http), event("{}").target_path(path)).await;
            let answer = answer.unwrap();
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(answer.body, "Not Found");
        }
    }
    world.until_metric(&refused("none", "no_route"), 2.0 * others.len() as f64).await;
    world.assert_application_untouched();
}

/// What an application could read as another path than we do.
#[tokio::test]
async fn a_path_that_could_be_read_in_two_ways_is_a_bad_request() {
    let world = World::start().await;
    let paths = [
        "/webhooks%2f",
        "/webhooks%252f",
        "/%2fwebhooks",
        "/webhooks%00",
        "/x/..%5cwebhooks",
        "/x/..;/webhooks",
        "/webhooks%",
        "/%zz",
    ];
    for http in [Http::One, Http::Two] {
        for path in paths {
            let answer = send(world.meta().http(http), event("{}").target_path(path)).await;
            assert_eq!(answer.unwrap().status, 400, "{path}");
        }
    }
    let asterisk = signed_head(b"", "connection: close\r\n").replacen("/webhooks", "*", 1);
    assert_refused(&world, asterisk.as_bytes(), 400).await;
    world.until_metric(&refused("none", "path_invalid"), 2.0 * paths.len() as f64 + 1.0).await;
    world.assert_application_untouched();
}

/// RFC 3986 section 6.2.2: one path, spelled in several ways; the application sees one of them.
#[tokio::test]
async fn other_spellings_of_the_webhooks_path_are_forwarded_as_configured() {
    let world = World::start().await;
    for http in [Http::One, Http::Two] {
        for (target, forwarded) in [
            ("/webhooks?x", "/webhooks?x"),
            ("/webhooks?", "/webhooks?"),
            ("/webhooks?/../?%00", "/webhooks?/../?%00"),
            ("/./webhooks", "/webhooks"),
            ("//webhooks?a=//b", "/webhooks?a=//b"),
            ("/x/../webhooks", "/webhooks"),
            ("/../webhooks", "/webhooks"),
            ("/%77ebhooks", "/webhooks"),
        ] {
            let answer = send(world.meta().http(http), event("{}").target_path(target)).await;
            assert_eq!(answer.unwrap().status, 200, "{target}");
            assert_eq!(world.app.received().pop().unwrap().uri.to_string(), forwarded);
        }
    }
}

#[tokio::test]
async fn connect_trace_and_upgrades_are_refused() {
    let world = World::start().await;
    let connect = b"CONNECT hooks.example:443 HTTP/1.1\r\nhost: hooks.example:443\r\n\r\n";
    let mut raw = Raw::connect(world.meta()).await;
    raw.send(connect).await;
    assert_eq!(raw.answer().await.status, 405);
    let mut raw = Raw::connect(world.meta()).await;
    raw.send("TRACE /webhooks HTTP/1.1\r\nhost: x\r\nx-secret: echo me\r\n\r\n").await;
    let answer = raw.answer().await;
    assert_eq!(answer.status, 405);
    assert!(!String::from_utf8_lossy(&answer.body).contains("echo me"));
    world.until_metric(&refused("none", "method_not_allowed"), 2.0).await;

    for upgrade in ["websocket", "h2c"] {
        let more = format!("connection: upgrade\r\nupgrade: {upgrade}\r\n");
        let event = signed_head(b"", &more);
        let get = event.replacen("POST", "GET", 1);
        for head in [event, get] {
            let mut raw = Raw::connect(world.meta()).await;
            raw.send(head).await;
            assert_eq!(raw.answer().await.status, 400, "{upgrade}");
        }
    }
    world.until_metric(&refused("/webhooks", "upgrade_not_allowed"), 4.0).await;
    world.assert_application_untouched();
}

/// Whatever two parsers could read in two ways is read by neither of them.
#[tokio::test]
async fn framing_that_could_be_read_in_two_ways_is_refused() {
    let world = World::start().await;
    let framings = [
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 2, 3\r\n",
        "content-length: 2, 2\r\n",
        "content-length: +2\r\n",
        "content-length: -2\r\n",
        "content-length: 0x2\r\n",
        "content-length: 2 2\r\n",
        "content-length: \r\n",
        "content-length: 18446744073709551617\r\n",
        "content-length : 2\r\n",
        " content-length: 2\r\n",
        "content-length: 2\r\n folded\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding: \"chunked\"\r\n",
        "transfer-encoding: chunked;x\r\n",
        "content-length: 2\r\ntransfer-encoding: identity\r\n",
        "x: a\rb\r\ncontent-length: 2\r\n",
        "x: a\0b\r\ncontent-length: 2\r\n",
        "x\0y: 1\r\ncontent-length: 2\r\n",
        ": 1\r\ncontent-length: 2\r\n",
    ];
    for framing in framings {
        let mut bytes = signed_head(b"{}", framing).into_bytes();
        bytes.extend_from_slice(b"{}");
        assert_refused(&world, &bytes, 400).await;
    }
    for line in [
        "POST  /webhooks HTTP/1.1",
        "POST /webhooks  HTTP/1.1",
        "POST /web hooks HTTP/1.1",
        "POST\t/webhooks HTTP/1.1",
        "POST /webhooks HTTP/1.10",
        "POST /webhooks HTTP/2.0",
        "POST /webhooks http/1.1",
        "POST /webhooks",
        "P\0ST /webhooks HTTP/1.1",
        "POST /web\0hooks HTTP/1.1",
        "\u{1}\u{2}\u{3}",
    ] {
        let head = signed_head(b"{}", "content-length: 2\r\n");
        let head = head.replacen("POST /webhooks HTTP/1.1", line, 1);
        assert_refused(&world, head.as_bytes(), 400).await;
    }
    world.until_metric(&refused("none", "request_malformed"), framings.len() as f64 + 11.0).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn chunks_that_could_be_read_in_two_ways_are_refused() {
    let world = Plan::new().limit("body_timeout_ms = 300").start().await;
    for (chunks, status) in [
        ("zz\r\n{}\r\n0\r\n\r\n", 400),
        ("+2\r\n{}\r\n0\r\n\r\n", 400),
        ("-2\r\n{}\r\n0\r\n\r\n", 400),
        ("0x2\r\n{}\r\n0\r\n\r\n", 400),
        ("\r\n{}\r\n0\r\n\r\n", 400),
        ("2\r{}\r\n0\r\n\r\n", 400),
        ("2\r\n{}0\r\n\r\n", 400),
        ("2\r\n{}XX0\r\n\r\n", 400),
        ("2;x=\n1\r\n{}\r\n0\r\n\r\n", 400),
        ("10000000000000002\r\n{}\r\n0\r\n\r\n", 400),
        // What follows is taken for the rest of the chunk, and never ends.
        ("fffffffffffffff\r\n{}\r\n0\r\n\r\n", 408),
    ] {
        let head = signed_head(b"{}", "transfer-encoding: chunked\r\n");
        assert_refused(&world, (head + chunks).as_bytes(), status).await;
    }
    world.until_metric(&refused("/webhooks", "body_broken"), 10.0).await;
    world.until_metric(&refused("/webhooks", "body_timeout"), 1.0).await;
    world.assert_application_untouched();
}

/// RFC 9112 section 6.1: the chunks count, the length does not, and the connection is over.
#[tokio::test]
async fn a_length_beside_chunks_hides_no_second_request() {
    let world = World::start().await;
    for framing in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
        "content-length: 400\r\nTransfer-Encoding: CHUNKED\r\ncontent-length: 400\r\n",
    ] {
        let before = world.app.received().len();
        let mut raw = Raw::connect(world.meta()).await;
        let mut bytes = signed_head(b"{}", framing).into_bytes();
        bytes.extend_from_slice(b"2\r\n{}\r\n0\r\n\r\n");
        bytes.extend_from_slice(&signed_event(b"smuggled"));
        raw.send(bytes).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 200, "{framing}");
        raw.until_closed().await;
        let received = world.app.received();
        assert_eq!(received.len(), before + 1, "{framing}");
        assert_eq!(received[before].body, "{}");
        assert_eq!(received[before].headers["content-length"], "2");
        assert!(!received[before].headers.contains_key("transfer-encoding"));
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_after_the_other() {
    let world = World::start().await;
    let mut raw = Raw::connect(world.meta()).await;
    let get = "GET /webhooks?hub.mode=subscribe&hub.challenge=42\
               &hub.verify_token=token~that%2Bnobody+may/see HTTP/1.1\r\nhost: x\r\n\r\n";
    raw.send([&signed_event(b"1"), get.as_bytes(), &signed_event(b"2")].concat()).await;
    assert_eq!(raw.answer().await.body, b"ok");
    assert_eq!(raw.answer().await.body, b"42");
    assert_eq!(raw.answer().await.body, b"ok");
    let bodies: Vec<_> = world.app.received().into_iter().map(|received| received.body).collect();
    assert_eq!(bodies, ["1", "2"]);
}

#[tokio::test]
async fn as_many_headers_as_the_limit_pass_and_one_more_is_refused() {
    // Below, at and above what the library takes by itself.
    for limit in [50, 100, 150] {
        let world = Plan::new().limit(&format!("header_max_count = {limit}")).start().await;
        for http in [Http::One, Http::Two] {
            // Content-Length is one, and so is Host, which HTTP/2 has no need of.
            let own = if http == Http::One { 7 } else { 6 };
            let send_with = async |count: usize| {
                let headers = (own..count).map(|number| format!("x-{number}"));
                let message = headers.fold(event("{}"), |message, name| message.header(&name, "1"));
                send(world.meta().http(http), message).await.unwrap().status
            };
            assert_eq!(send_with(limit).await, 200, "{limit}, {http:?}");
            assert_eq!(send_with(limit + 1).await, 431, "{limit}, {http:?}");
        }
        world.until_metric(&refused("none", "headers_too_large"), 2.0).await;
        assert_eq!(world.app.received().len(), 2);
    }
}

#[tokio::test]
async fn headers_longer_than_the_limit_are_refused_wherever_they_are_long() {
    let world = World::start().await;
    let long = "x".repeat(33_000);
    for http in [Http::One, Http::Two] {
        let in_value = event("{}").header("x-long", &long);
        assert_eq!(send(world.meta().http(http), in_value).await.unwrap().status, 431, "{http:?}");
        let in_target = event("{}").target_path(&format!("/webhooks?{long}"));
        assert_eq!(send(world.meta().http(http), in_target).await.unwrap().status, 431, "{http:?}");
    }
    let fits = event("{}").header("x-long", &long[..32_000]);
    assert_eq!(send(world.meta(), fits).await.unwrap().status, 200);
    world.until_metric(&refused("none", "headers_too_large"), 2.0).await;
    assert_eq!(world.app.received().len(), 1);
}

/// The status is in the answer; that it was never a request is in the metrics.
#[tokio::test]
async fn a_head_that_never_ends_is_cut_at_the_limit() {
    let world = World::start().await;
    let mut raw = Raw::connect(world.meta()).await;
    raw.send("POST /webhooks HTTP/1.1\r\n").await;
    let lines = "x-more: of the same\r\n".repeat(1000);
    // The answer is waited for before what is sent in vain stops being taken.
    let until_cut = async { while raw.try_send(&lines).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), until_cut).await.expect("must be cut");
    world.until_metric(&refused("none", "headers_too_large"), 1.0).await;
    world.assert_application_untouched();
}
