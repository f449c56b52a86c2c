//! The lingering close: our side is shut, and what the caller still sends is thrown away for a
//! while, so that it can read our last bytes.
//!
//! A socket that is closed while bytes lie unread in it is reset by the kernel, and the reset can
//! overtake what was sent before (RFC 9112 section 9.6). Bounds in bytes are here; the time is that
//! of [`close`], or, while HTTP is spoken, of [`super::timeouts`].

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What may still be thrown away.
#[derive(Debug)]
pub(crate) struct Linger {
    left_bytes: usize,
}

impl Linger {
    /// After an answer: twice the default body limit, since a sender that ignores our answer for
    /// longer is cut.
    pub(crate) fn after_answer() -> Self {
        Self { left_bytes: 8 * 1024 * 1024 }
    }

    /// After an alert: more than a request with its headers; whoever sends more has not listened.
    pub(crate) fn after_alert() -> Self {
        Self { left_bytes: 64 * 1024 }
    }

    /// Ready when the caller has closed, or has sent all that is waited for.
    pub(crate) fn poll_closed<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut scratch = [0; 4096];
        while self.left_bytes > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    self.left_bytes = self.left_bytes.saturating_sub(buffer.filled().len());
                }
                _ended => break,
            }
        }
        Poll::Ready(())
    }
}

/// Closes a connection that had no request, within this time: the caller can still read the alert.
pub(crate) async fn close(mut stream: TcpStream, time: Duration) {
    let closed = async {
        if stream.shutdown().await.is_ok() {
            let mut linger = Linger::after_alert();
            std::future::poll_fn(|cx| linger.poll_closed(&mut stream, cx)).await;
        }
    };
    let _gone_either_way = timeout(time, closed).await;
}
