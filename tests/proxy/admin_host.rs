//! The admin listener answers to names of its own machine, so that no web page can read it
//! through the operator's browser.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::World;

/// Status code of the answer to a request with this head, and the whole of it.
async fn ask(world: &World, head: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(world.proxy.admin_address().unwrap()).await.unwrap();
    let request = format!("{head}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

const PATHS: [&str; 5] = ["/live", "/ready", "/metrics", "/status", "/"];

#[tokio::test]
async fn a_name_that_was_made_to_point_here_is_told_nothing() {
    let world = World::start().await;
    let port = world.proxy.admin_address().unwrap().port();
    for host in [
        format!("evil.example:{port}"),
        format!("0.0.0.0:{port}"),
        "localhost.evil.example".to_owned(),
        "127.0.0.1.evil.example".to_owned(),
        "127.0.0.1@evil.example".to_owned(),
        "[::ffff:127.0.0.1]".to_owned(),
        String::new(),
    ] {
        for (method, path) in PATHS.map(|path| ("GET", path)).into_iter().chain([
            ("HEAD", "/status"),
            ("OPTIONS", "/status"),
            ("POST", "/status"),
        ]) {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}");
            let (status, answer) = ask(&world, &request).await;
            assert_eq!(status, 421, "{host}: {answer}");
            assert!(!answer.contains("hubgate") && !answer.contains("webhooks"), "{answer}");
            assert_eq!(answer.contains("http://localhost"), method != "HEAD", "{answer}");
        }
    }
}

#[tokio::test]
async fn every_name_of_this_machine_is_answered_on_any_port() {
    let world = World::start().await;
    for host in
        ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.9.9.9", "[::1]:9180", "a.localhost"]
    {
        for path in ["/live", "/ready", "/metrics", "/status"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}");
            let (status, answer) = ask(&world, &request).await;
            assert_eq!(status, 200, "{host}: {answer}");
            assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
        }
        let refused = format!("POST /status HTTP/1.1\r\nHost: {host}\r\ncontent-length: 0");
        assert_eq!(ask(&world, &refused).await.0, 405);
    }
}

#[tokio::test]
async fn a_host_is_named_once_and_the_target_counts_too() {
    let world = World::start().await;
    for (head, expected) in [
        // Nothing but HTTP/1.0 may leave it out, and some health checks do; no browser does.
        ("GET /live HTTP/1.0", 200),
        ("GET /live HTTP/1.0\r\nHost: evil.example", 421),
        ("GET /live HTTP/1.1", 400),
        ("GET /live HTTP/1.1\r\nHost: localhost\r\nHost: localhost", 400),
        ("GET /live HTTP/1.1\r\nHost: localhost\r\nHost: evil.example", 400),
        ("GET http://localhost:1/live HTTP/1.1\r\nHost: 127.0.0.1", 200),
        ("GET http://evil.example/live HTTP/1.1\r\nHost: localhost", 421),
        ("GET http://localhost/live HTTP/1.1\r\nHost: evil.example", 421),
        ("GET http://evil.example/live HTTP/1.0", 421),
        ("GET http://localhost/live HTTP/1.1", 400),
    ] {
        let (status, answer) = ask(&world, head).await;
        assert_eq!(status, expected, "{head}: {answer}");
    }
}
