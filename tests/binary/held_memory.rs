//! What is counted as held is about what the process takes: bodies in small pieces, unread answers.

use hubgate_testkit::events::sign;
use hubgate_testkit::sender::Sender;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::backend::Backend;
use crate::harness::{APP_SECRET, Admin, PATH, Place, Process, Settings};

const MIB: usize = 1024 * 1024;

/// In each body; a byte each.
const CHUNKS: usize = 32 * 1024;

/// What connections and their buffers take beside, and what the allocator keeps.
const BESIDE_BYTES: usize = 10 * MIB;

#[tokio::test]
async fn bodies_of_one_byte_chunks_take_about_what_is_counted() {
    let (place, process) = before("http://127.0.0.1:9", "body_timeout_ms = 120000").await;
    let resident_before = resident_bytes(&process);
    let mut senders = Vec::new();
    for _ in 0..8 {
        let mut stream = connect(&place, &process).await;
        stream.write_all(head("transfer-encoding: chunked").as_bytes()).await.unwrap();
        for _ in 0..CHUNKS / 1024 {
            stream.write_all(&b"1\r\nx\r\n".repeat(1024)).await.unwrap();
        }
        senders.push(stream);
    }
    let mut admin = Admin::connect(&process).await;
    admin.until_metric("hubgate_body_memory_bytes", |held| held >= (8 * CHUNKS) as f64).await;

    let held = admin.metric("hubgate_body_memory_bytes").await;
    let gain = resident_bytes(&process).saturating_sub(resident_before);
    eprintln!("{held} bytes counted, {gain} bytes resident more than before");
    assert!(gain as f64 <= 2.0 * held + (4 * MIB) as f64, "{gain} bytes for {held}");
    assert!(held <= (3 * 8 * CHUNKS) as f64, "{held} bytes for {}", 8 * CHUNKS);
}

#[tokio::test]
async fn answers_that_nobody_reads_take_no_more_than_they_may() {
    let backend = Backend::answering(|_body| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MIB}\r\nConnection: close\r\n\r\n");
        [head.as_bytes(), &vec![b'x'; MIB]].concat()
    })
    .await;
    let limit = 8 * MIB;
    let (place, process) =
        before(&backend.url(), &format!("response_memory_bytes = {limit}")).await;
    let resident_before = resident_bytes(&process);
    let mut unread = Vec::new();
    for _ in 0..60 {
        let mut stream = connect(&place, &process).await;
        stream.write_all(format!("{}x", head("content-length: 1")).as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        unread.push(stream);
    }

    let gain = resident_bytes(&process).saturating_sub(resident_before);
    let mut admin = Admin::connect(&process).await;
    let omitted = admin.metric("hubgate_response_bodies_omitted_total").await;
    eprintln!("{omitted} bodies omitted, {gain} bytes resident more than before");
    assert!(gain <= 2 * limit + BESIDE_BYTES, "{gain} bytes for {limit}");
    assert!((10.0..60.0).contains(&omitted), "{omitted} bodies were omitted");
}

async fn before(upstream_url: &str, limits: &str) -> (Place, Process) {
    let place = Place::new();
    let settings = Settings {
        upstream_url: upstream_url.to_owned(),
        limits: limits.to_owned(),
        ..Settings::default()
    };
    let process = place.run(&settings).await;
    // What is there once for all connections.
    drop(connect(&place, &process).await);
    (place, process)
}

/// A connection whose kernel takes little ahead.
async fn connect(place: &Place, process: &Process) -> TlsStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let stream = socket.connect(process.address()).await.unwrap();
    Sender::new(place.meta(process)).unwrap().handshake_over(stream).await.unwrap().0
}

/// Of an event whose body is `x`.
fn head(framing: &str) -> String {
    let signature = sign(APP_SECRET, b"x");
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nx-hub-signature-256: {signature}\r\n{framing}\r\n\r\n"
    )
}

fn resident_bytes(process: &Process) -> usize {
    let status = format!("/proc/{}/status", process.id().as_raw_nonzero());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}
