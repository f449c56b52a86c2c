//! Whether requests should be sent here now; what `/ready` answers.

use crate::lifecycle::Phase;
use crate::state::ProcessState;

/// The answer, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// They should.
    Ready,
    /// Not every socket is served yet.
    Starting,
    /// Nothing new is taken.
    Draining,
    /// Every server of every upstream failed, and none is to be tried yet. It lasts for seconds:
    /// only a request tells whether a server is back, so somebody must be let in.
    NoGoodServer,
}

impl Readiness {
    pub(super) fn of(shared: &ProcessState) -> Self {
        match shared.watcher.phase() {
            Phase::Starting => Self::Starting,
            Phase::Draining => Self::Draining,
            Phase::Serving => {
                let generation = shared.generation.load();
                let mut servers = generation.upstreams.iter().flat_map(|target| &target.servers);
                let is_any_good = servers.any(|server| server.health.is_available());
                if is_any_good { Self::Ready } else { Self::NoGoodServer }
            }
        }
    }

    /// One line for whoever asks.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Ready => "ready\n",
            Self::Starting => "not ready: starting\n",
            Self::Draining => "not ready: draining\n",
            Self::NoGoodServer => "not ready: no upstream has a server that answers\n",
        }
    }
}
