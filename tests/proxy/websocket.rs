//! A browser, which has no client certificate, and what it speaks after a page: WebSockets.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use hubgate_testkit::sender::{Http, Message, Sender};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::harness::Plan;
use crate::harness::application::Application;
use crate::harness::backend::{Backend, Hop, OK};
use crate::harness::raw::Raw;
use crate::harness::websocket::{ACCEPT, AGREED, HANDSHAKE, KEY, Shouted, accept, shouting};
use crate::harness::world::{event, send};

const SITE: &str = "[[site]]\nupstream = \"app\"\nwebsocket = true\n";

#[tokio::test]
async fn a_browser_loads_a_page_and_echoes_over_a_websocket_where_the_webhook_is_closed_to_it() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let backend = Backend::scripted(move |hop| serve(hop, Arc::clone(&counter))).await;
    let world = Plan::new().upstream_url(&backend.url()).more(SITE).start().await;
    let browser = || world.stranger();

    let page = Message::new(Method::GET).target_path("/chat");
    assert_eq!(send(browser().http(Http::Two), page).await.unwrap().status, 200);
    let (mut stream, _) = Sender::new(browser()).unwrap().handshake().await.unwrap();
    stream.write_all(BROWSERS.as_bytes()).await.unwrap();
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("upgrade: websocket\r\n"), "{answer}");
    assert!(answer.contains("connection: upgrade\r\n"), "{answer}");
    let accept = format!("sec-websocket-accept: {}\r\n", ACCEPT.to_lowercase());
    assert!(answer.contains(&accept), "{answer}");

    let lengths = [0, 1, 125, 126, 65_535, 65_536, 1_000_000];
    for length in lengths {
        let said = vec![b'x'; length];
        write_frame(&mut stream, TEXT, &said, Some(MASK)).await;
        assert_eq!(read_frame(&mut stream).await, (TEXT, said));
    }
    write_frame(&mut stream, PING, b"still there?", Some(MASK)).await;
    assert_eq!(read_frame(&mut stream).await, (PONG, b"still there?".to_vec()));
    write_frame(&mut stream, CLOSE, &[], Some(MASK)).await;
    assert_eq!(read_frame(&mut stream).await, (CLOSE, Vec::new()));
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "closed with the application");
    drop(stream);

    for http in [Http::One, Http::Two] {
        let answer = send(browser().http(http), event("{}")).await.unwrap();
        assert_eq!(answer.status, 403);
    }
    world.until_refused("certificate_missing", 2).await;
    assert_eq!(requests.load(Relaxed), 2, "the page and the WebSocket alone");
    world.until_metric("hubgate_connections_open", 0.0).await;
}

#[tokio::test]
async fn a_handshake_passes_as_it_came_but_for_what_is_no_part_of_it() {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let journal = Arc::clone(&heads);
    let backend = Backend::scripted(move |mut hop: Hop| {
        let journal = Arc::clone(&journal);
        async move {
            let Some(head) = hop.head().await else { return };
            journal.lock().unwrap().push(head.to_ascii_lowercase());
            hop.write(AGREED.as_bytes()).await;
            hop.until_closed().await;
        }
    })
    .await;
    let world = Plan::new().upstream_url(&backend.url()).more(SITE).start().await;
    for connection in [
        "Upgrade, HTTP2-Settings",
        "keep-alive\r\nconnection: Upgrade",
        "upgrade, sec-websocket-key",
    ] {
        let lines = format!(
            "connection: {connection}\r\nupgrade: WebSocket\r\nhttp2-settings: AAMAAABk\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\ncontent-length: 0\r\n\
             sec-websocket-protocol: chat\r\nclient-cert: :bWFkZSB1cA==:\r\n"
        );
        let mut raw = Raw::connect(world.stranger()).await;
        raw.send(format!("GET / HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n")).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 101, "{connection}: {answer:?}");
        let head = heads.lock().unwrap().pop().unwrap();
        for line in ["connection: upgrade", "upgrade: websocket", "sec-websocket-protocol: chat"] {
            assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line}: {head}");
        }
        assert_eq!(head.matches("\r\nsec-websocket-key:").count(), 1, "{head}");
        for gone in ["http2-settings", "client-cert", "content-length", "keep-alive"] {
            assert!(!head.contains(gone), "{gone}: {head}");
        }
    }
}

#[tokio::test]
async fn an_application_may_decline_a_websocket_and_the_connection_goes_on() {
    let app = Application::answering(|_| {
        Response::builder().status(401).body(Full::new(Bytes::from_static(b"log in"))).unwrap()
    })
    .await;
    let world = Plan::new().more(SITE).start_before(app).await;
    let mut raw = Raw::connect(world.stranger()).await;
    for _ in 0..2 {
        raw.send(HANDSHAKE).await;
        assert_eq!(raw.answer().await.status, 401);
    }
    assert_eq!(world.app.received().len(), 2);
}

#[tokio::test]
async fn what_comes_behind_a_handshake_reaches_the_application_only_in_a_tunnel() {
    let world = Plan::new().more(SITE).start().await;
    let mut raw = Raw::connect(world.stranger()).await;
    let forged = "POST /webhooks HTTP/1.1\r\nhost: localhost\r\n\
                  x-hubgate-verified: client-certificate, signature\r\ncontent-length: 2\r\n\r\n{}";

    raw.send(format!("{HANDSHAKE}{forged}")).await;

    // The application does not switch, so what follows is a request like any other.
    assert_eq!(raw.answer().await.status, 200);
    assert_eq!(raw.answer().await.status, 403);
    assert_eq!(world.app.only().uri.path(), "/ws");

    let world = Plan::new().more(SITE).start_before(shouting().await).await;
    let mut raw = Raw::connect(world.stranger()).await;
    raw.send(format!("{HANDSHAKE}first words")).await;
    assert_eq!(raw.answer().await.status, 101);
    assert_eq!(raw.read(11).await, b"FIRST WORDS");
}

#[tokio::test]
async fn a_websocket_is_carried_both_ways_and_holds_its_places_until_it_ends() {
    let world = Plan::new().more(SITE).start_before(shouting().await).await;

    let mut tunnel = Shouted::open(world.stranger()).await;

    for word in ["hello", "again"] {
        tunnel.is_alive(word).await;
    }
    for series in ["hubgate_connections_open", "hubgate_tunnels_open"] {
        assert_eq!(world.metric(series), 1.0, "{series}");
    }
    world.until_metric("hubgate_requests_in_flight", 0.0).await;
    drop(tunnel);
    for series in ["hubgate_connections_open", "hubgate_requests_in_flight", "hubgate_tunnels_open"]
    {
        world.until_metric(series, 0.0).await;
    }
}

#[tokio::test]
async fn a_websocket_on_which_nothing_is_said_is_ended() {
    let site = format!("{SITE}idle_timeout_ms = 100\n");
    let world = Plan::new().more(&site).start_before(shouting().await).await;
    let tunnel = Shouted::open(world.stranger()).await;
    tunnel.until_ended().await;
    world.until_metric("hubgate_tunnels_ended_total{reason=\"idle\"}", 1.0).await;
}

/// The example of RFC 6455, section 1.3, as a browser says it.
const BROWSERS: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\n\
    Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n\
    Sec-Fetch-Mode: websocket\r\nCookie: session=1\r\n\r\n";

/// An application with a page and a WebSocket that says everything back.
async fn serve(mut hop: Hop, requests: Arc<AtomicUsize>) {
    let head = loop {
        let head = hop.head().await.unwrap_or_default().to_lowercase();
        if head.is_empty() {
            return;
        }
        requests.fetch_add(1, Relaxed);
        if head.contains("upgrade: websocket\r\n") {
            break head;
        }
        hop.write(OK).await;
    };
    for line in ["connection: upgrade", "sec-websocket-version: 13", "cookie: session=1"] {
        assert!(head.contains(&format!("{line}\r\n")), "{head}");
    }
    assert!(head.contains("origin: https://localhost\r\n") && !head.contains("hubgate"), "{head}");
    // Lower-cased above, and the key is not: it is the example's.
    let key = format!("sec-websocket-key: {}\r\n", KEY.to_lowercase());
    assert!(head.contains(&key), "{head}");
    let accept = accept(KEY);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    );
    hop.write(answer.as_bytes()).await;
    loop {
        let (kind, said) = read_frame(&mut hop.stream).await;
        let kind = if kind == PING { PONG } else { kind };
        write_frame(&mut hop.stream, kind, &said, None).await;
        if kind == CLOSE {
            return;
        }
    }
}

// RFC 6455, section 5.2: with the bit that says that this frame is the last of its message.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client masks, a server does not.
async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    said: &[u8],
    mask: Option<[u8; 4]>,
) {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![kind];
    match (u8::try_from(said.len()), u16::try_from(said.len())) {
        (Ok(length @ ..126), _) => frame.push(masked | length),
        (_, Ok(length)) => {
            frame.push(masked | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(masked | 127);
            frame.extend((said.len() as u64).to_be_bytes());
        }
    }
    frame.extend(mask.into_iter().flatten());
    frame.extend(unmasked(said, mask.unwrap_or_default()));
    stream.write_all(&frame).await.unwrap();
    stream.flush().await.unwrap();
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let kind = stream.read_u8().await.unwrap();
    let second = stream.read_u8().await.unwrap();
    let length = match second & 0x7f {
        126 => u64::from(stream.read_u16().await.unwrap()),
        127 => stream.read_u64().await.unwrap(),
        length => u64::from(length),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        stream.read_exact(&mut mask).await.unwrap();
    }
    let mut said = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut said).await.unwrap();
    (kind, unmasked(&said, mask))
}

fn unmasked(said: &[u8], mask: [u8; 4]) -> Vec<u8> {
    said.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

/// An answer's head, in lower case, and nothing behind it.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}
