//! How long a connection may take for what it is doing.
//!
//! Marked by the socket's wrapper and by each request, read by [`super::drive`]. Marking costs one
//! look at the clock and arms no timer: the timer is armed again only when the next deadline came
//! closer than the one it waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Limits;
use crate::lifecycle::Intervals;

/// One connection's clock. Only its worker touches it; it is made of atomics because hyper wants
/// a stream that can be upgraded to be able to move.
#[derive(Debug)]
pub(crate) struct ConnectionTimeouts {
    born: Instant,
    /// A [`ConnectionPhase`]'s kind, and when it began in microseconds after `born`.
    kind: AtomicU64,
    since_micros: AtomicU64,
    in_flight: AtomicUsize,
    requests: AtomicUsize,
    /// The body of a refused request is still on its way.
    body_unread: AtomicBool,
    /// A part of an answer, or the end of the connection, has not left yet.
    unsent: AtomicBool,
    /// When the socket last took something of what waits for it, in microseconds after `born`; 0
    /// while nothing waits.
    blocked_since_micros: AtomicU64,
    /// The connection is over, and what was not sent is not worth sending.
    is_cut: AtomicBool,
    /// When the caller had sent too many frames that bring nothing, in microseconds after `born`; 0
    /// if it has not.
    flooded_micros: AtomicU64,
    /// It is being told so.
    is_flood_answered: AtomicBool,
    /// What is there of a head may be decided: hyper is to parse it again.
    is_head_decided: AtomicBool,
    /// What may still be read of an HTTP/2 connection before others have their turn.
    turn_bytes: AtomicUsize,
    header_timeout: Duration,
    write_timeout: Duration,
    keep_alive_timeout: Duration,
    /// For the head of the first request to be whole, after `born`.
    first_request_timeout: Duration,
    requests_max: usize,
    park_after: Duration,
    linger: Duration,
    /// HTTP/2 sends frames that are no request; only HTTP/1 headers are timed from the first byte.
    is_h2: bool,
}

/// What the connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionPhase {
    /// Nothing: the next request has not begun.
    Idle,
    /// A request's headers are arriving.
    ReadingHeaders,
    /// Requests are being answered; they have deadlines of their own.
    Busy,
    /// Closed on our side; what still arrives is thrown away so that the answer is not.
    Lingering,
}

/// Marks the end of a request when dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<ConnectionTimeouts>);

impl ConnectionTimeouts {
    /// A trusted proxy may open connections before it has a request for them.
    pub(crate) fn new(
        limits: &Limits,
        intervals: &Intervals,
        is_h2: bool,
        is_trusted_proxy: bool,
    ) -> Self {
        Self {
            born: Instant::now(),
            kind: AtomicU64::new(ConnectionPhase::Idle as u64),
            since_micros: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            body_unread: AtomicBool::new(false),
            unsent: AtomicBool::new(false),
            blocked_since_micros: AtomicU64::new(0),
            is_cut: AtomicBool::new(false),
            flooded_micros: AtomicU64::new(0),
            is_flood_answered: AtomicBool::new(false),
            is_head_decided: AtomicBool::new(false),
            turn_bytes: AtomicUsize::new(0),
            header_timeout: limits.header_timeout,
            write_timeout: limits.write_timeout,
            keep_alive_timeout: limits.keep_alive_timeout,
            first_request_timeout: match is_trusted_proxy {
                true => limits.keep_alive_timeout,
                false => limits.header_timeout,
            },
            requests_max: limits.requests_per_connection.get(),
            park_after: intervals.park_after,
            linger: intervals.linger,
            is_h2,
        }
    }

    pub(crate) fn bytes_arrived(&self) {
        if self.phase() == ConnectionPhase::Idle && !self.is_h2 {
            self.enter(ConnectionPhase::ReadingHeaders);
        }
    }

    pub(crate) fn request_began(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.kind.store(ConnectionPhase::Busy as u64, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// An answer is on its way, which its request may not wait for.
    pub(crate) fn answer_began(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// How much of a body may arrive before it is asked for, beside what the socket holds.
    pub(crate) fn window_bytes(&self) -> usize {
        if self.is_h2 { H2_STREAM_WINDOW_BYTES } else { 0 }
    }

    pub(crate) fn is_h2(&self) -> bool {
        self.is_h2
    }

    /// Whether there was any request yet.
    pub(crate) fn has_begun(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// The limit of requests is reached: this one is the last.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.requests.load(Relaxed) >= self.requests_max
    }

    pub(crate) fn set_body_unread(&self, is_unread: bool) {
        self.body_unread.store(is_unread, Relaxed);
    }

    pub(crate) fn is_body_unread(&self) -> bool {
        self.body_unread.load(Relaxed)
    }

    pub(crate) fn set_unsent(&self, is_unsent: bool) {
        self.unsent.store(is_unsent, Relaxed);
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked_since_micros.load(Relaxed) != 0
    }

    /// The socket takes no more of what waits for it.
    pub(crate) fn set_blocked(&self) {
        if !self.is_blocked() {
            self.blocked_since_micros.store(self.micros().max(1), Relaxed);
        }
    }

    /// The socket takes something again; idleness begins when it has taken all.
    pub(crate) fn set_unblocked(&self) {
        self.blocked_since_micros.store(0, Relaxed);
        if self.phase() == ConnectionPhase::Idle {
            self.enter(ConnectionPhase::Idle);
        }
    }

    /// When the socket has been blocked for too long.
    fn write_deadline(&self) -> Option<Instant> {
        let since = Some(self.blocked_since_micros.load(Relaxed)).filter(|since| *since != 0)?;
        Some(self.born + Duration::from_micros(since) + self.write_timeout)
    }

    pub(crate) fn is_write_late(&self, now: Instant) -> bool {
        self.write_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// What was not sent yet never will be.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Relaxed);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Relaxed)
    }

    /// The caller sends frames that bring nothing: no more of it is read.
    pub(crate) fn set_flooded(&self) {
        self.flooded_micros.store(self.micros().max(1), Relaxed);
    }

    pub(crate) fn is_flooded(&self) -> bool {
        self.flooded_micros.load(Relaxed) != 0
    }

    /// A GOAWAY is on its way to it.
    pub(crate) fn set_flood_answered(&self) {
        self.is_flood_answered.store(true, Relaxed);
    }

    pub(crate) fn is_flood_answered(&self) -> bool {
        self.is_flood_answered.load(Relaxed)
    }

    /// When a caller that sends frames that bring nothing has had time to read why it is cut.
    fn flood_deadline(&self) -> Option<Instant> {
        let since = Some(self.flooded_micros.load(Relaxed)).filter(|since| *since != 0)?;
        Some(self.born + Duration::from_micros(since) + self.linger)
    }

    pub(crate) fn is_flood_over(&self, now: Instant) -> bool {
        self.flood_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// The connection is about to be polled.
    pub(crate) fn begin_turn(&self) {
        self.turn_bytes.store(TURN_BYTES, Relaxed);
    }

    /// So much was read in this turn.
    pub(crate) fn used_of_turn(&self, bytes: usize) {
        let left = self.turn_bytes.load(Relaxed).saturating_sub(bytes);
        self.turn_bytes.store(left, Relaxed);
    }

    /// Whether it is the turn of others. A body over HTTP/1 waits for whoever reads it.
    pub(crate) fn is_turn_over(&self) -> bool {
        self.is_h2 && self.turn_bytes.load(Relaxed) == 0
    }

    /// Whether closing now could reset the connection under an answer that is still on its way.
    pub(crate) fn must_linger(&self) -> bool {
        self.is_body_unread() || self.phase() != ConnectionPhase::Idle
    }

    pub(crate) fn linger(&self) {
        if self.phase() != ConnectionPhase::Lingering {
            self.enter(ConnectionPhase::Lingering);
        }
    }

    pub(crate) fn phase(&self) -> ConnectionPhase {
        let kind = self.kind.load(Relaxed);
        let all = [ConnectionPhase::Idle, ConnectionPhase::ReadingHeaders, ConnectionPhase::Busy];
        all.into_iter().find(|phase| *phase as u64 == kind).unwrap_or(ConnectionPhase::Lingering)
    }

    /// When this phase has lasted too long, or the socket has been blocked for too long; `None`
    /// while requests are being answered and what was sent of them is taken.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let phase_ends = match self.phase() {
            ConnectionPhase::Idle | ConnectionPhase::ReadingHeaders if !self.has_begun() => {
                Some(self.born + self.first_request_timeout)
            }
            ConnectionPhase::Idle => Some(self.since() + self.keep_alive_timeout),
            ConnectionPhase::ReadingHeaders => Some(self.since() + self.header_timeout),
            ConnectionPhase::Lingering => Some(self.since() + self.linger),
            ConnectionPhase::Busy => None,
        };
        [phase_ends, self.write_deadline(), self.flood_deadline()].into_iter().flatten().min()
    }

    pub(crate) fn set_head_decided(&self, is_decided: bool) {
        self.is_head_decided.store(is_decided, Relaxed);
    }

    /// When the connection has done nothing for long enough to give back its buffers, or is to be
    /// taken apart since its head is to be parsed again; `None` while there is something else in
    /// them, or may be.
    pub(crate) fn parks_at(&self) -> Option<Instant> {
        let after = match self.phase() {
            ConnectionPhase::Idle => self.park_after,
            ConnectionPhase::ReadingHeaders if self.is_head_decided.load(Relaxed) => Duration::ZERO,
            ConnectionPhase::ReadingHeaders
            | ConnectionPhase::Busy
            | ConnectionPhase::Lingering => return None,
        };
        let may_park = !self.unsent.load(Relaxed) && !self.is_body_unread();
        may_park.then(|| self.since() + after)
    }

    /// Since when no request has been answered; `None` while one is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        (self.phase() != ConnectionPhase::Busy).then(|| self.since())
    }

    fn since(&self) -> Instant {
        self.born + Duration::from_micros(self.since_micros.load(Relaxed))
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn enter(&self, phase: ConnectionPhase) {
        self.since_micros.store(self.micros(), Relaxed);
        self.kind.store(phase as u64, Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let before = self.0.in_flight.fetch_sub(1, Relaxed);
        if before == 1 && self.0.phase() == ConnectionPhase::Busy {
            self.0.enter(ConnectionPhase::Idle);
        }
    }
}

/// Of each HTTP/2 stream: RFC 9113's default, and what nginx takes ahead. Each costs memory of the
/// budget for bodies while its body arrives.
pub(super) const H2_STREAM_WINDOW_BYTES: usize = 64 * 1024;

/// One record of TLS: some hundred requests, or a thousand small frames, which take a millisecond or two.
const TURN_BYTES: usize = 16 * 1024;
