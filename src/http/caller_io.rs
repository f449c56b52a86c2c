//! The caller's TLS stream, with two habits that HTTP needs: it marks when bytes arrive, and it
//! closes gently.
//!
//! Gently: a socket that is closed while bytes lie unread in it is reset by the kernel, and the
//! reset can overtake the answer. So after our side is shut, what still comes is thrown away, up
//! to a bound in bytes (here) and in time ([`super::pace`]).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::pace::Pace;

/// One caller's stream.
pub(crate) struct CallerIo {
    /// Boxed: it is large, and moves through several hands on its way here.
    tls: Box<TlsStream<TcpStream>>,
    pace: Arc<Pace>,
    /// Bytes that may still be thrown away; `None` while our side is open.
    lingering: Option<usize>,
}

impl CallerIo {
    pub(crate) fn new(tls: Box<TlsStream<TcpStream>>, pace: Arc<Pace>) -> Self {
        Self { tls, pace, lingering: None }
    }
}

impl AsyncRead for CallerIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tls).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.pace.bytes_arrived();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CallerIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut left = match this.lingering {
            Some(left) => left,
            None => {
                ready!(Pin::new(&mut this.tls).poll_shutdown(cx))?;
                if !this.pace.must_linger() {
                    return Poll::Ready(Ok(()));
                }
                this.pace.linger();
                LINGER_MAX_BYTES
            }
        };
        let mut scratch = [0; 4096];
        while left > 0 {
            this.lingering = Some(left);
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.tls).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    left = left.saturating_sub(buffer.filled().len())
                }
                _ended => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}

/// Twice the default body limit: a sender that ignores our answer for longer is cut.
const LINGER_MAX_BYTES: usize = 8 * 1024 * 1024;
