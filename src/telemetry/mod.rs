//! What happened, for those who were not there: log lines, counters, one record a request.
//!
//! Rooms on the road return values; only the conductors and `app` write here.

pub mod access;
pub mod histogram;
pub(crate) mod json;
mod lines;
pub mod log;
pub mod metrics;
pub(crate) mod occurrences;
mod shown;
pub(crate) mod trace;
