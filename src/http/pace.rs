//! How long a connection may take for what it is doing.
//!
//! Marked by the socket's wrapper and by each request, read by [`super::serve`]. Marking costs one
//! look at the clock and arms no timer: the timer is armed again only when the next deadline came
//! closer than the one it waits for.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Limits;

/// One connection's clock.
#[derive(Debug)]
pub(crate) struct Pace {
    phase: Cell<Phase>,
    in_flight: Cell<usize>,
    requests: Cell<usize>,
    /// The body of a refused request is still on its way.
    body_unread: Cell<bool>,
    header_timeout: Duration,
    keep_alive_timeout: Duration,
    requests_max: usize,
    /// HTTP/2 sends frames that are no request; only HTTP/1 headers are timed from the first byte.
    is_h2: bool,
}

/// What the connection is doing, and since when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Phase {
    /// Nothing: the next request has not begun.
    Waiting(Instant),
    /// A request's headers are arriving.
    Heading(Instant),
    /// Requests are being answered; they have deadlines of their own.
    Busy,
    /// Closed on our side; what still arrives is thrown away so that the answer is not.
    Lingering(Instant),
}

/// Marks the end of a request when dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Rc<Pace>);

impl Pace {
    pub(crate) fn new(limits: &Limits, is_h2: bool) -> Self {
        Self {
            phase: Cell::new(Phase::Waiting(Instant::now())),
            in_flight: Cell::new(0),
            requests: Cell::new(0),
            body_unread: Cell::new(false),
            header_timeout: limits.header_timeout,
            keep_alive_timeout: limits.keep_alive_timeout,
            requests_max: limits.requests_per_connection.get(),
            is_h2,
        }
    }

    pub(crate) fn bytes_arrived(&self) {
        if let (Phase::Waiting(_), false) = (self.phase.get(), self.is_h2) {
            self.phase.set(Phase::Heading(Instant::now()));
        }
    }

    pub(crate) fn request_began(self: &Rc<Self>) -> InFlight {
        self.in_flight.set(self.in_flight.get() + 1);
        self.requests.set(self.requests.get().saturating_add(1));
        self.phase.set(Phase::Busy);
        InFlight(Rc::clone(self))
    }

    /// The limit of requests is reached: this one is the last.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.requests.get() >= self.requests_max
    }

    pub(crate) fn set_body_unread(&self, is_unread: bool) {
        self.body_unread.set(is_unread);
    }

    pub(crate) fn is_body_unread(&self) -> bool {
        self.body_unread.get()
    }

    /// Whether closing now could reset the connection under an answer that is still on its way.
    pub(crate) fn must_linger(&self) -> bool {
        self.body_unread.get() || !matches!(self.phase.get(), Phase::Waiting(_))
    }

    pub(crate) fn linger(&self) {
        if !matches!(self.phase.get(), Phase::Lingering(_)) {
            self.phase.set(Phase::Lingering(Instant::now()));
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// When this phase has lasted too long; `None` while requests are being answered.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase.get() {
            Phase::Waiting(since) => Some(since + self.keep_alive_timeout),
            Phase::Heading(since) => Some(since + self.header_timeout),
            Phase::Lingering(since) => Some(since + LINGER_TIMEOUT),
            Phase::Busy => None,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let left = self.0.in_flight.get().saturating_sub(1);
        self.0.in_flight.set(left);
        if left == 0 && self.0.phase.get() == Phase::Busy {
            self.0.phase.set(Phase::Waiting(Instant::now()));
        }
    }
}

/// Long enough for a refused body of a few megabytes on a slow line.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
