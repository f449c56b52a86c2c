//! HTTP/2 frame by frame, for what a careful client never sends.

use std::time::Duration;

use hubgate_testkit::sender::{Http, Sender};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::harness::http2::{
    END_HEADERS, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, literal, until_frame,
};
use crate::harness::raw::unnamed;
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

/// RFC 9113 section 7.
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

/// Opens a stream with the head of an event whose body never comes.
fn open_event(stream: u32) -> Vec<u8> {
    // RFC 7541 appendix A: 3 is `:method: POST`, 7 `:scheme: https`.
    let mut block = vec![0x83, 0x87];
    let signature = format!("sha256={}", "0".repeat(64));
    for (name, value) in [
        (":path", "/webhooks"),
        (":authority", "hooks.example"),
        ("x-hub-signature-256", signature.as_str()),
    ] {
        block.extend(literal(name, value));
    }
    frame(HEADERS, END_HEADERS, stream, &block)
}

async fn connect(world: &World) -> TlsStream<TcpStream> {
    let sender = Sender::new(unnamed(world.meta()).http(Http::Two)).unwrap();
    let (mut stream, _) = sender.handshake().await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_the_others_live() {
    let world = Plan::new().limit("h2_concurrent_streams = 2").start().await;
    let mut stream = connect(&world).await;
    let settings = until_frame(&mut stream, SETTINGS).await.1;
    // RFC 9113 section 6.5.2: 3 is SETTINGS_MAX_CONCURRENT_STREAMS.
    assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]), "{settings:?}");

    stream.write_all(&[open_event(1), open_event(3), open_event(5)].concat()).await.unwrap();

    let refused = until_frame(&mut stream, RST_STREAM).await;
    assert_eq!(refused, (5, REFUSED_STREAM.to_vec()));
    world.until_metric("hubgate_requests_in_flight", 2.0).await;
    world.assert_application_untouched();
}

/// "Rapid reset", CVE-2023-44487.
#[tokio::test]
async fn a_caller_that_opens_and_resets_streams_in_a_row_is_told_to_calm_down_and_cut() {
    let world = World::start().await;
    let mut stream = connect(&world).await;
    let reset = |id| [open_event(id), frame(RST_STREAM, 0, id, &[0, 0, 0, 8])].concat();
    let burst: Vec<u8> = (0..60).flat_map(|number| reset(2 * number + 1)).collect();

    stream.write_all(&burst).await.unwrap();

    let (_, goaway) = until_frame(&mut stream, GOAWAY).await;
    assert_eq!(goaway[4..8], ENHANCE_YOUR_CALM, "{goaway:?}");
    world.until_metric("hubgate_connections_open", 0.0).await;
    world.until_metric("hubgate_requests_in_flight", 0.0).await;
    world.assert_application_untouched();
    assert_eq!(send(world.meta().http(Http::Two), event("{}")).await.unwrap().status, 200);
}

#[tokio::test]
async fn bytes_that_are_no_http_2_end_the_connection() {
    let world = World::start().await;
    let sender = Sender::new(unnamed(world.meta()).http(Http::Two)).unwrap();
    let (mut stream, _) = sender.handshake().await.unwrap();
    stream.write_all(b"POST /webhooks HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut said));
    let _gently_or_not = closed.await.expect("must be closed");
    world.until_metric("hubgate_connections_open", 0.0).await;
    world.until_counted("hubgate_requests_total", &[]).await;
}
