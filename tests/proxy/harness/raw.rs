//! HTTP/1.1 written by hand over TLS, for what a careful client never sends.

use hubgate_testkit::events::sign;
use hubgate_testkit::sender::{Options, Sender};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::world::{APP_SECRET, PATH};
use crate::waiting::PATIENCE;

/// As a caller that does not say in TLS which host it wants: its requests may name any.
pub fn unnamed(options: Options) -> Options {
    options.server_name("127.0.0.1".try_into().unwrap())
}

/// An open connection, and what was read from it and not taken yet.
pub struct Raw<S = TlsStream<TcpStream>> {
    stream: S,
    unread: Vec<u8>,
}

/// One answer, `100 Continue` among them.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Raw {
    pub async fn connect(options: Options) -> Self {
        let sender = Sender::new(unnamed(options)).unwrap();
        let (stream, _) = sender.handshake().await.unwrap();
        Self { stream, unread: Vec::new() }
    }

    /// The same over a connection that somebody opened, and may have written to.
    pub async fn over(stream: TcpStream, options: Options) -> Self {
        let sender = Sender::new(unnamed(options)).unwrap();
        let (stream, _) = sender.handshake_over(stream).await.unwrap();
        Self { stream, unread: Vec::new() }
    }
}

impl Raw<TcpStream> {
    /// Without TLS.
    pub fn plain(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Writes bytes as they are; the proxy must take them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// Writes bytes as they are; the proxy may have closed before it took them.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// The next answer, whole.
    pub async fn answer(&mut self) -> RawAnswer {
        self.answer_or_end().await.expect("the connection ended without an answer")
    }

    /// The next answer, or `None` if the connection ended before its first byte.
    pub async fn answer_or_end(&mut self) -> Option<RawAnswer> {
        let end_of_head = loop {
            let found = self.unread.windows(4).position(|four| four == b"\r\n\r\n");
            match found {
                Some(position) => break position + 4,
                None if self.read_more().await => {}
                None if self.unread.is_empty() => return None,
                None => panic!("broken head: {:?}", String::from_utf8_lossy(&self.unread)),
            }
        };
        let head: Vec<u8> = self.unread.drain(..end_of_head).collect();
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        while self.unread.len() < length {
            assert!(self.read_more().await, "broken body after {head}");
        }
        let body = self.unread.drain(..length).collect();
        Some(RawAnswer { status, head, body })
    }

    /// The next answer, of which this was read already.
    pub async fn answer_after(&mut self, begin: &[u8]) -> RawAnswer {
        self.unread.splice(..0, begin.iter().copied());
        self.answer().await
    }

    /// So many bytes, whatever they say.
    pub async fn read(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(self.read_more().await, "ended before {count} bytes");
        }
        self.unread.drain(..count).collect()
    }

    /// Waits until the proxy closes; nothing more may come before.
    pub async fn until_closed(&mut self) {
        while self.read_more().await {}
        assert!(self.unread.is_empty(), "{:?}", String::from_utf8_lossy(&self.unread));
    }

    /// Reads whatever comes until the proxy closes.
    pub async fn drain(&mut self) -> Vec<u8> {
        while self.read_more().await {}
        std::mem::take(&mut self.unread)
    }

    /// Whether there was something to read; else the connection is over, gently or not.
    async fn read_more(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.unread);
        let read = tokio::time::timeout(PATIENCE, read).await.expect("neither bytes nor an end");
        read.is_ok_and(|count| count > 0)
    }
}

/// Reads until the proxy closes; what it said before is not HTTP.
pub async fn until_hung_up(stream: &mut TcpStream) {
    let mut said = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said));
    let _gently_or_not = closed.await.expect("must be closed");
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

/// The head of a signed event with these header lines more, each with its line end.
pub fn signed_head(body: &[u8], more: &str) -> String {
    let signature = sign(APP_SECRET, body);
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: hooks.example\r\nx-hub-signature-256: {signature}\r\n{more}\r\n"
    )
}

/// A signed event, whole.
pub fn signed_event(body: &[u8]) -> Vec<u8> {
    let mut bytes = signed_head(body, &format!("content-length: {}\r\n", body.len())).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
