//! Serves HTTP/1.1 or HTTP/2 on one connection until it ends, is drained, or takes too long.
//!
//! hyper's connection has buffers from its first to its last moment. One that speaks HTTP/1 and is
//! idle for a while is therefore parked: taken apart, down to its TLS stream, and put together
//! again when the caller sends something.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep_until};

use super::caller_io::CallerIo;
use super::request_line::head_max;
use super::respond::CallerResponse;
use super::sent_body::SentBody;
use super::streams::Streams;
use super::timeouts::{ConnectionPhase, ConnectionTimeouts, H2_STREAM_WINDOW_BYTES};
use crate::config::Limits;
use crate::refusal::Refusal;
use crate::telemetry::metrics::{ConnectionCut, Metrics};

/// Serves one connection; `answer` is called for each request, `draining` ends when no further
/// request should be taken, and what `parked` returns is held while the connection has no buffers.
///
/// Returns why the connection ended, if it did not as it should.
pub(crate) async fn serve<F, A, D, R>(
    io: CallerIo,
    timeouts: Arc<ConnectionTimeouts>,
    limits: &Limits,
    metrics: &Metrics,
    answer: F,
    draining: D,
    parked: impl Fn() -> R,
) -> Option<End>
where
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = CallerResponse> + 'static,
    D: Future<Output = ()>,
{
    let streams = timeouts.is_h2().then(|| {
        Streams::new(Arc::clone(&timeouts), limits.write_timeout, metrics.streams_cut.clone())
    });
    // Boxed: an idle connection then holds a pointer, not the memory for a whole exchange.
    let service = service_fn({
        let streams = streams.clone();
        move |request| {
            let sending = streams.as_ref().map(Streams::begin);
            let answer = Box::pin(answer(request));
            async move { Ok::<_, Infallible>(answer.await.map(|body| SentBody::new(body, sending))) }
        }
    });
    let mut draining = Draining { future: pin!(draining), is_over: false };
    // Boxed: each takes the memory that it needs, not that of the larger one.
    if let Some(streams) = &streams {
        let builder = h2_builder(limits, LocalExecutor(streams.clone()));
        let connection = builder.serve_connection(TokioIo::new(io), service);
        let end = http2::Connection::graceful_shutdown;
        let mut connection = Box::pin(connection);
        let driven = drive(connection.as_mut(), end, &timeouts, &mut draining, Some(streams));
        return match driven.await {
            Stop::Ended(_) if timeouts.is_flooded() => Some(End::Cut(ConnectionCut::ControlFrames)),
            Stop::Ended(end) => end,
            // Never returned where there are streams: hyper cannot give back their state.
            Stop::Park => None,
        };
    }
    let (mut io, mut service) = (TokioIo::new(io), service);
    let mut head_max_bytes = limits.header_max_bytes.get();
    loop {
        let builder = h1_builder(limits, head_max_bytes);
        let connection = builder.serve_connection(io, service).with_upgrades();
        let mut connection = Box::new(connection);
        let end = http1::UpgradeableConnection::graceful_shutdown;
        let driven = drive(Pin::new(&mut *connection), end, &timeouts, &mut draining, None);
        if let Stop::Ended(end) = driven.await {
            return end;
        }
        // `None` after an upgrade: the stream belongs to the tunnel, and nothing is left to serve.
        let parts = connection.into_parts()?;
        (io, service) = (parts.io, parts.service);
        head_max_bytes = head_max(&parts.read_buf, limits.header_max_bytes.get());
        // hyper may have read the beginning of the next request: then there is nothing to wait for.
        let has_begun = io.inner_mut().put_back(parts.read_buf);
        if !has_begun {
            let _counted = parked();
            park(io.inner(), &timeouts, &mut draining).await;
            // Whatever ended the wait, the next `drive` acts on it: it reads, or closes gracefully.
        }
    }
}

/// Waits until there is something for HTTP to do: bytes, an end, or the end of serving.
async fn park<D: Future<Output = ()>>(
    io: &CallerIo,
    timeouts: &ConnectionTimeouts,
    draining: &mut Draining<'_, D>,
) {
    // A connection that is parked is idle, so it has a deadline, and nothing moves it.
    let mut timer = pin!(sleep_until(timeouts.deadline().unwrap_or_else(Instant::now)));
    poll_fn(|cx| match draining.is_over(cx) || timer.as_mut().poll(cx).is_ready() {
        true => Poll::Ready(()),
        false => io.poll_readable(cx),
    })
    .await;
}

/// Whether no further request should be taken; may be asked again when it is so.
struct Draining<'a, D> {
    future: Pin<&'a mut D>,
    is_over: bool,
}

impl<D: Future<Output = ()>> Draining<'_, D> {
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_over = self.is_over || self.future.as_mut().poll(cx).is_ready();
        self.is_over
    }
}

/// Why a connection ended that did not end as it should.
pub(crate) enum End {
    /// Before the head of a request was whole and right: hyper has answered as far as it can be
    /// answered, and nobody was asked for an answer.
    Refused(Refusal),
    /// While requests were answered.
    Cut(ConnectionCut),
}

/// Why a connection is driven no further.
enum Stop {
    /// It is over.
    Ended(Option<End>),
    /// Nothing has happened for a while, and nothing is in its buffers.
    Park,
}

fn h1_builder(limits: &Limits, head_max_bytes: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // hyper reads as many into an array on its stack, unless it is told a number: then it fills two
    // arrays of that length with every request, even of the same one.
    if limits.header_max_count.get() != HYPER_MAX_HEADERS {
        builder.max_headers(limits.header_max_count.get());
    }
    builder
        .max_header_size(head_max_bytes)
        // hyper takes no head that is longer.
        .max_buf_size(H1_BUFFER_BYTES.max(limits.header_max_bytes.get()))
        // No timer: `ConnectionTimeouts` keeps the time of headers and of idleness.
        .header_read_timeout(None);
    builder
}

/// What is read at once at most, and what may wait for the socket: a piece of a body can keep a whole
/// buffer, so that larger ones would hold much more than they are charged for.
const H1_BUFFER_BYTES: usize = 64 * 1024;

/// What hyper takes when nothing is said.
const HYPER_MAX_HEADERS: usize = 100;

fn h2_builder(limits: &Limits, executor: LocalExecutor) -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(executor);
    builder
        .max_concurrent_streams(limits.h2_concurrent_streams)
        .max_pending_accept_reset_streams(limits.h2_pending_resets)
        .max_local_error_reset_streams(limits.h2_pending_resets)
        .max_header_list_size(u32::try_from(limits.header_max_bytes.get()).unwrap_or(u32::MAX))
        .initial_stream_window_size(u32::try_from(H2_STREAM_WINDOW_BYTES).unwrap_or(u32::MAX))
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(H2_SEND_BUFFER_BYTES);
    builder
}

/// Of all streams of a connection together, whoever reads them: four at their full speed.
const H2_CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// What may wait in hyper for the socket, of each stream: a few writes of TLS.
const H2_SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Polls the connection; begins its graceful end on drain, on its last request, or when idle for
/// too long; stops when a phase outlasts its limit otherwise, or to park, unless it has streams, of
/// which it ends those whose answers are not taken.
async fn drive<C: Future<Output = hyper::Result<()>>, D: Future<Output = ()>>(
    mut connection: Pin<&mut C>,
    end_gracefully: impl Fn(Pin<&mut C>),
    timeouts: &ConnectionTimeouts,
    draining: &mut Draining<'_, D>,
    streams: Option<&Streams>,
) -> Stop {
    let mut is_ending = false;
    // When the timer fires. It is moved for an earlier deadline only: a deadline that moves on with
    // each request costs nothing until the timer fires.
    let mut armed = Instant::now() + FAR;
    let mut timer = pin!(sleep_until(armed));
    poll_fn(|cx| {
        // Before hyper is polled, so that it reads no further request.
        if !is_ending && (draining.is_over(cx) || timeouts.is_exhausted()) {
            is_ending = true;
            end_gracefully(connection.as_mut());
        }
        timeouts.begin_turn();
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(Stop::Ended(ended.err().and_then(|error| refusal(&error))));
        }
        // The poll above may have begun the last request: its answer is to say that it is the last. Or
        // it has read too many frames that bring nothing: their sender is to read that it is cut.
        let is_flooded = timeouts.is_flooded() && !timeouts.is_flood_answered();
        if is_flooded || (!is_ending && timeouts.is_exhausted()) {
            is_ending = true;
            end_gracefully(connection.as_mut());
            if is_flooded {
                timeouts.set_flood_answered();
            }
            // A graceful end is carried out by the next poll, for which nothing else would wake.
            cx.waker().wake_by_ref();
        }
        loop {
            // A connection that is ending is not parked, for it would begin anew.
            let may_park = streams.is_none() && !is_ending;
            let parks_at = if may_park { timeouts.parks_at() } else { None };
            let ends_at = timeouts.deadline();
            let late_at = streams.and_then(Streams::deadline);
            let deadline = [parks_at, ends_at, late_at].into_iter().flatten().min();
            if let Some(deadline) = deadline
                && deadline < armed
            {
                armed = deadline;
                timer.as_mut().reset(armed);
            }
            // Polled in each turn of the loop, for a timer that was reset must register its waker.
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if deadline.is_none_or(|deadline| deadline > now) {
                // The deadline has moved on, or is gone, since the timer was armed.
                armed = deadline.unwrap_or(now + FAR);
                timer.as_mut().reset(armed);
                continue;
            }
            // One of them has passed. What is not taken is looked at first: it ends whatever the
            // phase is.
            let is_stuck = streams.is_some_and(|streams| streams.end_late(now));
            if is_stuck || timeouts.is_write_late(now) {
                timeouts.cut();
                let cut = End::Cut(ConnectionCut::WriteTimeout);
                return Poll::Ready(Stop::Ended(Some(cut)));
            }
            if timeouts.is_flood_over(now) {
                return Poll::Ready(Stop::Ended(None));
            }
            // If it is not the end of the phase, either, it is the time to park.
            if ends_at.is_none_or(|deadline| deadline > now) {
                if parks_at.is_some_and(|deadline| deadline <= now) {
                    return Poll::Ready(Stop::Park);
                }
                continue;
            }
            match timeouts.phase() {
                ConnectionPhase::ReadingHeaders => {
                    let refused = End::Refused(Refusal::HeaderTimeout);
                    return Poll::Ready(Stop::Ended(Some(refused)));
                }
                ConnectionPhase::Idle if !is_ending => {}
                // A graceful end took too long, or lingering is over: the connection is dropped.
                ConnectionPhase::Idle | ConnectionPhase::Busy | ConnectionPhase::Lingering => {
                    return Poll::Ready(Stop::Ended(None));
                }
            }
            // Idle for too long: close gracefully, within the time for lingering.
            is_ending = true;
            end_gracefully(connection.as_mut());
            timeouts.linger();
            // Begins the close; until it is done, the loop arms the timer for its deadline.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Stop::Ended(None));
            }
        }
    })
    .await
}

/// What was wrong with the head of a request; `None` for a caller that went away.
fn refusal(error: &hyper::Error) -> Option<End> {
    if error.is_parse_too_large() {
        Some(End::Refused(Refusal::HeadersTooLarge))
    } else {
        error.is_parse().then_some(End::Refused(Refusal::RequestMalformed))
    }
}

/// Later than any deadline, near enough for the timer wheel.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// Runs hyper's HTTP/2 streams on the worker that owns the connection.
#[derive(Clone)]
struct LocalExecutor(Streams);

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        self.0.runs_in(tokio::task::spawn_local(future).abort_handle());
    }
}
