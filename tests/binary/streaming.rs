//! A gibibyte through a site, either way: the process stays as small as it was.

use hubgate_testkit::sender::Sender;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::backend::Backend;
use crate::harness::{Place, Process, Settings};

#[tokio::test]
async fn a_gibibyte_from_the_application_streams_through_in_flat_memory() {
    let backend = Backend::scripted(|mut hop| async move {
        hop.head().await.unwrap();
        hop.write(head("HTTP/1.1 200 OK", BODY_BYTES).as_bytes()).await;
        give(&mut hop.stream, BODY_BYTES, |_given| {}).await;
    })
    .await;
    let (place, process) = before(&backend).await;
    let mut memory = Memory::of(&process);
    let mut stream = connect(&place, &process).await;

    stream.write_all(b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    take(&mut stream, BODY_BYTES, |taken| memory.look(taken)).await;

    memory.assert_flat("download");
}

#[tokio::test]
async fn a_gibibyte_to_the_application_streams_through_in_flat_memory() {
    let backend = Backend::scripted(|mut hop| async move {
        let head = read_head(&mut hop.stream).await;
        assert!(head.contains(&format!("content-length: {BODY_BYTES}\r\n")), "{head}");
        take(&mut hop.stream, BODY_BYTES, |_taken| {}).await;
        hop.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        hop.until_closed().await;
    })
    .await;
    let (place, process) = before(&backend).await;
    let mut memory = Memory::of(&process);
    let mut stream = connect(&place, &process).await;

    let request = head("POST /file HTTP/1.1\r\nHost: localhost", BODY_BYTES);
    stream.write_all(request.as_bytes()).await.unwrap();
    give(&mut stream, BODY_BYTES, |given| memory.look(given)).await;
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));

    memory.assert_flat("upload");
}

const BODY_BYTES: u64 = 1 << 30;

/// Far above what buffers and allocator take for one stream, far below what is streamed.
const MEMORY_GAIN_MAX_BYTES: u64 = 48 << 20;

/// Between two looks at the memory.
const LOOK_EVERY_BYTES: u64 = 32 << 20;

/// A process with a site, for a browser.
async fn before(backend: &Backend) -> (Place, Process) {
    let place = Place::new();
    let settings = Settings {
        upstream_url: backend.url(),
        more: format!(
            "[[site]]\nupstream = \"app\"\nbody_max_bytes = {BODY_BYTES}\ntimeout_ms = 600000\n"
        ),
        ..Settings::default()
    };
    let process = place.run(&settings).await;
    (place, process)
}

async fn connect(place: &Place, process: &Process) -> TlsStream<TcpStream> {
    Sender::new(place.stranger(process)).unwrap().handshake().await.unwrap().0
}

fn head(first_lines: &str, length: u64) -> String {
    format!("{first_lines}\r\nContent-Length: {length}\r\n\r\n")
}

/// Reads to the end of a head, byte by byte so as to take nothing of the body.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Writes a body of so many bytes.
async fn give(stream: &mut (impl AsyncWrite + Unpin), length: u64, mut look: impl FnMut(u64)) {
    let pattern = pattern();
    let mut given = 0;
    while given < length {
        stream.write_all(&pattern).await.unwrap();
        given += pattern.len() as u64;
        look(given);
    }
    assert_eq!(given, length);
    stream.flush().await.unwrap();
}

/// Reads such a body, and looks that every byte of it is right.
async fn take(stream: &mut (impl AsyncRead + Unpin), length: u64, mut look: impl FnMut(u64)) {
    let pattern = pattern();
    let mut piece = vec![0; pattern.len()];
    let mut taken = 0;
    while taken < length {
        stream.read_exact(&mut piece).await.unwrap();
        assert!(piece == pattern, "after {taken} bytes");
        taken += piece.len() as u64;
        look(taken);
    }
}

/// What a body repeats: a shift, a gap or a swap within it would be seen.
fn pattern() -> Vec<u8> {
    let words = (0..16 * 1024_u32).map(|word| word.wrapping_mul(0x9e37_79b9));
    words.flat_map(u32::to_le_bytes).collect()
}

/// What a process has in memory, from before a stream to its end.
struct Memory {
    status: String,
    at_start: u64,
    highest: u64,
    looks: u64,
}

impl Memory {
    fn of(process: &Process) -> Self {
        let status = format!("/proc/{}/status", process.id().as_raw_nonzero());
        let at_start = resident_bytes(&status);
        Self { status, at_start, highest: at_start, looks: 0 }
    }

    /// Called often; looks now and then.
    fn look(&mut self, streamed: u64) {
        if streamed.is_multiple_of(LOOK_EVERY_BYTES) {
            self.looks += 1;
            self.highest = self.highest.max(resident_bytes(&self.status));
        }
    }

    fn assert_flat(&self, what: &str) {
        let Self { at_start, highest, looks, .. } = self;
        let gain = highest - at_start;
        eprintln!(
            "{what} of {} MiB: {:.1} MiB resident before, at most {:.1} MiB in {looks} looks",
            BODY_BYTES >> 20,
            mebibytes(*at_start),
            mebibytes(*highest),
        );
        assert_eq!(*looks, BODY_BYTES / LOOK_EVERY_BYTES);
        assert!(gain <= MEMORY_GAIN_MAX_BYTES, "{gain} bytes more than before");
    }
}

fn resident_bytes(status: &str) -> u64 {
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
