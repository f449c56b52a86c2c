//! The caller's TLS stream, with two habits that HTTP needs: it marks when bytes arrive, and it
//! closes gently.
//!
//! Gently: after our side is shut it lingers ([`super::linger`]), for a time that is kept by
//! [`super::timeouts`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::linger::Linger;
use super::timeouts::ConnectionTimeouts;

/// What a caller's bytes come through.
pub(crate) enum CallerStream {
    /// Boxed: it is large, and moves through several hands on its way here.
    Tls(Box<TlsStream<TcpStream>>),
    /// Of trusted proxies, and of callers to be sent to https.
    Plain(TcpStream),
}

impl CallerStream {
    /// The host that it asked for in its handshake (SNI), in lower case.
    pub(crate) fn server_name(&self) -> Option<&str> {
        match self {
            Self::Tls(tls) => tls.get_ref().1.server_name(),
            Self::Plain(_) => None,
        }
    }

    /// Whether TLS agreed on HTTP/2; plain HTTP is 1.1.
    pub(crate) fn is_h2(&self) -> bool {
        match self {
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
            Self::Plain(_) => false,
        }
    }
}

/// Does the same with the stream, whichever it is.
macro_rules! either {
    ($stream:expr, $io:ident => $done:expr) => {
        match $stream {
            CallerStream::Tls($io) => $done,
            CallerStream::Plain($io) => $done,
        }
    };
}

/// One caller's stream.
pub(crate) struct CallerIo {
    stream: CallerStream,
    timeouts: Arc<ConnectionTimeouts>,
    /// `None` while our side is open.
    lingering: Option<Linger>,
    /// Read already, and not taken by HTTP.
    ahead: Bytes,
}

impl CallerIo {
    pub(crate) fn new(stream: CallerStream, timeouts: Arc<ConnectionTimeouts>) -> Self {
        Self { stream, timeouts, lingering: None, ahead: Bytes::new() }
    }

    /// Has `bytes` read once more before what comes next; answers whether there are any.
    pub(crate) fn put_back(&mut self, bytes: Bytes) -> bool {
        // Nothing at all may still be a piece of a large buffer, and keep that.
        self.ahead = if bytes.is_empty() { Bytes::new() } else { bytes };
        !self.ahead.is_empty()
    }

    /// Waits until there is something to read, or nothing will come any more.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let socket = match &self.stream {
            CallerStream::Tls(tls) => tls.get_ref().0,
            CallerStream::Plain(socket) => socket,
        };
        socket.poll_read_ready(cx).map(|_ready_or_broken| ())
    }
}

impl AsyncRead for CallerIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(count));
            self.timeouts.bytes_arrived();
            return Poll::Ready(Ok(()));
        }
        ready!(either!(&mut self.stream, io => Pin::new(io).poll_read(cx, buffer)))?;
        if buffer.filled().len() > before {
            self.timeouts.bytes_arrived();
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
        self.timeouts.set_unsent(true);
        either!(&mut self.stream, io => Pin::new(io).poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = either!(&mut self.stream, io => Pin::new(io).poll_flush(cx));
        self.timeouts.set_unsent(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // Whoever is closing has something to send until it has closed, and is not parked.
        this.timeouts.set_unsent(true);
        let linger = match &mut this.lingering {
            Some(linger) => linger,
            none => {
                ready!(either!(&mut this.stream, io => Pin::new(io).poll_shutdown(cx)))?;
                if !this.timeouts.must_linger() {
                    return Poll::Ready(Ok(()));
                }
                this.timeouts.linger();
                none.insert(Linger::after_answer())
            }
        };
        either!(&mut this.stream, io => linger.poll_closed(io, cx)).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.timeouts.set_unsent(true);
        either!(&mut self.stream, io => Pin::new(io).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        either!(&self.stream, io => io.is_write_vectored())
    }
}
