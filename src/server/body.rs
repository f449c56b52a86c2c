//! Receives a whole request body under its limits: one body's bytes, everybody's memory, and time.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

use super::memory::{Budget, Gather, Held};
use crate::refusal::Refusal;
use crate::telemetry::metrics::Gauge;

/// The memory that all request bodies share, whatever the generation; its level is a metric.
#[derive(Clone, Debug)]
pub(crate) struct BodyMemory {
    level: Gauge,
    /// What callers take of it of whom nothing is proven.
    unproven: Gauge,
}

/// One body's limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    /// Largest accepted body.
    pub(crate) max_bytes: usize,
    /// What may arrive before it is asked for.
    pub(crate) window_bytes: usize,
    /// When its last byte must be there.
    pub(crate) deadline: Instant,
}

impl BodyMemory {
    pub(crate) fn new(level: Gauge) -> Self {
        Self { level, unproven: Gauge::default() }
    }

    /// Of `limit` bytes in all, callers of whom nothing is proven take at most half.
    pub(crate) fn hold_nothing(&self, limit: usize, is_proven: bool) -> Held {
        let all = Budget::new(&self.level, limit);
        let budget = if is_proven { all } else { all.half(&self.unproven) };
        budget.hold_nothing()
    }
}

/// Hands `body` to `keep`, in order, in pieces that take what `held` says; the body is whole when
/// this returns `Ok`.
///
/// A declared length above the limit is refused before anything is read, so that a caller who
/// expects `100 Continue` never sends it.
pub(crate) async fn receive(
    mut body: Incoming,
    limits: BodyLimits,
    mut held: Held,
    mut keep: impl FnMut(Bytes),
) -> Result<Held, Refusal> {
    let max_bytes = limits.max_bytes;
    if body.size_hint().lower() > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
        return Err(Refusal::BodyTooLarge);
    }
    let mut gather = Gather::default();
    let all_frames = async {
        let mut received = 0_usize;
        let mut left = body.size_hint().exact();
        loop {
            // The window is held as long as something may arrive in it.
            let window = limits.window_bytes.min(at_most(left));
            let bytes = gather.memory_bytes().saturating_add(window);
            held.resize(bytes).map_err(|_exhausted| Refusal::BodyMemoryExhausted)?;
            let Some(frame) = body.frame().await else { return Ok(()) };
            let frame = frame.map_err(|_broken| Refusal::BodyBroken)?;
            // Trailers are not signed and go nowhere.
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            received = received.saturating_add(piece.len());
            if received > max_bytes {
                return Err(Refusal::BodyTooLarge);
            }
            gather.take(&piece, left, &mut keep);
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            left = left.map(|left| left.saturating_sub(length));
        }
    };
    timeout_at(limits.deadline, all_frames).await.unwrap_or(Err(Refusal::BodyTimeout))?;
    gather.finish(&mut keep);
    held.resize(gather.memory_bytes()).map_err(|_exhausted| Refusal::BodyMemoryExhausted)?;
    Ok(held)
}

fn at_most(left: Option<u64>) -> usize {
    left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX)
}
