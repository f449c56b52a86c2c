//! Where the process is in its life, and which generation it serves. One owner moves it; everybody
//! else watches.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Times that nobody needs to configure. Each has a value that suits every site; tests, which would
/// wait for them, have their own.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    /// From the end of an answer until the connection gives back its buffers. A connection in use is
    /// never parked; one that is saves two thirds of its memory, for two allocations when the next
    /// request comes.
    pub park_after: Duration,
    /// From the beginning of a drain until a connection that had no request is closed: some round
    /// trips.
    pub first_request: Duration,
    /// Between two looks for upstream connections that are idle for too long; an unused one outlives
    /// its idle time by this much at most.
    pub pool_sweep: Duration,
    /// From the close of our side until the connection is dropped, for what its caller still sends
    /// after an answer: long enough for a refused body of a few megabytes on a slow line.
    pub linger: Duration,
    /// The same after a refused handshake: a caller that has read the alert closes within a round
    /// trip or two.
    pub alert_linger: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            park_after: second,
            first_request: second,
            pool_sweep: second,
            linger: 5 * second,
            alert_linger: second,
        }
    }
}

/// The states, in the order in which they can follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not all sockets are served yet.
    Starting,
    /// Taking connections and requests.
    Serving,
    /// Finishing what is in flight; nothing new is taken.
    Draining,
}

#[derive(Clone, Copy, Debug)]
struct Now {
    phase: Phase,
    /// Counts swaps, so that watchers notice each.
    swaps: u64,
}

/// Moves the phase, forwards only: READY can never follow STOPPING.
#[derive(Debug)]
pub(crate) struct Lifecycle(watch::Sender<Now>);

/// Tells of swaps, and cannot move the phase.
#[derive(Debug)]
pub(crate) struct Swaps(watch::Sender<Now>);

/// Watches the phase and the swaps.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    now: watch::Receiver<Now>,
    /// The last swap that was told: one between two questions is not missed.
    told: u64,
}

/// What a watcher was woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing new is to be taken any more.
    Draining,
    /// Another generation is current, or other revocation lists are in force in it.
    Swapped,
}

impl Lifecycle {
    /// Begins at [`Phase::Starting`].
    pub(crate) fn new() -> (Self, Watcher) {
        let (sender, receiver) = watch::channel(Now { phase: Phase::Starting, swaps: 0 });
        (Self(sender), Watcher { now: receiver, told: 0 })
    }

    /// Moves on to `phase`, unless that would be a step back.
    pub(crate) fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let moves = phase > now.phase;
            now.phase = phase.max(now.phase);
            moves
        });
    }

    /// Tells every watcher that another generation is current.
    pub(crate) fn swapped(&self) {
        self.swaps().swapped();
    }

    /// For whoever swaps a part of the generation.
    pub(crate) fn swaps(&self) -> Swaps {
        Swaps(self.0.clone())
    }
}

impl Swaps {
    /// Tells every watcher that the trust that callers are proven under has changed.
    pub(crate) fn swapped(&self) {
        self.0.send_modify(|now| now.swaps += 1);
    }
}

impl Watcher {
    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        self.now.borrow().phase
    }

    /// Returns when draining has begun, or the owner is gone.
    pub(crate) async fn draining(mut self) {
        let _owner_is_gone = self.now.wait_for(|now| now.phase == Phase::Draining).await;
    }

    /// The next change since the last answer; an owner that is gone takes nothing new either.
    pub(crate) async fn changed(&mut self) -> Change {
        loop {
            let now = *self.now.borrow_and_update();
            if now.phase == Phase::Draining {
                return Change::Draining;
            }
            if now.swaps != self.told {
                self.told = now.swaps;
                return Change::Swapped;
            }
            if self.now.changed().await.is_err() {
                return Change::Draining;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_never_goes_back() {
        let (lifecycle, watcher) = Lifecycle::new();
        lifecycle.advance(Phase::Draining);
        lifecycle.advance(Phase::Serving);
        assert_eq!(watcher.phase(), Phase::Draining);
    }

    #[tokio::test]
    async fn a_watcher_is_told_of_swaps_and_then_of_draining() {
        let (lifecycle, mut watcher) = Lifecycle::new();
        let told = tokio::spawn(async move { [watcher.changed().await, watcher.changed().await] });
        tokio::task::yield_now().await;
        lifecycle.advance(Phase::Serving);
        lifecycle.swapped();
        tokio::task::yield_now().await;
        lifecycle.advance(Phase::Draining);
        assert_eq!(told.await.expect("ends"), [Change::Swapped, Change::Draining]);
    }

    #[tokio::test]
    async fn a_swap_between_two_questions_is_told() {
        let (lifecycle, mut watcher) = Lifecycle::new();
        lifecycle.swapped();
        assert_eq!(watcher.changed().await, Change::Swapped);
        lifecycle.swaps().swapped();
        assert_eq!(watcher.changed().await, Change::Swapped);
    }
}
