//! How often something happened, and when last.

use std::time::SystemTime;

use prometheus_client::metrics::counter::Counter;

use super::{Gauge, moment, unix_seconds};

/// A counter and a moment; of two occurrences at once either may be the last.
#[derive(Clone, Debug)]
pub(crate) struct Occurrences {
    pub(super) times: Counter,
    pub(super) last: Gauge,
}

impl Occurrences {
    /// Once more.
    pub(crate) fn happened(&self, now: SystemTime) {
        self.times.inc();
        self.last.set(unix_seconds(now));
    }

    /// How often so far.
    pub(crate) fn times(&self) -> u64 {
        self.times.get()
    }

    /// When last, to the second; `None` if it never did.
    pub(crate) fn last(&self) -> Option<SystemTime> {
        moment(&self.last)
    }
}
