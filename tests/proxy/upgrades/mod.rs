//! Upgrades on sites: what is a WebSocket passes where the site says so, and nothing else ever.

use std::sync::{Arc, Mutex};

use hubgate_testkit::sender::{Http, Message, Sender};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::backend::{Backend, Hop, OK};
use crate::harness::http2::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, literal,
    until_frame,
};
use crate::harness::hypercorn::Hypercorn;
use crate::harness::raw::{Raw, RawAnswer, signed_head, unnamed};
use crate::harness::websocket::{AGREED, HANDSHAKE, KEY, accept, shouting};
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};
use crate::waiting::comes_true;

const SITE: &str = "[[site]]\nupstream = \"app\"\n";
const OPEN_SITE: &str = "[[site]]\nupstream = \"app\"\nwebsocket = true\n";

/// RFC 9113 section 7.
const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];

/// What curl sends with `--http2` to a server without TLS.
const H2C: &str = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\
    http2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";

/// The lines of [`HANDSHAKE`], but for its upgrade.
const REST: &str = "connection: upgrade\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n")
}

/// A forged event, as it would be said on a tunnel of HTTP/2.
fn forged_event() -> Vec<u8> {
    // RFC 7541 appendix A: 3 is `:method: POST`, 6 `:scheme: http`.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [
        (":path", "/webhooks"),
        (":authority", "localhost"),
        ("x-hubgate-verified", "client-certificate, signature"),
        ("client-cert", ":bWFkZSB1cA==:"),
        ("content-length", "2"),
    ] {
        block.extend(literal(name, value));
    }
    [
        PREFACE.to_vec(),
        frame(SETTINGS, 0, 0, &[]),
        frame(HEADERS, END_HEADERS, 3, &block),
        frame(DATA, END_STREAM, 3, b"{}"),
    ]
    .concat()
}

/// Sends a request and behind it, whatever the answer, a forged event; waits for the end.
async fn attack(world: &World, request: &str) -> RawAnswer {
    let mut raw = Raw::connect(world.stranger()).await;
    raw.send(request).await;
    let answer = raw.answer().await;
    let _closed_already = raw.try_send(forged_event()).await;
    raw.drain().await;
    answer
}

fn refused(route: &str, reason: &str) -> String {
    format!("hubgate_refusals_total{{route=\"{route}\",reason=\"{reason}\"}}")
}

/// An application that switches to whatever it is asked for, or else to `h2c`, as often as it can.
struct Credulous {
    backend: Backend,
    /// What each connection brought behind the first head.
    behind: Arc<Mutex<Vec<Vec<u8>>>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Credulous {
    async fn start() -> Self {
        let behind: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (tunnels, journal) = (Arc::clone(&behind), Arc::clone(&heads));
        let backend = Backend::scripted(move |mut hop: Hop| {
            let (tunnels, journal) = (Arc::clone(&tunnels), Arc::clone(&journal));
            async move {
                let Some(head) = hop.head().await else { return };
                let asked = head.lines().find_map(|line| line.strip_prefix("upgrade: "));
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {}\r\n\
                     Sec-WebSocket-Accept: {}\r\n\r\n",
                    asked.unwrap_or("h2c"),
                    accept(KEY)
                );
                journal.lock().unwrap().push(head);
                hop.write(answer.as_bytes()).await;
                let mut said = Vec::new();
                let _gently_or_not = hop.stream.read_to_end(&mut said).await;
                tunnels.lock().unwrap().push(said);
            }
        })
        .await;
        Self { backend, behind, heads }
    }

    /// Waits until so many connections were closed again; nothing came behind any of their heads.
    async fn until_left_alone(&self, connections: usize) {
        let is_closed = async || self.behind.lock().unwrap().len() >= connections;
        let is_closed = comes_true(is_closed).await;
        let behind = self.behind.lock().unwrap();
        assert!(is_closed, "only {} of {connections} connections closed", behind.len());
        assert!(behind.iter().all(Vec::is_empty), "{behind:?}");
    }
}

/// A stranger asks for HTTP/2 in plain text and then posts what nobody has proven.
#[tokio::test]
async fn hypercorn_gets_no_forged_event_over_an_upgrade_to_h2c() {
    for site in [SITE, OPEN_SITE] {
        let Some(app) = Hypercorn::start().await else { return };
        let world = Plan::new().upstream_url(&app.url()).more(site).start().await;

        let answer = attack(&world, &get(H2C)).await;

        let seen = app.seen().await;
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!((&seen[0]["path"], &seen[0]["http"]), (&"/".into(), &"1.1".into()));
        for gone in ["upgrade", "connection", "http2-settings"] {
            assert!(seen[0]["headers"].get(gone).is_none(), "{gone}: {seen:?}");
        }
        world.until_metric("hubgate_connections_open", 0.0).await;
    }
}

#[tokio::test]
async fn hypercorn_speaks_websocket_through_a_site_that_says_so_and_through_no_other() {
    let Some(app) = Hypercorn::start().await else { return };
    let world = Plan::new().upstream_url(&app.url()).more(SITE).start().await;
    let mut raw = Raw::connect(world.stranger()).await;
    raw.send(HANDSHAKE).await;
    assert_eq!(raw.answer().await.status, 403);
    world.until_metric(&refused("/", "websocket_not_allowed"), 1.0).await;

    world.edit_config("[[site]]", "[[site]]\nwebsocket = true");
    world.reload();
    let mut raw = Raw::connect(world.stranger()).await;
    raw.send(HANDSHAKE).await;
    let answer = raw.answer().await;
    assert_eq!(answer.status, 101, "{answer:?}");
    assert!(answer.head.contains("\r\nupgrade: websocket\r\n"), "{answer:?}");
    // A text frame of a client is masked, here with zeros; that of a server is not.
    raw.send(b"\x81\x82\0\0\0\0hi").await;
    assert_eq!(raw.read(4).await, b"\x81\x02hi");
    world.until_metric("hubgate_tunnels_open", 1.0).await;
    // A close, and the answer to it.
    raw.send(b"\x88\x80\0\0\0\0").await;
    raw.drain().await;
    drop(raw);
    world.until_metric("hubgate_tunnels_ended_total{reason=\"closed\"}", 1.0).await;
    world.until_metric("hubgate_tunnels_open", 0.0).await;

    // Where the application has none, there is no tunnel either.
    let mut raw = Raw::connect(world.stranger()).await;
    raw.send(HANDSHAKE.replacen("/ws", "/", 1)).await;
    assert_eq!(raw.answer().await.status / 100, 4);
    assert_eq!(world.metric("hubgate_tunnels_open"), 0.0);
}

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

/// RFC 6455 section 4.1: a 101 that says anything else is a failure.
#[tokio::test]
async fn a_101_that_does_not_agree_to_the_websocket_is_no_answer() {
    let answers = [
        AGREED.replacen("Upgrade: websocket", "Upgrade: h2c", 1),
        AGREED.replacen("Upgrade: websocket", "Upgrade: websocket, h2c", 1),
        AGREED.replacen("Upgrade: websocket", "Upgrade: websocket/13", 1),
        AGREED.replacen("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: h2c", 1),
        AGREED.replacen("Upgrade: websocket\r\n", "", 1),
        AGREED.replacen("Connection: Upgrade\r\n", "", 1),
        AGREED.replacen("Connection: Upgrade", "Connection: close", 1),
        AGREED.replacen(&accept(KEY), &accept("AAAAAAAAAAAAAAAAAAAAAA=="), 1),
        AGREED.replacen(&accept(KEY), &accept(KEY).to_lowercase(), 1),
        AGREED.replacen(&accept(KEY), "", 1),
        AGREED.replacen("Sec-WebSocket-Accept", "X-Accept", 1),
        format!("{}Sec-WebSocket-Accept: {}\r\n\r\n", &AGREED[..AGREED.len() - 2], accept(KEY)),
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
    ];
    for answer in answers {
        let behind: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
        let (script, said) = (answer.clone(), Arc::clone(&behind));
        let backend = Backend::scripted(move |mut hop: Hop| {
            let (script, said) = (script.clone(), Arc::clone(&said));
            async move {
                let _head = hop.head().await;
                hop.write(script.as_bytes()).await;
                let mut rest = Vec::new();
                let _gently_or_not = hop.stream.read_to_end(&mut rest).await;
                *said.lock().unwrap() = Some(rest);
            }
        })
        .await;
        let world = Plan::new().upstream_url(&backend.url()).more(OPEN_SITE).start().await;

        assert_eq!(attack(&world, HANDSHAKE).await.status, 502, "{answer}");

        world.until_metric(&refused("/", "upstream_malformed"), 1.0).await;
        let is_closed = comes_true(async || behind.lock().unwrap().is_some()).await;
        assert!(is_closed, "left open after {answer}");
        assert_eq!(behind.lock().unwrap().as_deref(), Some(&b""[..]), "{answer}");
    }
}

#[tokio::test]
async fn answers_before_the_answer_decide_nothing() {
    let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\
                 Upgrade: h2c\r\nConnection: upgrade\r\n\r\n";
    let backend = Backend::scripted(move |mut hop: Hop| async move {
        while let Some(head) = hop.head().await {
            let is_handshake = head.contains("\r\nupgrade: websocket\r\n");
            hop.write(early.as_bytes()).await;
            hop.write(if is_handshake { AGREED.as_bytes() } else { OK }).await;
            if is_handshake {
                return hop.until_closed().await;
            }
        }
    })
    .await;
    let world = Plan::new().upstream_url(&backend.url()).more(OPEN_SITE).start().await;

    let mut raw = Raw::connect(world.stranger()).await;
    raw.send(get(H2C)).await;
    assert_eq!(raw.answer().await.status, 200);
    raw.send(HANDSHAKE).await;
    assert_eq!(raw.answer().await.status, 101);
}

#[tokio::test]
async fn settings_of_http_2_never_pass_to_a_webhook_and_a_101_from_there_is_no_answer() {
    let world = Plan::new().more(SITE).start().await;
    let mut raw = Raw::connect(world.meta()).await;
    raw.send(signed_head(b"", "http2-settings: AAMAAABk\r\ncontent-length: 0\r\n")).await;
    assert_eq!(raw.answer().await.status, 200);
    assert!(!world.app.only().headers.contains_key("http2-settings"));
    raw.send(signed_head(b"", &format!("{H2C}content-length: 0\r\n"))).await;
    assert_eq!(raw.answer().await.status, 400);
    world.until_refused("upgrade_not_allowed", 1).await;
    world.app.only();

    let app = Credulous::start().await;
    let world = Plan::new().upstream_url(&app.backend.url()).start().await;
    assert_eq!(send(world.meta(), event("{}")).await.unwrap().status, 502);
    world.until_refused("upstream_malformed", 1).await;
    let heads = app.heads.lock().unwrap().clone();
    assert!(heads.len() == 1 && heads[0].starts_with("POST /webhooks "), "{heads:?}");
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
