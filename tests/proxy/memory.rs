//! What is counted as memory: of bodies that come in small pieces, of windows, of answers that wait.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hubgate_testkit::events::sign;
use hubgate_testkit::sender::{Ending, Http, Sender};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::harness::application::Application;
use crate::harness::http2::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, WINDOW_UPDATE, frame, literal,
    next_frame, until_frame,
};
use crate::harness::raw::{Raw, signed_event, signed_head, unnamed};
use crate::harness::world::{APP_SECRET, PATH, event, send};
use crate::harness::{Plan, World};
use crate::waiting::comes_true;

const MIB: usize = 1024 * 1024;
const BODIES: &str = "hubgate_body_memory_bytes";
const ANSWERS: &str = "hubgate_response_memory_bytes";
const OMITTED: &str = "hubgate_response_bodies_omitted_total";

const SITE: &str = "[[site]]\nupstream = \"app\"\n";

#[tokio::test]
async fn a_body_of_one_byte_chunks_takes_what_is_counted_and_arrives_whole() {
    let world = World::start().await;
    let body: Vec<u8> = (0..=250).cycle().take(30_000).collect();
    let mut raw = Raw::connect(world.meta()).await;
    let mut chunked = signed_head(&body, "transfer-encoding: chunked\r\n").into_bytes();
    for byte in &body {
        chunked.extend([b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    raw.send(&chunked).await;
    world.until_held(30_000).await;
    // Blocks of up to 16 KiB, which double.
    let held = world.metric(BODIES);
    assert!(held <= 48_000.0, "{held} bytes are held");

    raw.send("0\r\n\r\n").await;

    assert_eq!(raw.answer().await.status, 200);
    assert_eq!(world.app.only().body, body);
    world.until_metric(BODIES, 0.0).await;
}

#[tokio::test]
async fn callers_of_whom_nothing_is_proven_leave_half_of_the_memory_to_others() {
    let open = "[[webhook]]\npath = \"/open\"\nupstream = \"app\"\nclient_certificate = \"none\"\n\
                app_secrets = { file = \"app-secret\" }\nverification = \"off\"\n";
    let limits = "body_max_bytes = 1000\nbody_memory_bytes = 2000";
    let world = Plan::new().more(open).limit(limits).start().await;
    let stranger = Sender::new(world.stranger()).unwrap();
    let holder = stranger.connect().await.unwrap();
    let message = |length: usize| event(vec![b'x'; length]).target_path("/open");

    let held = holder.request(message(1000).ending(Ending::Stalled(900)));
    let others = async {
        world.until_held(1000).await;
        assert_eq!(stranger.send(message(1)).await.unwrap().status, 503);
        assert_eq!(send(world.meta(), event(vec![b'x'; 1000])).await.unwrap().status, 200);
        // A certificate is one wherever it is shown.
        assert_eq!(send(world.meta(), message(1000)).await.unwrap().status, 200);
    };
    tokio::select! {
        answer = held => panic!("must hang: {answer:?}"),
        () = others => {}
    }
    drop(holder);
    world.until_metric(BODIES, 0.0).await;
    assert_eq!(stranger.send(message(1000)).await.unwrap().status, 200);
    let refused = "hubgate_refusals_total{route=\"/open\",reason=\"body_memory_exhausted\"}";
    assert_eq!(world.metric(refused), 1.0);
}

/// A connection whose kernel takes little ahead.
async fn narrow(world: &World) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(world.proxy.addresses()[0]).await.unwrap()
}

async fn h2(world: &World, window: u32) -> TlsStream<TcpStream> {
    let sender = Sender::new(unnamed(world.meta()).http(Http::Two)).unwrap();
    let (mut stream, _) = sender.handshake_over(narrow(world).await).await.unwrap();
    // RFC 9113 section 6.5.2: 4 is SETTINGS_INITIAL_WINDOW_SIZE.
    let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
    let begin = [PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat();
    stream.write_all(&begin).await.unwrap();
    stream
}

/// The head of an event with this body.
fn head(stream: u32, path: &str, body: &[u8]) -> Vec<u8> {
    // RFC 7541 appendix A: 3 is `:method: POST`, 7 `:scheme: https`.
    let mut block = vec![0x83, 0x87];
    let signature = sign(APP_SECRET, body);
    for (name, value) in
        [(":path", path), (":authority", "hooks.example"), ("x-hub-signature-256", &signature)]
    {
        block.extend(literal(name, value));
    }
    frame(HEADERS, END_HEADERS, stream, &block)
}

#[tokio::test]
async fn what_may_arrive_ahead_over_http_2_is_counted_while_a_body_is_on_its_way() {
    let world = Plan::new().more(SITE).start().await;
    let mut stream = h2(&world, 65_535).await;
    let settings = until_frame(&mut stream, SETTINGS).await.1;
    assert!(settings.chunks(6).any(|setting| setting == [0, 4, 0, 1, 0, 0]), "{settings:?}");
    // From the 65,535 of RFC 9113 to 256 KiB.
    let window = until_frame(&mut stream, WINDOW_UPDATE).await;
    assert_eq!(window, (0, (256 * 1024 - 65_535_u32).to_be_bytes().to_vec()));

    stream.write_all(&head(1, PATH, b"{}")).await.unwrap();
    world.until_metric(BODIES, 65_536.0).await;
    stream.write_all(&head(3, "/upload", b"{}")).await.unwrap();
    world.until_metric(BODIES, 131_072.0).await;

    stream.write_all(&frame(DATA, END_STREAM, 1, b"{}")).await.unwrap();
    world.until_metric(BODIES, 65_536.0).await;
    stream.write_all(&frame(DATA, END_STREAM, 3, b"{}")).await.unwrap();
    world.until_metric(BODIES, 0.0).await;
    assert!(comes_true(async || world.app.received().len() == 2).await);
}

#[tokio::test]
async fn a_body_of_the_largest_size_comes_through_the_windows() {
    let world = World::start().await;
    let body = Bytes::from((0..=250).cycle().take(4 * MIB).collect::<Vec<u8>>());
    let answer = send(world.meta().http(Http::Two), event(body.clone())).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(world.app.only().body == body);
}

/// A mebibyte to whoever asks for it.
async fn before() -> World {
    let large = Bytes::from(vec![b'x'; MIB]);
    let app = Application::answering(move |received| {
        let is_large = received.body == "large";
        let answer = if is_large { large.clone() } else { Bytes::from_static(b"ok") };
        Response::builder().header("content-encoding", "identity").body(Full::new(answer)).unwrap()
    })
    .await;
    Plan::new().limit("response_memory_bytes = 2500000").start_before(app).await
}

#[tokio::test]
async fn answers_that_find_no_memory_go_out_with_their_status_and_without_their_body() {
    let world = before().await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let mut meta = Raw::over(narrow(&world).await, world.meta()).await;
        meta.send(signed_event(b"large")).await;
        assert_eq!(meta.read(12).await, b"HTTP/1.1 200");
        let held = world.metric(ANSWERS);
        assert!(held <= 2_500_000.0, "{held} bytes are held");
        waiting.push(meta);
    }
    let omitted = world.metric(OMITTED);
    assert!((3.0..8.0).contains(&omitted), "{omitted} bodies were omitted");
    // A small one still fits.
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().body, "ok");

    let mut lengths = Vec::new();
    for meta in &mut waiting {
        let head = meta.answer_after(b"HTTP/1.1 200").await;
        assert_eq!(head.head.contains("content-encoding"), !head.body.is_empty(), "{}", head.head);
        lengths.push(head.body.len());
    }

    let empty = lengths.iter().filter(|length| **length == 0).count();
    assert_eq!(empty as f64, omitted, "{lengths:?}");
    assert!(lengths.iter().all(|length| [0, MIB].contains(length)), "{lengths:?}");
    world.until_metric(ANSWERS, 0.0).await;
    let again = send(world.meta(), event("large")).await.unwrap();
    assert_eq!((again.status.as_u16(), again.body.len()), (200, MIB));
}

#[tokio::test]
async fn answers_to_streams_with_a_closed_window_are_counted_until_they_are_taken() {
    let world = before().await;
    let mut meta = h2(&world, 0).await;
    for stream in [1, 3, 5] {
        let body = frame(DATA, END_STREAM, stream, b"large");
        meta.write_all(&[head(stream, PATH, b"large"), body].concat()).await.unwrap();
        assert_eq!(until_frame(&mut meta, HEADERS).await.0, stream);
    }
    assert_eq!(world.metric(ANSWERS), 2.0 * MIB as f64);
    assert_eq!(world.metric(OMITTED), 1.0);

    let more = u32::try_from(MIB).unwrap().to_be_bytes();
    for stream in [0, 1] {
        meta.write_all(&frame(WINDOW_UPDATE, 0, stream, &more)).await.unwrap();
    }
    let mut taken = 0;
    while taken < MIB {
        if let (DATA, 1, payload) = next_frame(&mut meta).await {
            taken += payload.len();
        }
    }
    world.until_metric(ANSWERS, MIB as f64).await;
    drop(meta);
    world.until_metric(ANSWERS, 0.0).await;
}
