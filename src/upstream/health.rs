//! Whether a server of an upstream is worth trying, and how busy it is; shared by all workers.
//!
//! Learned from requests: a server that cannot be connected to, or that fails several times in a
//! row, is ejected for a while, longer each time; then it is tried again. And from health checks,
//! if the operator wants them: an unhealthy server is not tried until it answers well. Neither
//! keeps a request from a server when there is no better one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// One server's state.
#[derive(Debug)]
pub(crate) struct Health {
    born: Instant,
    /// Requests that it is answering, of all workers.
    load: AtomicUsize,
    failures_in_a_row: AtomicU32,
    /// In milliseconds after `born`.
    ejected_until: AtomicU64,
    /// The verdict of whoever asks it, if somebody does.
    is_unhealthy: AtomicBool,
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthState {
    /// Nothing speaks against it.
    Available,
    /// It failed, and is to be tried again; nobody has done so yet.
    HalfOpen,
    /// It failed, and is not tried for a while.
    Ejected,
    /// It answers health checks badly, or not at all.
    Unhealthy,
}

/// One request that a server is answering, until it is dropped.
#[derive(Debug)]
pub(super) struct Load(Arc<Health>);

impl Health {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            load: AtomicUsize::new(0),
            failures_in_a_row: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            is_unhealthy: AtomicBool::new(false),
        }
    }

    /// Whether it should be tried now.
    pub(crate) fn is_available(&self) -> bool {
        self.is_healthy() && self.is_due()
    }

    /// Whether health checks, if there are any, have nothing against it.
    pub(crate) fn is_healthy(&self) -> bool {
        !self.is_unhealthy.load(Relaxed)
    }

    /// The verdict of health checks from now on; answers whether it is another one than before.
    pub(crate) fn set_healthy(&self, is_healthy: bool) -> bool {
        self.is_unhealthy.swap(!is_healthy, Relaxed) == is_healthy
    }

    /// Whether it is not, or no longer, ejected for what requests met.
    fn is_due(&self) -> bool {
        self.now() >= self.ejected_until.load(Relaxed)
    }

    /// For choosing the least of several evils: nothing at all, then failed requests, then failed
    /// health checks, which are newer.
    pub(super) fn rank(&self) -> (bool, u64) {
        let ejected = if self.is_due() { 0 } else { self.ejected_until() };
        (!self.is_healthy(), ejected)
    }

    /// What is known of it.
    pub(crate) fn state(&self) -> HealthState {
        match self.is_due() {
            _ if !self.is_healthy() => HealthState::Unhealthy,
            false => HealthState::Ejected,
            true if self.ejected_until() > 0 => HealthState::HalfOpen,
            true => HealthState::Available,
        }
    }

    pub(crate) fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row.load(Relaxed)
    }

    fn ejected_until(&self) -> u64 {
        self.ejected_until.load(Relaxed)
    }

    pub(crate) fn load(&self) -> usize {
        self.load.load(Relaxed)
    }

    pub(super) fn enter(self: &Arc<Self>) -> Load {
        self.load.fetch_add(1, Relaxed);
        Load(Arc::clone(self))
    }

    pub(super) fn succeeded(&self) {
        if self.failures_in_a_row.load(Relaxed) != 0 {
            self.failures_in_a_row.store(0, Relaxed);
            self.ejected_until.store(0, Relaxed);
        }
    }

    /// An answer that did not come, or did not come in time.
    pub(super) fn failed(&self) {
        let failures = self.failures_in_a_row.fetch_add(1, Relaxed).saturating_add(1);
        if let Some(beyond) = failures.checked_sub(FAILURES_ALLOWED) {
            self.eject(beyond);
        }
    }

    /// Nobody there: known at once.
    pub(super) fn unreachable(&self) {
        let failures = self.failures_in_a_row.fetch_add(1, Relaxed);
        self.eject(failures);
    }

    /// Each ejection in a row lasts twice as long as the one before.
    fn eject(&self, times_before: u32) {
        let time =
            BASE_EJECTION_TIME.saturating_mul(1 << times_before.min(10)).min(MAX_EJECTION_TIME);
        let until = self.now().saturating_add(millis(time));
        self.ejected_until.fetch_max(until, Relaxed);
    }

    fn now(&self) -> u64 {
        millis(self.born.elapsed())
    }
}

impl Load {
    pub(super) fn health(&self) -> &Health {
        &self.0
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One slow or broken answer is an accident; the third in a row is a state.
const FAILURES_ALLOWED: u32 = 3;

/// Of the first ejection: a restart of a small application takes about as long.
const BASE_EJECTION_TIME: Duration = Duration::from_millis(250);

/// Of any ejection: a server that comes back is found within this time.
const MAX_EJECTION_TIME: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_nobody_answers_at_is_ejected_at_once_and_forgiven_on_success() {
        let health = Health::new();
        assert!(health.is_available());
        health.unreachable();
        assert!(!health.is_available());
        health.succeeded();
        assert!(health.is_available());
    }

    #[test]
    fn failed_answers_count_only_in_a_row() {
        let health = Health::new();
        for _ in 0..10 {
            health.failed();
            health.failed();
            health.succeeded();
        }
        assert!(health.is_available());
        for _ in 0..3 {
            health.failed();
        }
        assert!(!health.is_available());
    }
}
