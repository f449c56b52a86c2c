//! The body of a request to an upstream: the proven frames as they came, nothing, or what streams
//! through a site.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::http::stream::{StreamError, Streamed};
use crate::webhook::signature::{Frames, ReportedBody, VerifiedBody};

/// For a webhook made from a [`VerifiedBody`], from a [`ReportedBody`] where the operator asked for
/// that, or empty; there is no other way to send bytes to a webhook's upstream. A site's is a stream.
pub(crate) enum RequestBody {
    Whole { frames: Rc<Frames>, next: usize, left: u64 },
    Empty,
    Streamed(Streamed),
}

impl RequestBody {
    /// The same body from its beginning; a stream has no second beginning.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Whole { frames, .. } => Some(Self::whole(Rc::clone(frames))),
            Self::Empty => Some(Self::Empty),
            Self::Streamed(_) => None,
        }
    }

    fn whole(frames: Rc<Frames>) -> Self {
        let left = u64::try_from(frames.length).unwrap_or(u64::MAX);
        Self::Whole { frames, next: 0, left }
    }
}

impl From<VerifiedBody> for RequestBody {
    fn from(body: VerifiedBody) -> Self {
        Self::whole(Rc::new(body.frames))
    }
}

impl From<ReportedBody> for RequestBody {
    fn from(body: ReportedBody) -> Self {
        Self::whole(Rc::new(body.frames))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        match &mut *self {
            Self::Whole { frames, next, left } => {
                let frame = frames.pieces.get(*next).cloned();
                if let Some(bytes) = &frame {
                    *next += 1;
                    *left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                }
                Poll::Ready(frame.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Empty => Poll::Ready(None),
            Self::Streamed(streamed) => Pin::new(streamed).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { left, .. } => *left == 0,
            Self::Empty => true,
            Self::Streamed(streamed) => streamed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { left, .. } => SizeHint::with_exact(*left),
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed(streamed) => streamed.size_hint(),
        }
    }
}
