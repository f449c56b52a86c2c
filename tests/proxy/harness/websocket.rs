//! Both halves of a WebSocket's opening handshake, and an application that says everything back.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hubgate_testkit::sender::Options;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::application::Application;
use super::raw::Raw;

/// The key of RFC 6455 section 1.3, and what agrees to it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A handshake at `/ws` as it must be.
pub const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// An application's agreement to [`KEY`].
pub const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The value that agrees to this key.
pub fn accept(key: &str) -> String {
    let salted = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, salted.as_bytes()))
}

/// An application that agrees, whatever it is asked, and says everything back in upper case.
pub async fn shouting() -> Application {
    Application::scripted(|mut stream| async move {
        let mut buffer = [0; 4096];
        let _head = stream.read(&mut buffer).await;
        let _gone_perhaps = stream.write_all(AGREED.as_bytes()).await;
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            let _gone_perhaps = stream.write_all(&buffer[..count].to_ascii_uppercase()).await;
        }
    })
    .await
}

/// A caller's end of a tunnel to [`shouting`].
pub struct Shouted {
    raw: Raw,
}

impl Shouted {
    /// Opens it; the application must have agreed.
    pub async fn open(options: Options) -> Self {
        let mut raw = Raw::connect(options).await;
        raw.send(HANDSHAKE).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 101, "{answer:?}");
        let mut shouted = Self { raw };
        shouted.is_alive("first").await;
        shouted
    }

    /// It carries what is said both ways.
    pub async fn is_alive(&mut self, said: &str) {
        self.raw.send(said).await;
        assert_eq!(self.raw.read(said.len()).await, said.to_ascii_uppercase().as_bytes());
    }

    /// Waits until it is over; nothing more may come.
    pub async fn until_ended(mut self) {
        self.raw.until_closed().await;
    }
}
