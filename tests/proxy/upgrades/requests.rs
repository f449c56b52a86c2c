//! Requests that ask for another protocol.

use hubgate_testkit::sender::{Http, Message, Sender};
use tokio::io::AsyncWriteExt as _;

use super::{Credulous, H2C, OPEN_SITE, REST, SITE, attack, get, refused};
use crate::harness::Plan;
use crate::harness::http2::{
    END_HEADERS, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, literal, until_frame,
};
use crate::harness::raw::{Raw, unnamed};
use crate::harness::websocket::{HANDSHAKE, KEY, shouting};
use crate::harness::world::send;

/// RFC 9113 section 7.
const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];

#[tokio::test]
async fn a_handshake_at_a_site_that_allows_no_websocket_is_refused() {
    let exact = "[[site]]\nupstream = \"app\"\npath = \"/closed\"\n";
    let app = Credulous::start().await;
    let world = Plan::new().upstream_url(&app.backend.url()).more(OPEN_SITE).more(exact).start();
    let world = world.await;
    let at = |path: &str| HANDSHAKE.replacen("/ws", path, 1);

    assert_eq!(attack(&world, &at("/closed/ws")).await.status, 403);

    world.until_metric(&refused("/closed", "websocket_not_allowed"), 1.0).await;
    world.assert_application_untouched();
    let mut raw = Raw::connect(world.stranger()).await;
    raw.send(at("/open")).await;
    assert_eq!(raw.answer().await.status, 101);
}

/// Each is an ordinary request, less its upgrade; an application that switches all the same fails.
#[tokio::test]
async fn an_upgrade_to_anything_else_is_dropped_and_a_101_to_it_is_no_answer() {
    let requests = [
        get(H2C),
        get("connection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"),
        get("connection: upgrade\r\nupgrade: TLS/1.0\r\n"),
        get("connection: upgrade\r\nupgrade: foo\r\n"),
        get("connection: upgrade\r\nupgrade: h2c, TLS/1.2\r\n"),
        get("connection: upgrade\r\nupgrade: h2c\r\nupgrade: foo\r\n"),
        get("connection: upgrade\r\nupgrade: websockets\r\n"),
        get("connection: upgrade\r\n"),
        get("upgrade: h2c\r\n"),
        get("http2-settings: AAMAAABk\r\n"),
        get(REST),
        get("connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n") + "{}",
        get(H2C).replacen("GET", "POST", 1),
        // RFC 9110 section 7.8: of no meaning in HTTP/1.0.
        get(&format!("{REST}upgrade: websocket\r\n")).replacen("HTTP/1.1", "HTTP/1.0", 1),
    ];
    for site in [SITE, OPEN_SITE] {
        let app = Credulous::start().await;
        let world = Plan::new().upstream_url(&app.backend.url()).more(site).start().await;
        for request in &requests {
            assert_eq!(attack(&world, request).await.status, 502, "{request}");
        }
        app.until_left_alone(requests.len()).await;
        world.until_metric(&refused("/", "upstream_malformed"), requests.len() as f64).await;
        for head in app.heads.lock().unwrap().iter() {
            for gone in ["\nupgrade:", "\nconnection:", "\nhttp2-settings:"] {
                assert!(!head.to_ascii_lowercase().contains(gone), "{head}");
            }
        }
        assert_eq!(world.metric("hubgate_tunnels_ended_total{reason=\"closed\"}"), 0.0);

        let world = Plan::new().more(site).start().await;
        for (index, request) in requests.iter().enumerate() {
            assert_eq!(attack(&world, request).await.status, 200, "{request}");
            let received = world.app.received();
            assert_eq!(received.len(), index + 1, "{request}");
            for gone in ["upgrade", "connection", "http2-settings"] {
                assert!(!received[index].headers.contains_key(gone), "{request}");
            }
        }
    }
}

#[tokio::test]
async fn what_names_a_websocket_and_is_no_handshake_for_it_alone_is_refused() {
    let with = |upgrade: &str| get(&format!("{REST}upgrade: {upgrade}\r\n"));
    let good = with("websocket");
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "sec-websocket-version: 13\r\n";
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replacen(from, to, 1)
    };
    let requests = [
        with("websocket, h2c"),
        with("h2c, websocket"),
        with("h2c,WebSocket,TLS/1.0"),
        with("websocket/13"),
        with("websocket,"),
        with("websocket\r\nupgrade: h2c"),
        with("h2c\r\nupgrade: websocket"),
        with("websocket\r\nupgrade: websocket"),
        replaced("GET", "POST"),
        replaced("GET", "PUT"),
        replaced("GET", "OPTIONS"),
        replaced("upgrade: websocket\r\n", "upgrade: websocket\r\ncontent-length: 2\r\n") + "{}",
        replaced("upgrade: websocket\r\n", "upgrade: websocket\r\ntransfer-encoding: chunked\r\n")
            + "0\r\n\r\n",
        replaced("connection: upgrade\r\n", ""),
        replaced("connection: upgrade\r\n", "connection: keep-alive\r\n"),
        replaced(key, ""),
        replaced(key, &key.repeat(2)),
        replaced(KEY, "dGhlIHNhbXBsZSBub24="),
        replaced(KEY, "dGhlIHNhbXBsZSBub25jZQ"),
        replaced(KEY, ""),
        replaced(KEY, "not base64 at all"),
        replaced(version, ""),
        replaced(version, &version.repeat(2)),
        replaced(version, "sec-websocket-version: 8\r\n"),
        replaced(version, "sec-websocket-version: 13, 8\r\n"),
    ];
    for site in [SITE, OPEN_SITE] {
        let app = Credulous::start().await;
        let world = Plan::new().upstream_url(&app.backend.url()).more(site).start().await;
        for request in &requests {
            assert_eq!(attack(&world, request).await.status, 400, "{request}");
        }
        world.until_metric(&refused("/", "websocket_invalid"), requests.len() as f64).await;
        world.assert_application_untouched();
    }
    // What they were made of is in order: the refusals above are for what was changed.
    let world = Plan::new().more(OPEN_SITE).start_before(shouting().await).await;
    let mut raw = Raw::connect(world.stranger()).await;
    raw.send(&good).await;
    assert_eq!(raw.answer().await.status, 101);
}

/// RFC 8441 is not supported: the settings do not offer it, and its request is an error of the stream.
#[tokio::test]
async fn a_websocket_over_http_2_is_not_offered_and_refused_without_a_word_to_the_application() {
    let app = Credulous::start().await;
    let world = Plan::new().upstream_url(&app.backend.url()).more(OPEN_SITE).start().await;
    let sender = Sender::new(unnamed(world.stranger().http(Http::Two))).unwrap();
    let (mut stream, _) = sender.handshake().await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let settings = until_frame(&mut stream, SETTINGS).await.1;
    // RFC 8441 section 3: 8 is SETTINGS_ENABLE_CONNECT_PROTOCOL.
    assert!(!settings.chunks(6).any(|setting| setting.starts_with(&[0, 8])), "{settings:?}");

    // RFC 7541 appendix A: 7 is `:scheme: https`.
    let extended = [
        literal(":method", "CONNECT"),
        literal(":protocol", "websocket"),
        vec![0x87],
        literal(":path", "/ws"),
        literal(":authority", "localhost"),
        literal("sec-websocket-version", "13"),
    ];
    let plain = [literal(":method", "CONNECT"), literal(":authority", "localhost:443")];
    stream.write_all(&frame(HEADERS, END_HEADERS, 1, &extended.concat())).await.unwrap();
    assert_eq!(until_frame(&mut stream, RST_STREAM).await, (1, PROTOCOL_ERROR.to_vec()));
    stream.write_all(&frame(HEADERS, END_HEADERS, 3, &plain.concat())).await.unwrap();
    let (id, block) = until_frame(&mut stream, HEADERS).await;
    // RFC 7541: the name `:status`, and "405" in the code of its appendix B.
    assert!(id == 3 && block.starts_with(&[0x48, 0x83, 0x68, 0x0d, 0xff]), "{block:?}");
    world.until_metric(&refused("none", "method_not_allowed"), 1.0).await;
    world.assert_application_untouched();

    // Its headers alone are no handshake there.
    let message = Message::new(http::Method::GET)
        .target_path("/ws")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY);
    let answer = send(world.stranger().http(Http::Two), message).await.unwrap();
    assert_eq!(answer.status, 502);
    app.until_left_alone(1).await;
}
