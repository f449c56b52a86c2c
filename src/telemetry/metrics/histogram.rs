//! A histogram of durations that workers share without a lock.
//!
//! The one of `prometheus-client` takes a mutex for every observation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds of the buckets in seconds: from a memory-speed answer to Meta's patience.
const BOUNDS_SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 4.0, 10.0];

/// Durations, counted in fixed buckets.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    shared: Arc<SharedBuckets>,
}

#[derive(Debug, Default)]
struct SharedBuckets {
    /// One more than the bounds: the last is for everything above.
    buckets: [AtomicU64; BOUNDS_SECONDS.len() + 1],
    sum_micros: AtomicU64,
}

impl Durations {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let index = BOUNDS_SECONDS.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.shared.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.shared.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = BOUNDS_SECONDS.into_iter().chain([f64::INFINITY]);
        let counts = self.shared.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum =
            Duration::from_micros(self.shared.sum_micros.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn durations_fall_into_their_buckets_and_add_up() {
        let durations = Durations::default();
        for millis in [1, 3, 20_000] {
            durations.observe(Duration::from_millis(millis));
        }
        let mut registry = Registry::default();
        registry.register("took_seconds", "test", durations);
        let mut text = String::new();
        encode(&mut text, &registry).expect("a String takes everything");
        assert!(text.contains("took_seconds_bucket{le=\"0.001\"} 1"), "{text}");
        assert!(text.contains("took_seconds_bucket{le=\"0.005\"} 2"), "{text}");
        assert!(text.contains("took_seconds_bucket{le=\"10.0\"} 2"), "{text}");
        assert!(text.contains("took_seconds_bucket{le=\"+Inf\"} 3"), "{text}");
        assert!(text.contains("took_seconds_sum 20.004"), "{text}");
    }
}
