//! The body of a request to an upstream: the proven frames, as they came, or nothing.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::webhook::signature::VerifiedBody;

/// Made from a [`VerifiedBody`], or empty: there is no third way to send bytes to a webhook's
/// upstream.
#[derive(Debug)]
pub(crate) struct RequestBody {
    proven: Option<VerifiedBody>,
    next: usize,
    left: u64,
}

impl RequestBody {
    pub(crate) fn empty() -> Self {
        Self { proven: None, next: 0, left: 0 }
    }
}

impl From<VerifiedBody> for RequestBody {
    fn from(proven: VerifiedBody) -> Self {
        let left = u64::try_from(proven.length).unwrap_or(u64::MAX);
        Self { proven: Some(proven), next: 0, left }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let frame = this.proven.as_ref().and_then(|proven| proven.frames.get(this.next)).cloned();
        if let Some(bytes) = &frame {
            this.next += 1;
            this.left = this.left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
        Poll::Ready(frame.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
