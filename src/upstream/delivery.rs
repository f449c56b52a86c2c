//! A delivery under way, which does not depend on whoever waits for it.
//!
//! While the caller waits, it is a part of the caller's own task, which costs nothing; when the
//! caller disconnects, it goes on in a task of its own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// An exchange that is finished, also if this is dropped before.
pub(crate) struct Delivery<F: Future<Output: 'static> + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: 'static> + 'static> Delivery<F> {
    /// It begins when it is first polled.
    pub(crate) fn new(exchange: F) -> Self {
        Self(Some(Box::pin(exchange)))
    }
}

impl<F: Future<Output: 'static> + 'static> Future for Delivery<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(exchange) = &mut self.0 else { return Poll::Pending };
        let outcome = ready!(exchange.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(outcome)
    }
}

impl<F: Future<Output: 'static> + 'static> Drop for Delivery<F> {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            tokio::task::spawn_local(exchange);
        }
    }
}
