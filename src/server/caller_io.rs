//! The caller's TLS stream, with four habits that HTTP needs: it marks when bytes arrive, and when
//! the socket takes no more of them, it closes gently, and over HTTP/2 it reads a bounded number of
//! bytes a turn, and no more of a caller whose frames bring nothing ([`super::control_frames`]).
//!
//! Blocked is the socket, not the stream: TLS has a buffer of its own, which takes small writes long
//! after the caller has stopped reading.
//!
//! Gently: after our side is shut it lingers ([`super::linger`]), for a time that is kept by
//! [`super::timeouts`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::control_frames::ControlFrames;
use super::linger::Linger;
use super::request_line::HeadPieces;
use super::timeouts::ConnectionTimeouts;
use crate::config::Limits;

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

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Tls(tls) => tls.get_ref().0,
            Self::Plain(socket) => socket,
        }
    }

    /// Whether TLS holds something that the socket has not taken.
    fn has_unsent(&self) -> bool {
        match self {
            Self::Tls(tls) => tls.get_ref().1.wants_write(),
            Self::Plain(_) => false,
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
    /// Over HTTP/2.
    frames: Option<Box<ControlFrames>>,
    /// The caller was told that it is cut for its frames.
    has_answered_flood: bool,
    head: HeadPieces,
}

impl CallerIo {
    pub(crate) fn new(
        stream: CallerStream,
        timeouts: Arc<ConnectionTimeouts>,
        limits: &Limits,
    ) -> Self {
        let frames = || Box::new(ControlFrames::new(limits.h2_control_frames));
        let frames = timeouts.is_h2().then(frames);
        // Where that is not to be had, a slow reader has to take more at a time.
        let _as_it_was = SockRef::from(stream.socket()).set_tcp_notsent_lowat(UNSENT_MAX_BYTES);
        Self {
            stream,
            timeouts,
            lingering: None,
            ahead: Bytes::new(),
            frames,
            has_answered_flood: false,
            head: HeadPieces::default(),
        }
    }

    /// Has `bytes` read once more before what comes next; answers whether there are any.
    pub(crate) fn put_back(&mut self, bytes: Bytes) -> bool {
        self.head.looked_at();
        self.timeouts.set_head_decided(false);
        // Nothing at all may still be a piece of a large buffer, and keep that.
        self.ahead = if bytes.is_empty() { Bytes::new() } else { bytes };
        !self.ahead.is_empty()
    }

    /// Waits until there is something to read, or nothing will come any more.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.socket().poll_read_ready(cx).map(|_ready_or_broken| ())
    }

    /// A blocked socket that is ready again has sent something, and is about to take more.
    fn before_write(&self, cx: &mut Context<'_>) {
        if self.timeouts.is_blocked() && self.stream.socket().poll_write_ready(cx).is_ready() {
            self.timeouts.set_unblocked();
        }
    }

    fn after_write(&self, is_pending: bool) {
        if is_pending || self.stream.has_unsent() {
            self.timeouts.set_blocked();
        }
    }

    /// The same, after a write of more.
    fn after_writing(&mut self, written: &Poll<io::Result<usize>>) {
        self.after_write(written.is_pending());
        if let (Some(frames), Poll::Ready(Ok(bytes))) = (&mut self.frames, written) {
            frames.sent(*bytes);
        }
    }
}

/// What the kernel takes ahead of what it can send; it takes more when half of that is sent. By
/// default it would be megabytes, and a third of them to be sent before it takes more.
const UNSENT_MAX_BYTES: u32 = 128 * 1024;

impl Drop for CallerIo {
    fn drop(&mut self) {
        if self.timeouts.is_cut() {
            // The kernel would offer what is unsent for minutes to somebody who does not take it.
            let socket = SockRef::from(self.stream.socket());
            let _closed_anyway = socket.set_linger(Some(Duration::ZERO));
        }
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
        if self.timeouts.is_turn_over() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.timeouts.is_flooded() {
            // What still comes is thrown away, so that the caller can read that it is cut; before
            // that is written, nothing is read at all.
            let this = &mut *self;
            if !this.has_answered_flood {
                return Poll::Pending;
            }
            let linger = this.lingering.get_or_insert_with(Linger::after_alert);
            return either!(&mut this.stream, io => linger.poll_closed(io, cx)).map(Ok);
        }
        ready!(either!(&mut self.stream, io => Pin::new(io).poll_read(cx, buffer)))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if read.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        if !this.timeouts.is_h2() {
            let is_decided = this.head.arrived(read, this.timeouts.phase());
            this.timeouts.set_head_decided(is_decided);
        }
        this.timeouts.bytes_arrived();
        if let Some(frames) = &mut this.frames {
            this.timeouts.used_of_turn(read.len());
            if !frames.read(read) {
                this.timeouts.set_flooded();
                // The connection is polled again at once, and ends then.
                buffer.set_filled(before);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
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
        self.before_write(cx);
        let written = either!(&mut self.stream, io => Pin::new(io).poll_write(cx, bytes));
        self.after_writing(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.before_write(cx);
        let flushed = either!(&mut self.stream, io => Pin::new(io).poll_flush(cx));
        self.after_write(flushed.is_pending());
        self.timeouts.set_unsent(flushed.is_pending());
        if flushed.is_ready() && self.timeouts.is_flood_answered() && !self.has_answered_flood {
            self.has_answered_flood = true;
            cx.waker().wake_by_ref();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // Whoever is closing has something to send until it has closed, and is not parked.
        this.timeouts.set_unsent(true);
        if this.lingering.is_none() {
            this.before_write(cx);
            let shut = either!(&mut this.stream, io => Pin::new(io).poll_shutdown(cx));
            this.after_write(shut.is_pending());
            ready!(shut)?;
            if !this.timeouts.must_linger() {
                return Poll::Ready(Ok(()));
            }
            this.timeouts.linger();
        }
        let linger = this.lingering.get_or_insert_with(Linger::after_answer);
        either!(&mut this.stream, io => linger.poll_closed(io, cx)).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.timeouts.set_unsent(true);
        self.before_write(cx);
        let written = either!(&mut self.stream, io => Pin::new(io).poll_write_vectored(cx, slices));
        self.after_writing(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        either!(&self.stream, io => io.is_write_vectored())
    }
}
