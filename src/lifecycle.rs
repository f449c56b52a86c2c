//! Where the process is in its life, and which generation it serves. One owner moves it; everybody
//! else watches.

use tokio::sync::watch;

/// The states, in the order in which they can follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// Watches the phase and the swaps.
#[derive(Clone, Debug)]
pub(crate) struct Watcher(watch::Receiver<Now>);

/// What a watcher was woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing new is to be taken any more.
    Draining,
    /// Another generation is current.
    Swapped,
}

impl Lifecycle {
    /// Begins at [`Phase::Starting`].
    pub(crate) fn new() -> (Self, Watcher) {
        let (sender, receiver) = watch::channel(Now { phase: Phase::Starting, swaps: 0 });
        (Self(sender), Watcher(receiver))
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
        self.0.send_modify(|now| now.swaps += 1);
    }
}

impl Watcher {
    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        self.0.borrow().phase
    }

    /// Returns when draining has begun, or the owner is gone.
    pub(crate) async fn draining(mut self) {
        let _owner_is_gone = self.0.wait_for(|now| now.phase == Phase::Draining).await;
    }

    /// The next change; an owner that is gone takes nothing new either.
    pub(crate) async fn changed(&mut self) -> Change {
        while self.0.borrow_and_update().phase != Phase::Draining {
            let before = self.0.borrow().swaps;
            if self.0.changed().await.is_err() {
                break;
            }
            let now = *self.0.borrow();
            if now.swaps != before && now.phase != Phase::Draining {
                return Change::Swapped;
            }
        }
        Change::Draining
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
}
