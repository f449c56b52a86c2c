//! The streams of one HTTP/2 connection whose answers wait to be taken, and since when.
//!
//! A caller can close the window of a stream, or of the whole connection, while its socket takes
//! everything: then hyper polls no body, and no write is pending. So each piece of an answer
//! ([`super::sent_body`]) is followed from the moment when hyper takes it to the moment when it has
//! left, and a stream of which none has left for too long is ended by dropping its task: hyper sends
//! RST_STREAM for it, and the body goes with all that it holds.
//!
//! Each stream has a time of its own, so that nothing that other streams do renews it.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::timeouts::{ConnectionTimeouts, InFlight};

/// The streams of one connection.
#[derive(Clone)]
pub(super) struct Streams(Rc<ConnectionStreams>);

struct ConnectionStreams {
    timeouts: Arc<ConnectionTimeouts>,
    write_timeout: Duration,
    cut: Counter,
    /// A request that hyper has just handed over; it spawns the task of its stream next.
    begun: Cell<Option<Rc<Sending>>>,
    /// Those with pieces on their way.
    waiting: RefCell<Vec<Rc<Sending>>>,
    /// No stream is late before this; `None` while none is waiting.
    earliest: Cell<Option<Instant>>,
}

/// The answer on one stream.
pub(super) struct Sending {
    connection: Rc<ConnectionStreams>,
    /// What hyper has taken and not sent yet.
    pieces: Cell<usize>,
    /// When hyper last took a piece, or had sent one.
    since: Cell<Instant>,
    /// Runs until hyper has taken all of the answer.
    task: OnceCell<AbortHandle>,
    /// The connection is not idle before everything has left.
    _in_flight: InFlight,
}

/// A piece that hyper has taken; dropped when it has left, or never will.
pub(super) struct PendingPiece(Rc<Sending>);

impl Streams {
    pub(super) fn new(
        timeouts: Arc<ConnectionTimeouts>,
        write_timeout: Duration,
        cut: Counter,
    ) -> Self {
        Self(Rc::new(ConnectionStreams {
            timeouts,
            write_timeout,
            cut,
            begun: Cell::new(None),
            waiting: RefCell::default(),
            earliest: Cell::new(None),
        }))
    }

    /// A request has come; its answer is to be followed.
    pub(super) fn begin(&self) -> Rc<Sending> {
        let sending = Rc::new(Sending {
            connection: Rc::clone(&self.0),
            pieces: Cell::new(0),
            since: Cell::new(Instant::now()),
            task: OnceCell::new(),
            _in_flight: self.0.timeouts.answer_began(),
        });
        self.0.begun.set(Some(Rc::clone(&sending)));
        sending
    }

    /// The stream of the request that came last runs in this task.
    pub(super) fn runs_in(&self, task: AbortHandle) {
        if let Some(sending) = self.0.begun.take() {
            let _is_the_only_one = sending.task.set(task);
        }
    }

    /// When to call [`Self::end_late`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.earliest.get()
    }

    /// Ends every stream of which nothing has left for too long at `now`. Returns whether there is
    /// one that hyper has taken all of, and that can only be ended with its connection.
    pub(super) fn end_late(&self, now: Instant) -> bool {
        let ConnectionStreams { write_timeout, cut, waiting, earliest, .. } = &*self.0;
        if earliest.get().is_none_or(|earliest| earliest > now) {
            return false;
        }
        let mut is_stuck = false;
        for sending in &*waiting.borrow() {
            if sending.since.get() + *write_timeout > now {
                continue;
            }
            match sending.task.get().filter(|task| !task.is_finished()) {
                Some(task) => task.abort(),
                None => is_stuck = true,
            }
            cut.inc();
            // Its pieces go when hyper has sent the reset.
            sending.since.set(now);
        }
        let since = waiting.borrow().iter().map(|sending| sending.since.get()).min();
        earliest.set(since.map(|since| since + *write_timeout));
        is_stuck
    }
}

impl Sending {
    /// Hyper takes a piece.
    pub(super) fn take(self: &Rc<Self>) -> PendingPiece {
        let (connection, now) = (&self.connection, Instant::now());
        self.since.set(now);
        if self.pieces.replace(self.pieces.get() + 1) == 0 {
            connection.waiting.borrow_mut().push(Rc::clone(self));
            if connection.earliest.get().is_none() {
                connection.earliest.set(Some(now + connection.write_timeout));
            }
        }
        PendingPiece(Rc::clone(self))
    }
}

impl Drop for PendingPiece {
    fn drop(&mut self) {
        let (sending, connection) = (&self.0, &self.0.connection);
        let left = sending.pieces.get().saturating_sub(1);
        sending.pieces.set(left);
        if left > 0 {
            sending.since.set(Instant::now());
            return;
        }
        let mut waiting = connection.waiting.borrow_mut();
        if let Some(index) = waiting.iter().position(|other| Rc::ptr_eq(other, sending)) {
            waiting.swap_remove(index);
        }
        if waiting.is_empty() {
            connection.earliest.set(None);
        }
    }
}
