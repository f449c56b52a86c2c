//! HTTP/2 written by hand, for what a careful client never sends.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// RFC 9113 section 6.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// One frame (RFC 9113 section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header, written out and not remembered (RFC 7541 section 6.2.2); neither part is long.
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut literal = vec![0];
    for text in [name, value] {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 0x7f, "`{text}` is too long for one byte of length");
        literal.push(length);
        literal.extend_from_slice(text.as_bytes());
    }
    literal
}

/// Reads frames until one of this kind; its stream and payload.
pub async fn until_frame(stream: &mut (impl AsyncRead + Unpin), kind: u8) -> (u32, Vec<u8>) {
    let wanted = async {
        loop {
            let (read, id, payload) = next_frame(stream).await;
            if read == kind {
                return (id, payload);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wanted).await.expect("no such frame")
}

/// The next frame: its kind, stream and payload.
pub async fn next_frame(stream: &mut (impl AsyncRead + Unpin)) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("ended without that frame");
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.unwrap();
    (head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload)
}
