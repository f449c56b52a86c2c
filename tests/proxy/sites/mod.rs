//! Routes that pass through: everything but what could be taken for proof.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use hubgate_testkit::sender::{Message, Options, Sender};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::application::Application;
use crate::harness::raw::unnamed;
use crate::harness::world::{APP_SECRET, event, send};
use crate::harness::{Plan, World};

const SITE: &str = "[[site]]\nupstream = \"app\"\n";

fn get(target: &str) -> Message {
    Message::new(Method::GET).target_path(target)
}

/// Sends these bytes over TLS as they are, and reads until the other side closes.
async fn raw(options: Options, request: &str) -> String {
    let (mut stream, _) = Sender::new(unnamed(options)).unwrap().handshake().await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _closed_either_way = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_browser_without_a_certificate_reaches_a_site_and_no_webhook() {
    let world = Plan::new().more(SITE).start().await;

    let page = send(world.stranger(), get("/a/page?x=1")).await.unwrap();
    let hook = send(world.stranger(), event("{}")).await.unwrap();

    assert_eq!((page.status.as_u16(), &page.body[..]), (200, &b"ok"[..]));
    assert_eq!(hook.status, 403);
    let received = world.app.only();
    assert_eq!(received.uri, "/a/page?x=1");
    assert!(!received.headers.contains_key("x-hubgate-verified"));
    assert!(!received.headers.contains_key("client-cert"));
    world.until_refused("certificate_missing", 1).await;
}

#[tokio::test]
async fn no_spelling_of_a_webhooks_path_reaches_the_application_through_a_site() {
    let world = Plan::new().more(SITE).start().await;

    for target in [
        "/webhooks",
        "//webhooks",
        "/./webhooks",
        "/a/../webhooks",
        "/%77ebhooks",
        "/WEBHOOKS",
        "/webhooks/",
        "/webhooks;a",
        "/webhooks%2f",
        "/a%2f..%2fwebhooks",
        "/%2577ebhooks",
        "/webhooks%00",
        "/webhooks%2500",
        "/webhooks.json",
        "/webhooks\\",
        "/a/..;/webhooks",
        "/webhooks;%252f..",
        "/.%2e/webhooks",
        // Behind a front controller.
        "/index.php/webhooks",
        "/INDEX.PHP/webhooks/",
        "/a.php/index.php/webhooks",
        "/index.php;a/webhooks",
        "/index/webhooks",
        "/cgi-bin/app/webhooks",
        "/webhooks/index.php",
        "/webhooks/default.aspx",
        // Out of a query.
        "/?rest_route=/webhooks",
        "/?rest_route=%2Fwebhooks",
        "/?REST%5FROUTE=%252Fwebhooks",
        "/?rest.route=/x/../webhooks",
        "/a/b?q=webhooks",
        "/index.php?r=webhooks",
        "/index.php?s=/webhooks",
        "/?a=b&_url=/webhooks",
        "/?a=b;url=webhooks",
        "/?/webhooks",
        "/a&q=webhooks",
        "/a%3Fq=webhooks",
        // Sessions, streams, short names, code pages.
        "/(S(a))/webhooks",
        "/web/(S(a))hooks",
        "/webhooks::$DATA",
        "/WEBHOO~1",
        "/%EF%BD%97ebhooks",
        "/%C1%B7ebhooks",
        "/%25u0077ebhooks",
        "/web%C2%ADhooks",
        // The whole of it.
        "http://localhost/webhooks",
        "http://localhost/index.php/webhooks",
        "http://localhost?q=webhooks",
        "/webhooks#a",
        "/webhooks/.",
    ] {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        );
        let answer = raw(world.stranger(), &request).await;
        let status = answer.get(9..12).unwrap_or_default().to_owned();
        assert!(["400", "403", "404"].contains(&status.as_str()), "{target}: {answer}");
    }
    assert!(world.app.received().is_empty(), "{:?}", world.app.received());
}

#[tokio::test]
async fn what_only_looks_like_another_name_of_a_webhook_passes() {
    let world = Plan::new().more(SITE).start().await;
    for target in [
        "/index.php",
        "/index.php/shop",
        "/index.php?q=shop",
        "/a/webhooks",
        "/v1.2/webhooks",
        "/?next=/webhooks",
        "/?q=about+webhooks",
        "/?rest_route=/shop",
        "/webhooks/a",
        "/webhooks2",
    ] {
        assert_eq!(send(world.stranger(), get(target)).await.unwrap().status, 200, "{target}");
        assert_eq!(world.app.received().pop().unwrap().uri, target);
    }
}

#[tokio::test]
async fn a_webhook_that_is_a_script_is_not_reached_without_its_extension_or_as_a_directory() {
    let webhook = |path: &str| {
        format!(
            "[[webhook]]\npath = \"{path}\"\nupstream = \"app\"\n\
             app_secrets = {{ file = \"app-secret\" }}\nverify_token = {{ file = \"verify-token\" }}\n"
        )
    };
    let routes =
        [webhook("/hooks/meta.php"), webhook("/other/index.php"), SITE.to_owned()].concat();
    let world = Plan::new().more(&routes).start().await;

    for target in [
        "/hooks/meta",
        "/hooks/meta/",
        "/hooks/meta/a",
        "/hooks/meta.html",
        "/hooks/meta.php/a",
        "/index.php/hooks/meta",
        "/?q=hooks/meta",
        "/other",
        "/other/",
        "/other/index",
        "/other/index.php/a",
    ] {
        assert_eq!(send(world.stranger(), get(target)).await.unwrap().status, 404, "{target}");
    }
    assert!(world.app.received().is_empty(), "{:?}", world.app.received());
    for target in ["/hooks/meta.css", "/hooks/metal", "/hooks/", "/other/a"] {
        assert_eq!(send(world.stranger(), get(target)).await.unwrap().status, 200, "{target}");
    }
}

/// An application may take what follows a body for headers, so nothing follows one.
#[tokio::test]
async fn trailers_of_a_request_tell_the_application_nothing() {
    let world = Plan::new().more(SITE).start().await;
    for more in
        ["", "Trailer: X-Hubgate-Verified\r\n", "Trailer: X-Hubgate-Verified\r\nTE: trailers\r\n"]
    {
        let request = format!(
            "POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{more}\
             Connection: close\r\n\r\n2\r\n{{}}\r\n0\r\nX-Hubgate-Verified: signature\r\n\r\n"
        );
        let answer = raw(world.stranger(), &request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let received = world.app.received().pop().unwrap();
        assert!(!received.headers.contains_key("x-hubgate-verified"));
        assert!(received.trailers.is_empty(), "{received:?}");
    }
}

#[tokio::test]
async fn what_is_matched_is_what_is_forwarded() {
    let world = Plan::new().more("[[site]]\nupstream = \"app\"\npath = \"/app\"\n").start().await;

    for (sent, forwarded) in [
        ("/app", Some("/app")),
        ("/app/x%7Ey?a=%2f", Some("/app/x~y?a=%2f")),
        ("//app//b/./c/", Some("/app/b/c/")),
        ("/apple", None),
        ("/app/../secret", None),
        ("/app/%2e%2e/secret", None),
        ("/", None),
    ] {
        let before = world.app.received().len();
        let request = format!("GET {sent} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = raw(world.stranger(), &request).await;
        let arrived: Vec<_> =
            world.app.received().split_off(before).into_iter().map(|r| r.uri.to_string()).collect();
        let expected = Vec::from_iter(forwarded.map(str::to_owned));
        assert_eq!(arrived, expected, "{sent}");
        let status = if forwarded.is_some() { " 200 " } else { " 404 " };
        assert!(
            answer.starts_with("HTTP/1.1") && answer[..20].contains(status),
            "{sent}: {answer}"
        );
    }
}

#[tokio::test]
async fn no_spelling_of_an_exception_reaches_the_application_through_its_site() {
    let site = format!("{SITE}except = [\"/Admin\", \"/reports/\"]\n");
    let world = Plan::new().more(&site).start().await;

    for target in [
        "/Admin",
        "/Admin/x",
        "/Admin.php",
        "/ADMIN",
        "/admin/",
        "/a/../admin",
        "/%2541dmin",
        "/admin;x",
        "/;x/admin",
        "/reports",
        "/Reports/x",
        "/index.php/admin/x",
        "/a/index.php/reports/x",
        "/?q=admin/users",
        "/?rest_route=/reports/x",
        "/?/admin",
        "/(S(a))/admin/x",
        "/reports.json",
        "/ADMI~1/x",
    ] {
        assert_eq!(send(world.stranger(), get(target)).await.unwrap().status, 404, "{target}");
    }
    assert!(world.app.received().is_empty(), "{:?}", world.app.received());
    for target in ["/", "/adm", "/x/admin", "/reports2", "/?q=a+admin", "/?next=/admin"] {
        assert_eq!(send(world.stranger(), get(target)).await.unwrap().status, 200, "{target}");
    }
}

#[tokio::test]
async fn what_webdav_writes_to_is_a_sites_path_too() {
    let world = Plan::new().more(&format!("{SITE}except = [\"/admin/\"]\n")).start().await;
    for (destination, status) in [
        ("/webhooks", 404),
        ("https://localhost/webhooks", 404),
        ("https://elsewhere.example/x/../webhooks/", 404),
        ("/admin/x", 404),
        ("/index.php/admin/x", 404),
        ("/a%2fb", 400),
        ("a b", 400),
        ("https://localhost/b", 200),
        ("/b", 200),
    ] {
        for method in ["COPY", "MOVE"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let message = Message::new(method).target_path("/a").header("destination", destination);
            let answer = send(world.stranger(), message).await.unwrap();
            assert_eq!(answer.status, status, "{destination}");
        }
    }
    assert_eq!(world.app.received().len(), 4);
    // To others, the header is one like any.
    let page = get("/a").header("destination", "/admin/x");
    assert_eq!(send(world.stranger(), page).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_longest_path_wins_and_a_host_before_none() {
    let named = |name: &str, line: &str| {
        format!("[[site]]\nupstream = \"app\"\nname = \"{name}\"\n{line}\n")
    };
    let sites = named("all", "")
        + &named("hosted", "host = \"shop.example\"")
        + &named("below", "path = \"/a\"")
        + &named("exact", "path = \"/a\"\nmatch = \"exact\"");
    let world = Plan::new().more(&sites).start().await;

    for (host, target, route) in [
        ("www.example", "/x", "all"),
        ("SHOP.example:8443", "/x", "hosted"),
        ("shop.example", "/a/b", "below"),
        ("www.example", "/a", "exact"),
        ("www.example", "/ab", "all"),
    ] {
        let series = format!("hubgate_requests_total{{route=\"{route}\"}}");
        let before = world.metric(&series);
        let authority = http::HeaderValue::from_static(host);
        let options = unnamed(world.stranger()).authority(authority);
        assert_eq!(send(options, get(target)).await.unwrap().status, 200);
        world.until_metric(&series, before + 1.0).await;
    }
}

#[tokio::test]
async fn a_head_keeps_the_length_of_the_body_that_it_did_not_ask_for() {
    let app = Application::answering(|received| {
        let body = if received.method == Method::HEAD { "" } else { "0123456789" };
        Response::builder().header("content-length", "10").body(Full::from(body)).unwrap()
    })
    .await;
    let world = Plan::new().more(SITE).start_before(app).await;

    let head = send(world.stranger(), Message::new(Method::HEAD).target_path("/f")).await.unwrap();

    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], "10");
}

#[tokio::test]
async fn a_body_streams_both_ways_before_it_has_ended() {
    // Answers each piece as it comes: nothing in between may wait for the end.
    let app = Application::scripted(|mut stream| async move {
        let mut buffer = [0; 4096];
        let mut seen = Vec::new();
        while !seen.ends_with(b"one") {
            let count = stream.read(&mut buffer).await.unwrap();
            seen.extend_from_slice(&buffer[..count]);
        }
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 6\r\n\r\nONE";
        stream.write_all(head.as_bytes()).await.unwrap();
        while !seen.ends_with(b"two") {
            let count = stream.read(&mut buffer).await.unwrap();
            seen.extend_from_slice(&buffer[..count]);
        }
        stream.write_all(b"TWO").await.unwrap();
    })
    .await;
    let world = Plan::new().more(SITE).start_before(app).await;
    let (mut stream, _) =
        Sender::new(unnamed(world.stranger())).unwrap().handshake().await.unwrap();

    stream.write_all(b"POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none").await.unwrap();
    until(&mut stream, "ONE").await;
    stream.write_all(b"two").await.unwrap();
    until(&mut stream, "TWO").await;
}

#[tokio::test]
async fn a_body_above_the_sites_limit_is_refused() {
    let world = Plan::new().more(&format!("{SITE}body_max_bytes = 1000\n")).start().await;
    let post = |length: usize| {
        Message::new(Method::POST).target_path("/upload").body(Bytes::from(vec![b'x'; length]))
    };

    let at_limit = send(world.stranger(), post(1000)).await.unwrap();
    let above = send(world.stranger(), post(1001)).await.unwrap();
    let chunked = post(100_000).framing(hubgate_testkit::sender::Framing::Chunked);
    let chunked = send(world.stranger(), chunked).await.unwrap();

    assert_eq!((at_limit.status.as_u16(), above.status.as_u16()), (200, 413));
    assert_eq!(chunked.status, 413);
    assert_eq!(world.app.only().body.len(), 1000);
}

#[tokio::test]
async fn a_site_that_is_too_slow_or_too_quiet_is_cut() {
    let app = Application::scripted(|mut stream| async move {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        if buffer[..count].starts_with(b"GET /quiet") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
        }
        std::future::pending::<()>().await;
    })
    .await;
    let site = format!("{SITE}timeout_ms = 50\nidle_timeout_ms = 50\n");
    let world = Plan::new().more(&site).start_before(app).await;

    assert_eq!(send(world.stranger(), get("/slow")).await.unwrap().status, 504);
    send(world.stranger(), get("/quiet")).await.expect_err("the body must break off");
}

#[tokio::test]
async fn report_only_passes_a_failed_signature_on_with_a_mark_and_enforces_the_certificate() {
    let plan = Plan::new().webhook("signature = \"report\"").more(SITE);
    let world: World = plan.start().await;
    let wrong = || Message::event("another secret", "{}");
    let without = || Message::unsigned_event("{}");

    for (message, verified) in [
        (Message::event(APP_SECRET, "{}"), "client-certificate, signature"),
        (wrong(), "client-certificate"),
        (without(), "client-certificate"),
    ] {
        assert_eq!(send(world.meta(), message).await.unwrap().status, 200);
        let received = world.app.received().pop().unwrap();
        assert_eq!(received.headers["x-hubgate-verified"], verified);
    }
    let stranger = send(world.stranger(), wrong()).await.unwrap();
    assert_eq!(stranger.status, 403);
    assert_eq!(world.app.received().len(), 3);
    let series = "hubgate_would_refuse_total{route=\"/webhooks\",reason=\"signature_mismatch\"}";
    world.until_metric(series, 1.0).await;
    let series = "hubgate_would_refuse_total{route=\"/webhooks\",reason=\"signature_missing\"}";
    world.until_metric(series, 1.0).await;
    world.until_metric("hubgate_events_verified_total{route=\"/webhooks\"}", 1.0).await;
}

async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), expected: &str) {
    let mut seen = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&seen).contains(expected) {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "closed after {:?}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..count]);
        }
    };
    let reading = tokio::time::timeout(Duration::from_secs(10), reading).await;
    assert!(reading.is_ok(), "no `{expected}` in time");
}
