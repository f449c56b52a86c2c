//! What happened, for those who were not there: log lines, counters, one record a request.
//!
//! Stages return values; only the handlers, the connection and what stands above them write here.

pub mod access;
pub(crate) mod json;
mod lines;
pub mod log;
pub mod metrics;
pub(crate) mod refusal_log;
pub(crate) mod trace;
