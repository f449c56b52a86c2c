//! Upgrades on sites: what is a WebSocket passes where the site says so, and nothing else ever.

mod answers;
mod hypercorn;
mod requests;

use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt as _;

use crate::harness::World;
use crate::harness::backend::{Backend, Hop};
use crate::harness::http2::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame, literal,
};
use crate::harness::raw::{Raw, RawAnswer};
use crate::harness::websocket::{KEY, accept};
use crate::waiting::comes_true;

const SITE: &str = "[[site]]\nupstream = \"app\"\n";
const OPEN_SITE: &str = "[[site]]\nupstream = \"app\"\nwebsocket = true\n";

/// What curl sends with `--http2` to a server without TLS.
const H2C: &str = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\
    http2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";

/// The lines of a WebSocket handshake, but for its upgrade.
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
