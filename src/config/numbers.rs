//! Numbers with a range: counts, bytes, milliseconds.
//!
//! Every limit has an upper end, too: far above what makes sense, and below what the counters and
//! clocks behind it can hold.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::fault::Fault;
use super::findings::{Findings, Written};

/// Connections, requests, streams: what is counted one by one.
pub(super) fn count(written: &Written<i64>, findings: &mut Findings) -> NonZeroUsize {
    size(written, 1..=MAXIMUM_COUNT, findings)
}

/// A number of anything that takes memory.
pub(super) fn size(
    written: &Written<i64>,
    range: RangeInclusive<u64>,
    findings: &mut Findings,
) -> NonZeroUsize {
    usize::try_from(within(written, range, findings))
        .ok()
        .and_then(NonZeroUsize::new)
        .unwrap_or(NonZeroUsize::MIN)
}

/// A time of at least a millisecond and at most a day.
pub(super) fn milliseconds(written: &Written<i64>, findings: &mut Findings) -> Duration {
    Duration::from_millis(within(written, 1..=MAXIMUM_MS, findings))
}

/// The number if it is in the range; else records that, and the range's start stands in.
pub(super) fn within(
    written: &Written<i64>,
    range: RangeInclusive<u64>,
    findings: &mut Findings,
) -> u64 {
    let number = u64::try_from(written.value).ok().filter(|number| range.contains(number));
    number.unwrap_or_else(|| {
        let fault = match written.value {
            0 => Fault::Zero,
            _ => Fault::OutOfRange { minimum: *range.start(), maximum: *range.end() },
        };
        findings.fault(&written.at, fault);
        *range.start()
    })
}

/// 16,777,216. A semaphore holds more, a machine does not.
const MAXIMUM_COUNT: u64 = 1 << 24;

/// A day: longer is a slip of the unit.
const MAXIMUM_MS: u64 = 24 * 60 * 60 * 1_000;
