//! Callers that ask and do not take the answer: what it holds is free again in time.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hubgate_testkit::sender::{Http, Options, Sender};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::harness::application::Application;
use crate::harness::http2::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
    literal, next_frame, until_frame,
};
use crate::harness::load::Load;
use crate::harness::raw::{Raw, signed_event, unnamed};
use crate::harness::world::{PATH, event, send};
use crate::harness::{Plan, World};

const MIB: usize = 1024 * 1024;

const SITE: &str = "[[site]]\nupstream = \"app\"\n";

const IN_FLIGHT: &str = "hubgate_requests_in_flight";
const OPEN: &str = "hubgate_connections_open";
const CONNECTIONS_CUT: &str = "hubgate_connections_cut_total{reason=\"write_timeout\"}";
const STREAMS_CUT: &str = "hubgate_streams_cut_total";

/// `ok` to events; to anything else, and to events that ask for it, more than any socket holds.
async fn before(plan: Plan) -> World {
    let large = Bytes::from(vec![b'x'; 8 * MIB]);
    let app = Application::answering(move |received| {
        let is_small = received.uri.path() == PATH && received.body != "large";
        Response::new(Full::new(if is_small { Bytes::from_static(b"ok") } else { large.clone() }))
    })
    .await;
    plan.limit("write_timeout_ms = 400").start_before(app).await
}

/// A connection whose kernel takes little ahead.
async fn narrow(world: &World) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(world.proxy.addresses()[0]).await.unwrap()
}

async fn narrow_h1(world: &World, options: Options) -> Raw {
    Raw::over(narrow(world).await, options).await
}

/// HTTP/2 with this window for each stream, and whatever else is to be said at once.
async fn h2(world: &World, options: Options, window: u32, more: &[u8]) -> TlsStream<TcpStream> {
    let sender = Sender::new(unnamed(options).http(Http::Two)).unwrap();
    let (mut stream, _) = sender.handshake_over(narrow(world).await).await.unwrap();
    // RFC 9113 section 6.5.2: 4 is SETTINGS_INITIAL_WINDOW_SIZE.
    let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
    let begin = [PREFACE, &frame(SETTINGS, 0, 0, &settings), more].concat();
    stream.write_all(&begin).await.unwrap();
    stream
}

fn get(stream: u32) -> Vec<u8> {
    // RFC 7541 appendix A: 2 is `:method: GET`, 7 `:scheme: https`.
    let mut block = vec![0x82, 0x87];
    block.extend(literal(":path", "/page"));
    block.extend(literal(":authority", "shop.example"));
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

fn gets(count: u32) -> Vec<u8> {
    (0..count).flat_map(|number| get(2 * number + 1)).collect()
}

fn window_update(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

const GET: &str = "GET /page HTTP/1.1\r\nhost: shop.example\r\n\r\n";

#[tokio::test]
async fn browsers_that_stop_reading_give_their_places_back_and_no_event_fails() {
    let plan = Plan::new()
        .more(SITE)
        .limit("unproven_connections = 300")
        .limit("site_requests_in_flight = 140");
    let world = before(plan).await;
    let mut browsers = Vec::new();
    for _ in 0..132 {
        let mut browser = narrow_h1(&world, world.stranger()).await;
        browser.send(GET).await;
        browsers.push(browser);
    }

    let load = Load::start(4, &world.meta());
    load.until_answered(40).await;
    world.until_metric(CONNECTIONS_CUT, 132.0).await;
    world.until_metric(IN_FLIGHT, 0.0).await;
    let (_, failures) = load.stop().await;

    assert_eq!(failures, [""; 0]);
    world.until_metric(OPEN, 0.0).await;
}

#[tokio::test]
async fn streams_with_a_closed_window_are_reset_one_by_one_and_no_event_fails() {
    let plan = Plan::new().more(SITE).upstream("connections = 44");
    let world = before(plan).await;
    let mut browsers = Vec::new();
    for _ in 0..4 {
        browsers.push(h2(&world, world.stranger(), 0, &gets(33)).await);
    }

    let load = Load::start(4, &world.meta());
    load.until_answered(40).await;
    world.until_metric(STREAMS_CUT, 132.0).await;
    world.until_metric(IN_FLIGHT, 0.0).await;
    let (_, failures) = load.stop().await;

    assert_eq!(failures, [""; 0]);
    for browser in &mut browsers {
        // RFC 9113 section 7: 8 is CANCEL.
        assert_eq!(until_frame(browser, RST_STREAM).await.1, [0, 0, 0, 8]);
        // The connection itself goes on.
        browser.write_all(&get(101)).await.unwrap();
        assert_eq!(until_headers_of(browser, 101).await, 101);
    }
    assert_eq!(world.metric(CONNECTIONS_CUT), 0.0);
}

async fn until_headers_of(stream: &mut TlsStream<TcpStream>, id: u32) -> u32 {
    loop {
        let (of, _) = until_frame(stream, HEADERS).await;
        if of == id {
            return of;
        }
    }
}

#[tokio::test]
async fn a_request_that_is_opened_and_reset_renews_nothing_for_the_others() {
    let world = before(Plan::new().more(SITE)).await;
    let mut browser = h2(&world, world.stranger(), 0, &gets(5)).await;
    let (mut reading, mut writing) = tokio::io::split(&mut browser);

    let churn = async {
        for number in 100.. {
            let id = 2 * number + 1;
            let reset = frame(RST_STREAM, 0, id, &[0, 0, 0, 8]);
            let ping = frame(6, 0, 0, &[0; 8]);
            writing.write_all(&[get(id), reset, ping].concat()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let resets = async {
        let mut left = vec![1, 3, 5, 7, 9];
        while !left.is_empty() {
            let (id, _) = until_frame(&mut reading, RST_STREAM).await;
            left.retain(|other| *other != id);
        }
    };

    tokio::select! {
        () = churn => {}
        ended = tokio::time::timeout(Duration::from_secs(10), resets) => ended.unwrap(),
    }
}

#[tokio::test]
async fn small_frames_do_not_renew_what_a_blocked_socket_holds() {
    let world = before(Plan::new().more(SITE)).await;
    let open = [window_update(0, 1 << 30), gets(5)].concat();
    let browser = h2(&world, world.stranger(), 1 << 30, &open).await;
    let (_unread, mut writing) = tokio::io::split(browser);

    // Each is answered with a few bytes, which TLS takes though the socket does not.
    let pings = async {
        while writing.write_all(&frame(6, 0, 0, &[0; 8])).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };

    tokio::time::timeout(Duration::from_secs(10), pings).await.expect("must be cut");
    world.until_metric(CONNECTIONS_CUT, 1.0).await;
    world.until_metric(IN_FLIGHT, 0.0).await;
    world.until_metric(OPEN, 0.0).await;
}

#[tokio::test]
async fn an_answer_to_an_event_that_nobody_takes_is_given_up() {
    let plan = Plan::new().upstream("response_max_bytes = 16777216");
    let world = before(plan).await;
    let mut meta = narrow_h1(&world, world.meta()).await;
    meta.send(signed_event(b"large")).await;
    world.until_metric(CONNECTIONS_CUT, 1.0).await;
    world.until_metric(OPEN, 0.0).await;

    let mut block = vec![0x83, 0x87];
    let signature = hubgate_testkit::events::sign(crate::harness::world::APP_SECRET, b"large");
    for (name, value) in
        [(":path", PATH), (":authority", "hooks.example"), ("x-hub-signature-256", &signature)]
    {
        block.extend(literal(name, value));
    }
    let request =
        [frame(HEADERS, END_HEADERS, 1, &block), frame(DATA, END_STREAM, 1, b"large")].concat();
    let mut meta = h2(&world, world.meta(), 0, &request).await;
    let reset = until_frame(&mut meta, RST_STREAM).await;

    assert_eq!(reset, (1, vec![0, 0, 0, 8]));
    world.until_metric(STREAMS_CUT, 1.0).await;
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 200);
}

/// Hyper is done with such a stream, and nobody can reset it any more.
#[tokio::test]
async fn the_last_piece_of_an_answer_is_waited_for_no_longer_than_the_others() {
    let world = Plan::new().more(SITE).limit("write_timeout_ms = 400").start().await;
    // Of the two bytes, one.
    let mut browser = h2(&world, world.stranger(), 1, &get(1)).await;
    assert_eq!(until_frame(&mut browser, DATA).await, (1, b"o".to_vec()));
    world.until_metric(IN_FLIGHT, 0.0).await;

    world.until_metric(CONNECTIONS_CUT, 1.0).await;
    world.until_metric(OPEN, 0.0).await;
}

#[tokio::test]
async fn a_slow_reader_that_takes_something_now_and_then_gets_all() {
    let world = before(Plan::new().more(SITE)).await;
    let slow_h1 = async {
        let mut browser = narrow_h1(&world, world.stranger()).await;
        browser.send(GET).await;
        for _ in 0..64 {
            browser.read(32 * 1024).await;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        browser.read(8 * MIB - 64 * 32 * 1024).await;
    };
    let slow_h2 = async {
        let mut browser = h2(&world, world.stranger(), 0, &get(1)).await;
        let mut taken = 0;
        for _ in 0..64 {
            let more = [window_update(0, 16 * 1024), window_update(1, 16 * 1024)].concat();
            browser.write_all(&more).await.unwrap();
            tokio::time::sleep(Duration::from_millis(25)).await;
            taken += until_frame(&mut browser, DATA).await.1.len();
        }
        let rest = u32::try_from(8 * MIB).unwrap();
        let more = [window_update(0, rest), window_update(1, rest)].concat();
        browser.write_all(&more).await.unwrap();
        while taken < 8 * MIB {
            taken += match next_frame(&mut browser).await {
                (DATA, 1, payload) => payload.len(),
                (RST_STREAM, ..) => panic!("reset after {taken} bytes"),
                _ => 0,
            };
        }
    };

    tokio::join!(slow_h1, slow_h2);

    assert_eq!((world.metric(CONNECTIONS_CUT), world.metric(STREAMS_CUT)), (0.0, 0.0));
}

/// Whoever waits for the application is not late.
#[tokio::test]
async fn an_answer_that_the_application_is_slow_to_give_is_not_given_up() {
    let app = Application::scripted(|mut stream| async move {
        let mut head = [0; 1024];
        let _request = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await.unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        stream.write_all(b"k").await.unwrap();
    })
    .await;
    let plan = Plan::new().more(SITE).limit("write_timeout_ms = 200");
    let world = plan.start_before(app).await;

    for http in [Http::One, Http::Two] {
        let answer = send(world.stranger().http(http), get_message()).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]), "{http:?}");
    }
}

fn get_message() -> hubgate_testkit::sender::Message {
    hubgate_testkit::sender::Message::new(http::Method::GET).target_path("/page")
}
