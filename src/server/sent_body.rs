//! The body of an answer as hyper is given it.
//!
//! Over HTTP/2 in pieces: hyper takes a whole one as soon as the window lets a byte of it through, so
//! what is not taken stays here. Each piece says when it has left ([`super::streams`]).

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use super::memory::Held;
use super::respond::ResponseBody;
use super::stream::StreamError;
use super::streams::{PendingPiece, Sending};

/// A body on its way out.
pub(super) struct SentBody {
    body: ResponseBody,
    /// Of the frame that came last, what hyper has not taken yet.
    rest: Bytes,
    /// Over HTTP/2.
    sending: Option<Rc<Sending>>,
}

/// A part of a body, and what is to know when it has left.
pub(super) struct Piece {
    bytes: Bytes,
    _held: Option<Held>,
    _waiting: Option<PendingPiece>,
}

impl SentBody {
    pub(super) fn new(body: ResponseBody, sending: Option<Rc<Sending>>) -> Self {
        Self { body, rest: Bytes::new(), sending }
    }

    fn next_piece(&mut self) -> Piece {
        let bytes = match &self.sending {
            Some(_) if self.rest.len() > PIECE_BYTES => self.rest.split_to(PIECE_BYTES),
            _ => std::mem::take(&mut self.rest),
        };
        // Of a frame that goes out in several pieces, the last one has what all of them take.
        let held = if self.rest.is_empty() { self.body.held_for(&bytes) } else { None };
        Piece { bytes, _held: held, _waiting: self.sending.as_ref().map(Sending::take) }
    }
}

/// What one DATA frame takes, where callers do not ask for larger ones (RFC 9113 section 6.5.2).
const PIECE_BYTES: usize = 16 * 1024;

impl Body for SentBody {
    type Data = Piece;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, StreamError>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.rest = bytes,
                    Err(frame) => {
                        let trailers = frame.into_trailers().ok().map(Frame::trailers);
                        return Poll::Ready(trailers.map(Ok));
                    }
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.next_piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let hint = self.body.size_hint();
        let mut with_rest = SizeHint::new();
        with_rest.set_lower(hint.lower().saturating_add(rest));
        if let Some(upper) = hint.upper() {
            with_rest.set_upper(upper.saturating_add(rest));
        }
        with_rest
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
