//! HTTP/2 frames that bring nothing: whoever sends them is cut, and delays nobody meanwhile.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hubgate_testkit::sender::{Http, Options, Sender};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::harness::Plan;
use crate::harness::application::Application;
use crate::harness::http2::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame, literal, next_frame, until_frame,
};
use crate::harness::load::Load;
use crate::harness::raw::unnamed;
use crate::waiting::comes_true;

const PRIORITY: u8 = 2;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const UNKNOWN: u8 = 0xfa;
const PADDED: u8 = 8;

const SITE: &str = "[[site]]\nupstream = \"app\"\n";
const CUT: &str = "hubgate_connections_cut_total{reason=\"control_frames\"}";
const OPEN: &str = "hubgate_connections_open";

async fn connect(options: Options) -> TlsStream<TcpStream> {
    let sender = Sender::new(unnamed(options).http(Http::Two)).unwrap();
    let (mut stream, _) = sender.handshake().await.unwrap();
    let begin = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&begin).await.unwrap();
    stream
}

/// The head of a request to a site, with a body to come unless these flags end it.
fn request(stream: u32, flags: u8) -> Vec<u8> {
    // RFC 7541 appendix A: 2 is `:method: GET`, 3 POST, 7 `:scheme: https`.
    let method = if flags & END_STREAM == 0 { 0x83 } else { 0x82 };
    let mut block = vec![method, 0x87];
    block.extend(literal(":path", "/page"));
    block.extend(literal(":authority", "shop.example"));
    frame(HEADERS, flags, stream, &block)
}

fn floods() -> Vec<(&'static str, Vec<u8>)> {
    let padded = [&[200][..], &[0; 200]].concat();
    vec![
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0; 5])),
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("unknown", frame(UNKNOWN, 0, 0, &[0; 16])),
        ("empty DATA", frame(DATA, 0, 1, &[])),
        ("DATA of a byte", frame(DATA, 0, 1, b"x")),
        ("DATA of padding", frame(DATA, PADDED, 1, &padded)),
    ]
}

#[tokio::test]
async fn every_kind_of_frame_that_brings_nothing_is_cut_as_a_flood() {
    let world = Plan::new().more(SITE).start().await;
    let mut counted = 0.0;
    for (kind, flood) in floods() {
        let mut stream = connect(world.stranger()).await;
        // Something that is being answered does not buy time.
        stream.write_all(&request(1, END_HEADERS)).await.unwrap();
        let (mut reading, mut writing) = tokio::io::split(stream);
        let send = async { while writing.write_all(&flood.repeat(100)).await.is_ok() {} };
        let told = async {
            until_frame(&mut reading, GOAWAY).await;
            let mut rest = Vec::new();
            let _gently_or_not = reading.read_to_end(&mut rest).await;
        };

        let both = async { tokio::join!(send, told) };
        let cut = tokio::time::timeout(Duration::from_secs(20), both).await;

        assert!(cut.is_ok(), "{kind}");
        world.until_metric(OPEN, 0.0).await;
        // hyper has a limit of its own for DATA, which may be reached first.
        counted += if kind.contains("DATA") { 0.0 } else { 1.0 };
        assert!(world.metric(CUT) >= counted, "{kind}");
    }
}

/// Some of these hyper ends itself, as errors or by limits of its own.
#[tokio::test]
async fn floods_of_continuations_resets_and_requests_that_are_reset_end_the_connection() {
    let world = Plan::new().more(SITE).start().await;
    let open = request(1, 0);
    let continuation = frame(CONTINUATION, 0, 1, &literal("x-a", "b"));
    let reset = frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    let churn = |number: usize| {
        let id = u32::try_from(2 * number + 3).unwrap();
        [request(id, END_HEADERS), frame(RST_STREAM, 0, id, &[0, 0, 0, 8])].concat()
    };
    let floods: [(&str, Vec<u8>); 3] = [
        ("CONTINUATION", [open, continuation.repeat(3000)].concat()),
        ("RST_STREAM", [request(1, END_HEADERS), reset.repeat(3000)].concat()),
        ("rapid reset", (0..3000).flat_map(churn).collect()),
    ];
    for (kind, flood) in floods {
        let stream = connect(world.stranger()).await;
        let (mut reading, mut writing) = tokio::io::split(stream);
        let send = async {
            let _cut_meanwhile = writing.write_all(&flood).await;
        };
        let read = async {
            let mut said = Vec::new();
            let _gently_or_not = reading.read_to_end(&mut said).await;
        };
        let both = async { tokio::join!(send, read) };
        let cut = tokio::time::timeout(Duration::from_secs(20), both).await;
        assert!(cut.is_ok(), "{kind}");
        world.until_metric(OPEN, 0.0).await;
    }
    world.until_metric("hubgate_requests_in_flight", 0.0).await;
}

#[tokio::test]
async fn events_are_answered_while_eight_callers_flood_their_worker() {
    let world = Plan::new().more(SITE).start().await;
    let flooders: Vec<_> = (0..8)
        .map(|number| {
            let (options, floods) = (world.stranger(), floods());
            let (_, flood) = floods.into_iter().nth(number).unwrap();
            tokio::spawn(async move {
                loop {
                    let mut stream = connect(options.clone()).await;
                    let _cut = stream.write_all(&request(1, END_HEADERS)).await;
                    while stream.write_all(&flood.repeat(100)).await.is_ok() {}
                }
            })
        })
        .collect();

    let load = Load::start(4, &world.meta());
    load.until_answered(200).await;
    let (_, failures) = load.stop().await;

    assert_eq!(failures, [""; 0]);
    assert!(comes_true(async || world.metric(CUT) >= 5.0).await, "{}", world.metric(CUT));
    for flooder in flooders {
        flooder.abort();
    }
}

/// As a browser that tells of every byte that it has read, keeps its connection alive, and changes
/// its mind about priorities.
#[tokio::test]
async fn a_browser_that_downloads_much_is_not_cut() {
    const LENGTH: usize = 50 * 1024 * 1024;
    let large = Bytes::from(vec![b'x'; LENGTH]);
    let app = Application::answering(move |_| Response::new(Full::new(large.clone()))).await;
    let world = Plan::new().more(SITE).start_before(app).await;
    let mut browser = connect(world.stranger()).await;
    browser.write_all(&request(1, END_HEADERS | END_STREAM)).await.unwrap();

    let (mut taken, mut frames) = (0, 0);
    while taken < LENGTH {
        let (DATA, 1, payload) = next_frame(&mut browser).await else { continue };
        taken += payload.len();
        frames += 1;
        let read = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut said =
            [frame(WINDOW_UPDATE, 0, 0, &read), frame(WINDOW_UPDATE, 0, 1, &read)].concat();
        if frames % 50 == 0 {
            said.extend(frame(PING, 0, 0, &[0; 8]));
            said.extend(frame(SETTINGS, 0, 0, &[]));
            said.extend(frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 15]));
        }
        browser.write_all(&said).await.unwrap();
    }

    assert!(frames > 3000, "only {frames} frames");
    assert_eq!(world.metric(CUT), 0.0);
    // It is still there.
    browser.write_all(&request(3, END_HEADERS | END_STREAM)).await.unwrap();
    until_frame(&mut browser, HEADERS).await;
}
