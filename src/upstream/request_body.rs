//! The body of a request to an upstream: the proven frames as they came, nothing, or what streams
//! through a site.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::server::stream::{StreamError, Streamed};
use crate::webhook::challenge::ProvenChallenge;
use crate::webhook::proof::Proof;
use crate::webhook::signature::{Frames, ReportedBody, VerifiedBody};

/// For a webhook made from a [`VerifiedBody`], from a [`ReportedBody`] where the operator asked for
/// that, or from a [`ProvenChallenge`]; there is no other transport to send bytes to a webhook's upstream.
/// A site's is a stream, or empty. The application's proof comes out of the first and the third.
pub(crate) enum RequestBody {
    Whole { frames: Rc<Frames>, next: usize, left: u64, proof: Option<Rc<Proof>> },
    Challenge { proof: Option<Rc<Proof>> },
    Empty,
    Streamed(Streamed),
}

impl RequestBody {
    /// The same body from its beginning; a stream has no second beginning.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Whole { frames, proof, .. } => {
                Some(Self::whole(Rc::clone(frames), proof.clone()))
            }
            Self::Challenge { proof } => Some(Self::Challenge { proof: proof.clone() }),
            Self::Empty => Some(Self::Empty),
            Self::Streamed(_) => None,
        }
    }

    /// What the application can be told of it, if it shares a secret with us.
    pub(super) fn proof(&self) -> Option<&Proof> {
        match self {
            Self::Whole { proof, .. } | Self::Challenge { proof } => proof.as_deref(),
            Self::Empty | Self::Streamed(_) => None,
        }
    }

    fn whole(frames: Rc<Frames>, proof: Option<Rc<Proof>>) -> Self {
        let left = u64::try_from(frames.length).unwrap_or(u64::MAX);
        Self::Whole { frames, next: 0, left, proof }
    }
}

impl From<VerifiedBody> for RequestBody {
    fn from(body: VerifiedBody) -> Self {
        Self::whole(Rc::new(body.frames), body.proof.map(Rc::new))
    }
}

impl From<ProvenChallenge> for RequestBody {
    fn from(challenge: ProvenChallenge) -> Self {
        Self::Challenge { proof: challenge.proof.map(Rc::new) }
    }
}

impl From<ReportedBody> for RequestBody {
    fn from(body: ReportedBody) -> Self {
        Self::whole(Rc::new(body.frames), None)
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
            Self::Whole { frames, next, left, .. } => {
                let frame = frames.pieces.get(*next).cloned();
                if let Some(bytes) = &frame {
                    *next += 1;
                    *left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                }
                Poll::Ready(frame.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Challenge { .. } | Self::Empty => Poll::Ready(None),
            Self::Streamed(streamed) => Pin::new(streamed).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { left, .. } => *left == 0,
            Self::Challenge { .. } | Self::Empty => true,
            Self::Streamed(streamed) => streamed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { left, .. } => SizeHint::with_exact(*left),
            Self::Challenge { .. } | Self::Empty => SizeHint::with_exact(0),
            Self::Streamed(streamed) => streamed.size_hint(),
        }
    }
}
