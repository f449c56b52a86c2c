//! A real application that takes an upgrade to h2c and speaks WebSocket.

use super::{H2C, OPEN_SITE, SITE, attack, get, refused};
use crate::harness::Plan;
use crate::harness::hypercorn::Hypercorn;
use crate::harness::raw::Raw;
use crate::harness::websocket::HANDSHAKE;

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
