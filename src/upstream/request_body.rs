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

/// What a webhook's upstream is sent. It is made out of a proof alone, and knows what was proven:
/// from a [`VerifiedBody`], from a [`ProvenChallenge`], or from a [`ReportedBody`] where the operator
/// asked for that. It cannot be a stream.
pub(crate) struct WebhookBody(Content);

/// What any upstream is sent: a [`WebhookBody`], or what a site passes on, which proves nothing.
pub(crate) struct RequestBody(Content);

enum Content {
    Event { frames: Pieces, proof: Option<Rc<Proof>> },
    Reported(Pieces),
    Challenge { proof: Option<Rc<Proof>> },
    Empty,
    Streamed(Streamed),
}

/// Frames that are whole, and how far they have been sent.
struct Pieces {
    frames: Rc<Frames>,
    next: usize,
    left: u64,
}

impl RequestBody {
    /// A site's request, or a health check, without a body.
    pub(crate) fn empty() -> Self {
        Self(Content::Empty)
    }

    /// A site's body on its way through.
    pub(crate) fn streamed(body: Streamed) -> Self {
        Self(Content::Streamed(body))
    }

    /// The same body from its beginning; a stream has no second beginning.
    pub(super) fn again(&self) -> Option<Self> {
        let content = match &self.0 {
            Content::Event { frames, proof } => {
                Content::Event { frames: frames.again(), proof: proof.clone() }
            }
            Content::Reported(frames) => Content::Reported(frames.again()),
            Content::Challenge { proof } => Content::Challenge { proof: proof.clone() },
            Content::Empty => Content::Empty,
            Content::Streamed(_) => return None,
        };
        Some(Self(content))
    }

    /// What was proven, in the words of `X-Hubgate-Verified`; with a client certificate, or without.
    pub(crate) fn verified(&self, with_client: bool) -> Option<&'static str> {
        match (&self.0, with_client) {
            (Content::Event { .. }, true) => Some("client-certificate, signature"),
            (Content::Event { .. }, false) => Some("signature"),
            (Content::Challenge { .. }, true) => Some("client-certificate, verify-token"),
            (Content::Challenge { .. }, false) => Some("verify-token"),
            (Content::Reported(_) | Content::Empty | Content::Streamed(_), true) => {
                Some("client-certificate")
            }
            (Content::Reported(_) | Content::Empty | Content::Streamed(_), false) => None,
        }
    }

    /// What the application can be told of it, if it shares a secret with us.
    pub(super) fn proof(&self) -> Option<&Proof> {
        match &self.0 {
            Content::Event { proof, .. } | Content::Challenge { proof } => proof.as_deref(),
            Content::Reported(_) | Content::Empty | Content::Streamed(_) => None,
        }
    }
}

impl From<WebhookBody> for RequestBody {
    fn from(body: WebhookBody) -> Self {
        Self(body.0)
    }
}

impl From<VerifiedBody> for WebhookBody {
    fn from(body: VerifiedBody) -> Self {
        let (frames, proof) = body.into_parts();
        let frames = Pieces::of(Rc::new(frames));
        Self(Content::Event { frames, proof: proof.map(Rc::new) })
    }
}

impl From<ProvenChallenge> for WebhookBody {
    fn from(challenge: ProvenChallenge) -> Self {
        Self(Content::Challenge { proof: challenge.into_proof().map(Rc::new) })
    }
}

impl From<ReportedBody> for WebhookBody {
    fn from(body: ReportedBody) -> Self {
        Self(Content::Reported(Pieces::of(Rc::new(body.into_frames()))))
    }
}

impl Pieces {
    fn of(frames: Rc<Frames>) -> Self {
        let left = u64::try_from(frames.length).unwrap_or(u64::MAX);
        Self { frames, next: 0, left }
    }

    fn again(&self) -> Self {
        Self::of(Rc::clone(&self.frames))
    }

    fn next(&mut self) -> Option<Bytes> {
        let piece = self.frames.pieces.get(self.next).cloned()?;
        self.next += 1;
        self.left = self.left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        Some(piece)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        match &mut self.0 {
            Content::Event { frames: pieces, .. } | Content::Reported(pieces) => {
                Poll::Ready(pieces.next().map(|piece| Ok(Frame::data(piece))))
            }
            Content::Challenge { .. } | Content::Empty => Poll::Ready(None),
            Content::Streamed(streamed) => Pin::new(streamed).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Event { frames: pieces, .. } | Content::Reported(pieces) => pieces.left == 0,
            Content::Challenge { .. } | Content::Empty => true,
            Content::Streamed(streamed) => streamed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Event { frames: pieces, .. } | Content::Reported(pieces) => {
                SizeHint::with_exact(pieces.left)
            }
            Content::Challenge { .. } | Content::Empty => SizeHint::with_exact(0),
            Content::Streamed(streamed) => streamed.size_hint(),
        }
    }
}
