//! Receives a whole request body under its limits: one body's bytes, everybody's bytes, and time.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use prometheus_client::metrics::gauge::Gauge;
use std::sync::atomic::AtomicU64;
use tokio::time::{Instant, timeout_at};

use crate::refusal::Refusal;

/// The memory that all request bodies share, whatever the generation; its level is a metric.
#[derive(Clone, Debug)]
pub(crate) struct BodyMemory {
    level: Gauge<u64, AtomicU64>,
}

/// A part of [`BodyMemory`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    memory: BodyMemory,
    bytes: u64,
    /// Of all bodies together.
    limit: u64,
}

/// One body's limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    /// Largest accepted body.
    pub(crate) max_bytes: usize,
    /// Most that all bodies together may take.
    pub(crate) memory_bytes: usize,
    /// When its last byte must be there.
    pub(crate) deadline: Instant,
}

impl BodyMemory {
    pub(crate) fn new(level: Gauge<u64, AtomicU64>) -> Self {
        Self { level }
    }

    fn hold_nothing(&self, limit: usize) -> Held {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        Held { memory: self.clone(), bytes: 0, limit }
    }
}

impl Held {
    /// What a body takes that was never received.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn nothing() -> Self {
        BodyMemory::new(Gauge::default()).hold_nothing(0)
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let before = self.memory.level.inc_by(bytes);
        self.bytes += bytes;
        if before.saturating_add(bytes) > self.limit {
            return Err(Refusal::BodyMemoryExhausted);
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.level.dec_by(self.bytes);
    }
}

/// Hands each frame of `body` to `keep`, in order; the body is whole when this returns `Ok`.
///
/// A declared length above the limit is refused before anything is read, so that a caller who
/// expects `100 Continue` never sends it.
pub(crate) async fn receive(
    mut body: Incoming,
    limits: BodyLimits,
    memory: &BodyMemory,
    mut keep: impl FnMut(Bytes),
) -> Result<Held, Refusal> {
    let mut held = memory.hold_nothing(limits.memory_bytes);
    let max_bytes = limits.max_bytes;
    if body.size_hint().lower() > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
        return Err(Refusal::BodyTooLarge);
    }
    let all_frames = async {
        let mut received = 0_usize;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_broken| Refusal::BodyBroken)?;
            // Trailers are not signed and go nowhere.
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            received = received.saturating_add(bytes.len());
            if received > max_bytes {
                return Err(Refusal::BodyTooLarge);
            }
            held.grow(bytes.len())?;
            keep(bytes);
        }
        Ok(())
    };
    timeout_at(limits.deadline, all_frames).await.unwrap_or(Err(Refusal::BodyTimeout))?;
    Ok(held)
}
