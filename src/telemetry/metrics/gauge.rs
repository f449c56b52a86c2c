//! Gauges: how high one stands, raised and lowered, and one that is a moment.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::gauge;

use super::Metrics;

/// A gauge that counts things in bytes, seconds or pieces.
pub(crate) type Gauge = gauge::Gauge<u64, AtomicU64>;

/// Lowers the gauge that it raised when it is dropped, also when a future is dropped half-way.
#[derive(Debug)]
pub(crate) struct GaugeGuard {
    metrics: Arc<Metrics>,
    gauge: fn(&Metrics) -> &Gauge,
}

impl GaugeGuard {
    pub(crate) fn new(metrics: &Arc<Metrics>, gauge: fn(&Metrics) -> &Gauge) -> Self {
        gauge(metrics).inc();
        Self { metrics: Arc::clone(metrics), gauge }
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        (self.gauge)(&self.metrics).dec();
    }
}

/// What a gauge in seconds since 1970 says; 0 is never.
pub(in crate::telemetry) fn moment(gauge: &Gauge) -> Option<SystemTime> {
    let seconds = Some(gauge.get()).filter(|seconds| *seconds != 0)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

pub(in crate::telemetry) fn unix_seconds(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
