//! Answers of an application that would switch protocols.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt as _;

use super::{Credulous, H2C, OPEN_SITE, SITE, attack, get, refused};
use crate::harness::Plan;
use crate::harness::backend::{Backend, Hop, OK};
use crate::harness::raw::{Raw, signed_head};
use crate::harness::websocket::{AGREED, HANDSHAKE, KEY, accept};
use crate::harness::world::{event, send};
use crate::waiting::comes_true;

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
