//! Plain HTTP that is sent on to https, and what an ACME client has put there.

use std::os::unix::fs::symlink;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::Plan;
use crate::harness::raw::{Raw, RawAnswer, signed_event};
use crate::harness::world::World;
use crate::waiting::until_deserted;

/// A redirect at an address of its own, with a directory for tokens.
fn plan() -> Plan {
    with("acme_directory = \"acme\"")
}

fn with(line: &str) -> Plan {
    Plan::new().more(&format!("[redirect]\nlisten = [\"127.0.0.4:0\"]\n{line}\n"))
}

async fn open(world: &World) -> Raw<TcpStream> {
    Raw::plain(world.plain("127.0.0.1").await)
}

/// The answer to these bytes, on a connection of their own.
async fn ask(world: &World, request: impl AsRef<[u8]>) -> RawAnswer {
    let mut raw = open(world).await;
    raw.send(request).await;
    raw.answer().await
}

async fn get(world: &World, target: &str) -> RawAnswer {
    ask(world, format!("GET {target} HTTP/1.1\r\nhost: a.example\r\n\r\n")).await
}

fn location(answer: &RawAnswer) -> Option<&str> {
    answer.head.lines().find_map(|line| line.strip_prefix("location: "))
}

fn put_token(world: &World, directory: &str, token: &str, text: &str) {
    let directory = world.dir.path().join(directory);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(token), text).unwrap();
}

#[tokio::test]
async fn every_request_is_sent_to_https_of_the_same_host_path_and_query() {
    let world = plan().start().await;
    for (line, host, status, expected) in [
        ("GET / HTTP/1.1", "a.example", 301, "https://a.example/"),
        ("GET /a/b?c=d&e HTTP/1.1", "a.example:80", 301, "https://a.example/a/b?c=d&e"),
        (
            "GET //b.example/%2e%2e HTTP/1.1",
            "a.example",
            301,
            "https://a.example//b.example/%2e%2e",
        ),
        ("GET http://a.example/x HTTP/1.1", "a.example", 301, "https://a.example/x"),
        ("GET / HTTP/1.1", "[::1]:8080", 301, "https://[::1]/"),
        ("GET / HTTP/1.0", "a.example", 301, "https://a.example/"),
        ("DELETE /x HTTP/1.1", "a.example", 308, "https://a.example/x"),
        ("OPTIONS /x HTTP/1.1", "a.example", 308, "https://a.example/x"),
    ] {
        let answer = ask(&world, format!("{line}\r\nhost: {host}\r\n\r\n")).await;
        assert_eq!((answer.status, location(&answer)), (status, Some(expected)), "{line} {host}");
    }
    world.assert_application_untouched();
    world.until_metric("hubgate_requests_total{route=\"redirect\"}", 8.0).await;
}

#[tokio::test]
async fn another_port_of_https_stands_in_the_location() {
    let world = with("https_port = 8443").start().await;
    let answer = get(&world, "/x").await;
    assert_eq!(location(&answer), Some("https://a.example:8443/x"));
    // Without a directory there are no tokens.
    let answer = get(&world, "/.well-known/acme-challenge/token").await;
    assert_eq!(answer.status, 301);
}

#[tokio::test]
async fn an_event_in_plain_http_is_sent_on_and_not_taken() {
    let world = plan().server("trusted_proxies = [\"127.0.0.1\"]").start().await;
    let mut raw = open(&world).await;
    raw.send(signed_event(b"{}")).await;
    let answer = raw.answer().await;
    assert_eq!((answer.status, location(&answer)), (308, Some("https://hooks.example/webhooks")));
    // The body was not read, so nothing after it can be a request.
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    raw.until_closed().await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn what_is_no_request_for_one_host_is_refused() {
    let world = plan().start().await;
    for (request, status, reason) in [
        ("GET / HTTP/1.1\r\n\r\n", 400, "host_invalid"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, "host_invalid"),
        ("GET / HTTP/1.1\r\nhost: a@b\r\n\r\n", 400, "host_invalid"),
        ("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", 400, "host_invalid"),
        ("GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n", 400, "host_invalid"),
        ("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", 400, "path_invalid"),
        ("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", 405, "method_not_allowed"),
        ("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", 405, "method_not_allowed"),
    ] {
        let series = format!("hubgate_refusals_total{{route=\"redirect\",reason=\"{reason}\"}}");
        let before = world.metric(&series);
        let answer = ask(&world, request).await;
        assert_eq!((answer.status, location(&answer)), (status, None), "{request}");
        world.until_metric(&series, before + 1.0).await;
    }
}

#[tokio::test]
async fn connections_and_headers_have_the_limits_of_all_others() {
    let limits = plan().limit("connections = 2").limit("header_max_bytes = 8192");
    let world = limits.limit("requests_per_connection = 2").start().await;
    let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(9000));
    assert_eq!(ask(&world, large).await.status, 431);
    world.until_metric("hubgate_connections_open", 0.0).await;

    let mut first = open(&world).await;
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(first.answer().await.status, 301);
    let mut second = open(&world).await;
    second.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(second.answer().await.status, 301);
    first.until_closed().await;
    world.until_metric("hubgate_connections_evicted_total", 1.0).await;
    second.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(second.answer().await.head.contains("connection: close"));
    second.until_closed().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let world = plan().limit("header_timeout_ms = 50").start().await;
    let mut raw = open(&world).await;
    raw.send("GET / HT").await;
    raw.until_closed().await;
    let series = "hubgate_refusals_total{route=\"none\",reason=\"header_timeout\"}";
    world.until_metric(series, 1.0).await;
}

#[tokio::test]
async fn a_token_of_the_acme_client_is_answered_and_nothing_else_of_its_directory() {
    let world = plan().start().await;
    // The client makes the directory when it needs it.
    assert_eq!(get(&world, "/.well-known/acme-challenge/token-_1").await.status, 404);
    put_token(&world, "acme", "token-_1", "token-_1.thumbprint");
    put_token(&world, "acme", ".hidden", "hidden");
    put_token(&world, "acme", "a.txt", "text");
    put_token(&world, "acme/deeper", "token", "deeper");
    symlink("../app-secret", world.dir.path().join("acme/link")).unwrap();

    let answer = get(&world, "/.well-known/acme-challenge/token-_1?x").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"token-_1.thumbprint"[..]));
    assert!(answer.head.contains("x-content-type-options: nosniff"), "{}", answer.head);
    for target in [
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/none",
        "/.well-known/acme-challenge/link",
        "/.well-known/acme-challenge/deeper",
        "/.well-known/acme-challenge/deeper/token",
        "/.well-known/acme-challenge/.hidden",
        "/.well-known/acme-challenge/a.txt",
        "/.well-known/acme-challenge/../app-secret",
        "/.well-known/acme-challenge/..%2fapp-secret",
        "/.well-known/acme-challenge/%74oken-_1",
        "/.well-known/acme-challenge//token-_1",
    ] {
        let answer = get(&world, target).await;
        assert_eq!((answer.status, &answer.body[..]), (404, &b"Not Found"[..]), "{target}");
    }
    // Whoever does not ask to read is sent on.
    let post = "POST /.well-known/acme-challenge/token-_1 HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(ask(&world, post).await.status, 308);
    world.assert_application_untouched();
}

#[tokio::test]
async fn a_head_request_is_answered_like_a_get_without_the_body() {
    let world = plan().start().await;
    put_token(&world, "acme", "token", "12345");
    for (target, status, header) in [
        ("/.well-known/acme-challenge/token", "200", "content-length: 5"),
        ("/x", "301", "location: https://a/x"),
    ] {
        let mut stream = world.plain("127.0.0.1").await;
        let head = format!("HEAD {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        let said = said.to_ascii_lowercase();
        assert_eq!(said.split(' ').nth(1), Some(status));
        assert!(said.contains(&format!("{header}\r\n")) && said.ends_with("\r\n\r\n"), "{said}");
    }
}

#[tokio::test]
async fn a_reload_moves_the_tokens_and_an_open_connection_sees_it() {
    let world = plan().start().await;
    put_token(&world, "elsewhere", "token", "moved");
    let ask = "GET /.well-known/acme-challenge/token HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut raw = open(&world).await;
    raw.send(ask).await;
    assert_eq!(raw.answer().await.status, 404);

    world
        .edit_config("acme_directory = \"acme\"", "acme_directory = \"elsewhere\"\nhttps_port = 1");
    world.reload();

    raw.send(ask).await;
    assert_eq!(raw.answer().await.body, b"moved");
    raw.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(location(&raw.answer().await), Some("https://a:1/"));
}

#[tokio::test]
async fn a_reload_without_the_section_closes_the_address_and_its_connections() {
    let world = plan().start().await;
    let mut raw = open(&world).await;
    raw.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 301);
    let address = world.proxy.addresses()[1];

    let section = "[redirect]\nlisten = [\"127.0.0.4:0\"]\nacme_directory = \"acme\"\n";
    world.edit_config(section, "");
    world.reload();

    raw.until_closed().await;
    assert_eq!(world.proxy.addresses().len(), 1);
    world.until_metric("hubgate_connections_open", 0.0).await;
    until_deserted(address).await;
}

#[tokio::test]
async fn a_drain_answers_who_was_accepted_and_closes_who_is_idle() {
    let plan = plan().intervals(|intervals| intervals.first_request = Duration::from_secs(20));
    let world = plan.start().await;
    let mut idle = open(&world).await;
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 301);
    let mut late = open(&world).await;
    world.until_metric("hubgate_connections_open", 2.0).await;

    world.proxy.drain();

    idle.until_closed().await;
    late.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(late.answer().await.status, 301);
    late.until_closed().await;
    world.proxy.ended().await;
}

#[tokio::test]
async fn a_balancer_says_who_called_before_plain_http_too() {
    let world = plan().server("proxy_protocol_from = [\"127.0.0.1\"]").start().await;
    let line = "PROXY TCP4 203.0.113.5 198.51.100.1 12345 80\r\n";
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(ask(&world, format!("{line}{request}")).await.status, 301);
    let mut raw = open(&world).await;
    raw.send(request).await;
    world.until_handshake_refused("proxy_header_missing", 1).await;
}
