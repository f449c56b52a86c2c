//! Serves HTTP/1.1 or HTTP/2 on one connection until it ends, is drained, or takes too long.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep_until};

use super::caller_io::CallerIo;
use super::pace::{Pace, Phase};
use super::respond::Answer;
use crate::config::Limits;
use crate::refusal::Refusal;

/// Serves one connection; `answer` is called for each request, `draining` ends when no further
/// request should be taken.
///
/// Returns why the connection ended, if that was before the head of a request was whole and right:
/// then hyper has answered as far as it can be answered, and `answer` was not called.
pub(crate) async fn serve<F, A, D>(
    io: CallerIo,
    is_h2: bool,
    pace: Arc<Pace>,
    limits: &Limits,
    answer: F,
    draining: D,
) -> Option<Refusal>
where
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Answer> + 'static,
    D: Future<Output = ()>,
{
    // Boxed: an idle connection then holds a pointer, not the room for a whole exchange.
    let service = service_fn(move |request| {
        let answer = Box::pin(answer(request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let io = TokioIo::new(io);
    // Boxed: each in the room that it needs, not in that of the larger one.
    if is_h2 {
        let connection = h2_builder(limits).serve_connection(io, service);
        drive(Box::pin(connection).as_mut(), http2::Connection::graceful_shutdown, &pace, draining)
            .await
    } else {
        let connection = h1_builder(limits).serve_connection(io, service).with_upgrades();
        let end = http1::UpgradeableConnection::graceful_shutdown;
        drive(Box::pin(connection).as_mut(), end, &pace, draining).await
    }
}

fn h1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // hyper reads as many into an array on its stack, unless it is told a number: then it fills two
    // arrays of that length with every request, even of the same one.
    if limits.header_max_count.get() != HYPER_MAX_HEADERS {
        builder.max_headers(limits.header_max_count.get());
    }
    builder
        .max_header_size(limits.header_max_bytes.get())
        // No timer: `Pace` keeps the time of headers and of idleness.
        .header_read_timeout(None);
    builder
}

/// What hyper takes when nothing is said.
const HYPER_MAX_HEADERS: usize = 100;

fn h2_builder(limits: &Limits) -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .max_concurrent_streams(limits.h2_concurrent_streams)
        .max_pending_accept_reset_streams(limits.h2_pending_resets)
        .max_local_error_reset_streams(limits.h2_pending_resets)
        .max_header_list_size(u32::try_from(limits.header_max_bytes.get()).unwrap_or(u32::MAX))
        // A whole large event may be on its way at once; the shared body memory bounds the rest.
        .initial_stream_window_size(H2_WINDOW_BYTES)
        .initial_connection_window_size(H2_WINDOW_BYTES);
    builder
}

/// One megabyte in flight on a connection.
const H2_WINDOW_BYTES: u32 = 1024 * 1024;

/// Polls the connection; begins its graceful end on drain, on its last request, or when idle for
/// too long; drops it when a phase outlasts its limit otherwise.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    end_gracefully: impl Fn(Pin<&mut C>),
    pace: &Pace,
    draining: impl Future<Output = ()>,
) -> Option<Refusal> {
    let mut draining = pin!(draining);
    let mut is_ending = false;
    let mut armed = Instant::now() + FAR;
    let mut timer = pin!(sleep_until(armed));
    poll_fn(|cx| {
        if !is_ending && (draining.as_mut().poll(cx).is_ready() || pace.is_exhausted()) {
            is_ending = true;
            end_gracefully(connection.as_mut());
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(ended.err().and_then(|error| refusal(&error)));
        }
        if !is_ending && pace.is_exhausted() {
            is_ending = true;
            end_gracefully(connection.as_mut());
            cx.waker().wake_by_ref();
        }
        loop {
            let deadline = pace.deadline();
            if let Some(deadline) = deadline
                && deadline < armed
            {
                armed = deadline;
                timer.as_mut().reset(armed);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if deadline.is_none_or(|deadline| deadline > now) {
                // The deadline moved on since the timer was armed.
                armed = deadline.unwrap_or(now + FAR);
                timer.as_mut().reset(armed);
                continue;
            }
            match pace.phase() {
                Phase::Heading => return Poll::Ready(Some(Refusal::HeaderTimeout)),
                Phase::Waiting if !is_ending => {}
                Phase::Waiting | Phase::Busy | Phase::Lingering => return Poll::Ready(None),
            }
            // Idle for too long: say goodbye properly, and give that a moment.
            is_ending = true;
            end_gracefully(connection.as_mut());
            pace.linger();
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
        }
    })
    .await
}

/// What was wrong with the head of a request; `None` for a caller that went away.
fn refusal(error: &hyper::Error) -> Option<Refusal> {
    if error.is_parse_too_large() {
        Some(Refusal::HeadersTooLarge)
    } else {
        error.is_parse().then_some(Refusal::RequestMalformed)
    }
}

/// Later than any deadline, near enough for the timer wheel.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// Runs hyper's HTTP/2 streams on the worker that owns the connection.
#[derive(Clone, Copy, Debug)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
