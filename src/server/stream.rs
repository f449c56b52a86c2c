//! A body that passes through: counted against a limit, and cut when nothing moves for too long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// One body on its way through. What it holds on to is dropped with it.
pub(crate) struct Streamed {
    body: Incoming,
    left: u64,
    idle_timeout: Duration,
    /// Armed only while nothing comes.
    timer: Option<Pin<Box<Sleep>>>,
    /// Called once, when the body has ended well; dropped uncalled if it has not.
    at_end: Vec<AtEnd>,
    passed: u64,
}

type AtEnd = Box<dyn FnOnce(u64)>;

/// Why a body stopped passing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// It is longer than the route allows.
    #[error("the body is longer than allowed")]
    TooLarge,
    /// Nothing came for too long.
    #[error("nothing came for too long")]
    Idle,
    /// The side that it comes from broke off.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

impl Streamed {
    /// Lets `limit` bytes pass.
    pub(crate) fn new(body: Incoming, limit: u64, idle_timeout: Duration) -> Self {
        Self { body, left: limit, idle_timeout, timer: None, at_end: Vec::new(), passed: 0 }
    }

    /// Has `told` called with the number of bytes that passed, once all have: at once if there are
    /// none, for nobody asks such a body for anything.
    pub(crate) fn at_end(&mut self, told: impl FnOnce(u64) + 'static) {
        match self.body.is_end_stream() {
            true => told(self.passed),
            false => self.at_end.push(Box::new(told)),
        }
    }

    fn end(&mut self) {
        for told in self.at_end.drain(..) {
            told(self.passed);
        }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.timer = None;
                let length = frame.data_ref().map_or(0, Bytes::len);
                let length = u64::try_from(length).unwrap_or(u64::MAX);
                let Some(left) = this.left.checked_sub(length) else {
                    return Poll::Ready(Some(Err(StreamError::TooLarge)));
                };
                this.left = left;
                this.passed += length;
                // Nobody asks again for the end of a body whose length was told, nor behind trailers.
                if this.body.is_end_stream() || frame.is_trailers() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(StreamError::Broken(error)))),
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let idle_timeout = this.idle_timeout;
                let timer = this
                    .timer
                    .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + idle_timeout)));
                timer.as_mut().poll(cx).map(|()| Some(Err(StreamError::Idle)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
