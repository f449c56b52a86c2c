//! Where the process is in its life. One owner moves it; everybody else watches.

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

/// Moves the phase, forwards only: READY can never follow STOPPING.
#[derive(Debug)]
pub struct Lifecycle(watch::Sender<Phase>);

/// Watches the phase.
#[derive(Clone, Debug)]
pub struct Watcher(watch::Receiver<Phase>);

impl Lifecycle {
    /// Begins at [`Phase::Starting`].
    pub fn new() -> (Self, Watcher) {
        let (sender, receiver) = watch::channel(Phase::Starting);
        (Self(sender), Watcher(receiver))
    }

    /// Moves on to `phase`, unless that would be a step back.
    pub fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let moves = phase > *current;
            *current = phase.max(*current);
            moves
        });
    }
}

impl Watcher {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Returns when draining has begun, or the owner is gone.
    pub async fn draining(mut self) {
        let _owner_is_gone = self.0.wait_for(|phase| *phase == Phase::Draining).await;
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
}
