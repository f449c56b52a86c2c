//! Heads that never end, or cannot become a request, are answered as soon as that is certain.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::harness::Plan;
use crate::harness::raw::{Raw, RawAnswer};
use crate::harness::world::World;

/// The time of headers is much longer here.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Without a site, so that nothing depends on an application: 404 in TLS, 301 in plain HTTP.
async fn world(header_max_bytes: usize) -> World {
    let plan = Plan::new().more("[redirect]\nlisten = [\"127.0.0.6:0\"]\n");
    let plan = plan.limit("header_timeout_ms = 60000");
    plan.limit(&format!("header_max_bytes = {header_max_bytes}")).start().await
}

/// Sends piece by piece while the proxy takes them, and reads its answer.
async fn sent<S: AsyncRead + AsyncWrite + Unpin>(raw: &mut Raw<S>, pieces: &[&[u8]]) -> RawAnswer {
    let began = Instant::now();
    for piece in pieces {
        if raw.try_send(piece).await.is_err() {
            break;
        }
        if pieces.len() < 10 {
            // So that the proxy reads each by itself.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let answer = raw.answer().await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    answer
}

/// The answers in TLS and in plain HTTP, after each of which the connection has to end.
async fn refused(world: &World, pieces: &[&[u8]]) -> [u16; 2] {
    let mut tls = Raw::connect(world.meta()).await;
    let mut plain = Raw::plain(world.plain("127.0.0.1").await);
    let answers = [sent(&mut tls, pieces).await, sent(&mut plain, pieces).await];
    for answer in &answers {
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
    }
    tls.until_closed().await;
    plain.until_closed().await;
    answers.map(|answer| answer.status)
}

/// The answers to a request that is whole.
async fn taken(world: &World, pieces: &[&[u8]]) -> [u16; 2] {
    let mut tls = Raw::connect(world.meta()).await;
    let mut plain = Raw::plain(world.plain("127.0.0.1").await);
    [sent(&mut tls, pieces).await.status, sent(&mut plain, pieces).await.status]
}

fn filled(start: &str, length: usize) -> Vec<u8> {
    let mut bytes = start.as_bytes().to_vec();
    bytes.resize(length, b'a');
    bytes
}

#[tokio::test]
async fn a_head_that_reaches_its_limit_without_an_end_is_answered_at_once() {
    for limit in [8192, 9000, 32768, 1_048_576] {
        let world = world(limit).await;
        for start in ["", "GET /", "GET / HTTP/1.1\r\nhost: a\r\nx: ", "GET / HTTP/1.1\r\nx"] {
            let bytes = filled(start, limit);
            for size in [limit, 1000.max(limit / 40)] {
                let pieces: Vec<_> = bytes.chunks(size).collect();
                assert_eq!(refused(&world, &pieces).await, [431, 431], "{limit} {start}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_line_of_8_kib_without_an_end_is_answered_at_once_whatever_the_limit_is() {
    for limit in [8192, 32768, 1_048_576] {
        let world = world(limit).await;
        for start in ["", "GET /", "GET http://a/"] {
            let bytes = filled(start, 8192 + 2);
            for size in [8194, 8000, 300] {
                let pieces: Vec<_> = bytes.chunks(size).collect();
                assert_eq!(refused(&world, &pieces).await, [431, 431], "{limit} {start} {size}");
            }
        }
        world.until_metric(TOO_LARGE, 18.0).await;
    }
}

const TOO_LARGE: &str = "hubgate_refusals_total{route=\"none\",reason=\"headers_too_large\"}";

#[tokio::test]
async fn a_request_line_has_8190_bytes_however_it_comes() {
    let world = world(32768).await;
    for (length, answers) in [(8190, [404, 301]), (8191, [431, 431]), (20_000, [431, 431])] {
        let target = "a".repeat(length - "GET / HTTP/1.1".len());
        let request = format!("GET /{target} HTTP/1.1\r\nhost: a\r\n\r\n");
        for size in [request.len(), 5000] {
            let pieces: Vec<_> = request.as_bytes().chunks(size).collect();
            assert_eq!(taken(&world, &pieces).await, answers, "{length} {size}");
        }
    }
}

#[tokio::test]
async fn a_line_that_cannot_become_one_of_a_request_is_answered_at_once() {
    let world = world(32768).await;
    let broken: [[&str; 2]; 9] = [
        ["GE", "T\0"],
        ["GET /", "\u{1b}[2J"],
        ["GET /", "a b c\r\n"],
        ["GET / HT", "XP/1.1\r\n"],
        ["GET / HTTP/", "3.0\r\n"],
        ["GET / HTTP/1.1\r\nhost: a\r\n", "no colon\r\n"],
        ["GET / HTTP/1.1\r\nhost", " : a\r\n"],
        ["GET / HTTP/1.1\r\nhost: a\r\nx: a", "\u{1}"],
        ["GET / HTTP/1.1\r\nhost: a\r\n", " folded\r\n"],
    ];
    for pieces in broken {
        let answers = refused(&world, &pieces.map(str::as_bytes)).await;
        assert_eq!(answers, [400, 400], "{pieces:?}");
    }
    let malformed = "hubgate_refusals_total{route=\"none\",reason=\"request_malformed\"}";
    world.until_metric(malformed, 18.0).await;
}

#[tokio::test]
async fn a_head_in_pieces_is_a_request_wherever_it_is_cut() {
    let world = world(32768).await;
    let request = b"GET /x HTTP/1.1\r\nhost: a.example\r\nx-y: z\r\n\r\n";
    let mut tls = Raw::connect(world.meta()).await;
    let mut plain = Raw::plain(world.plain("127.0.0.1").await);
    for size in [1, 2, 3, 7, 17] {
        let pieces: Vec<_> = request.chunks(size).collect();
        assert_eq!(sent(&mut tls, &pieces).await.status, 404);
        assert_eq!(sent(&mut plain, &pieces).await.status, 301);
    }
    // The next request's head has begun with the one before.
    let long = format!("x: {}\r\n\r\n", "a".repeat(20_000));
    let two = [request.as_slice(), b"GET /y HTTP/1.1\r\nhost: a.example\r\nx-", long.as_bytes()];
    assert_eq!(sent(&mut tls, &[&two[..2].concat(), two[2]]).await.status, 404);
    assert_eq!(tls.answer().await.status, 404);
}

#[tokio::test]
async fn a_head_just_below_its_limit_is_a_request() {
    for limit in [8192, 32768, 1_048_576] {
        let world = world(limit).await;
        let mut request = filled("GET / HTTP/1.1\r\nhost: a\r\nx: ", limit - 4);
        request.extend_from_slice(b"\r\n\r\n");
        for size in [limit, limit / 7] {
            let pieces: Vec<_> = request.chunks(size).collect();
            assert_eq!(taken(&world, &pieces).await, [404, 301], "{limit} {size}");
        }
    }
}
