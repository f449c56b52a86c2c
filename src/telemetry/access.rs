//! One log entry a request: what came, what became of it, how long it took.
//!
//! Filled by the handler on the way, written once when it is dropped, so that a caller who disconnects
//! half-way leaves an entry, too. Never a body, a token or a secret: the query is not in it at all.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{Method, StatusCode};
use tracing::{info, warn};

use super::metrics::RouteMetrics;
use super::refusal_log::{RefusalLine, WorkerRefusalLog, address_of};
use super::trace::TraceId;
use crate::refusal::{Refusal, Severity};

/// The access log entry of one request.
#[derive(Debug)]
pub(crate) struct AccessLogEntry {
    /// Address and port, as text.
    pub(crate) client: Rc<str>,
    pub(crate) request_id: RequestId,
    /// The id of the W3C trace that it belongs to.
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) method: Method,
    /// The configured name of the route; what a stranger asked for is not repeated.
    pub(crate) route: Option<Arc<str>>,
    pub(crate) metrics: Option<Arc<RouteMetrics>>,
    pub(crate) anchor: Option<Arc<str>>,
    pub(crate) secret: Option<Arc<str>>,
    /// What a route that only reports let pass.
    pub(crate) would_refuse: Option<Refusal>,
    pub(crate) outcome: RequestOutcome,
    pub(crate) status: Option<StatusCode>,
    pub(crate) bytes: usize,
    pub(crate) began: Instant,
    pub(crate) upstream_time: Option<Duration>,
    /// Whether it is written, or only counted.
    pub(crate) is_written: bool,
    /// Bounds the entries of what was not proven.
    pub(crate) refusals: Rc<WorkerRefusalLog>,
}

/// Our name for a request: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId([u8; 32]);

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestOutcome {
    /// The caller disconnected before there was an answer.
    CallerGone,
    /// A proven event, and the application's answer.
    Delivered,
    /// A proven verification request, answered here.
    ChallengeAnswered,
    /// A proven verification request, answered by the application.
    ChallengeForwarded,
    /// Through a site, to the last byte of its answer.
    Passed,
    /// Through a site, to another protocol.
    Upgraded,
    /// In plain HTTP, and sent to https.
    Redirected,
    /// In plain HTTP, for a token of an ACME client, which is there.
    AcmeAnswered,
    /// See the refusal.
    Refused(Refusal),
}

impl RequestId {
    pub(crate) fn new(number: u128) -> Self {
        let mut digits = [0; 32];
        let _fits = base16ct::lower::encode(&number.to_be_bytes(), &mut digits);
        Self(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl RequestOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::CallerGone => "caller_gone",
            Self::Delivered => "delivered",
            Self::ChallengeAnswered => "challenge_answered",
            Self::ChallengeForwarded => "challenge_forwarded",
            Self::Passed => "passed",
            Self::Upgraded => "upgraded",
            Self::Redirected => "redirected",
            Self::AcmeAnswered => "acme_answered",
            Self::Refused(_) => "refused",
        }
    }
}

impl Drop for AccessLogEntry {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        if let Some(metrics) = &self.metrics {
            metrics.requests.inc();
            metrics.duration.observe(took);
            if let RequestOutcome::Refused(refusal) = self.outcome {
                metrics.refused(refusal, SystemTime::now());
            }
        }
        if self.is_written && self.is_admitted() {
            self.write(took);
        }
    }
}

impl AccessLogEntry {
    /// Of a request that begins now, and of which nothing else is known yet.
    pub(crate) fn begun(
        client: Rc<str>,
        request_id: RequestId,
        method: &Method,
        is_written: bool,
        refusals: Rc<WorkerRefusalLog>,
    ) -> Self {
        Self {
            client,
            request_id,
            trace_id: None,
            method: method.clone(),
            route: None,
            metrics: None,
            anchor: None,
            secret: None,
            would_refuse: None,
            outcome: RequestOutcome::CallerGone,
            status: None,
            bytes: 0,
            began: Instant::now(),
            upstream_time: None,
            is_written,
            refusals,
        }
    }

    /// Whether it is among the lines that its caller may have written. What was proven always is.
    fn is_admitted(&self) -> bool {
        let line = match self.outcome {
            _ if self.secret.is_some() => return true,
            RequestOutcome::Refused(refusal) => RefusalLine::Request(refusal),
            RequestOutcome::CallerGone => RefusalLine::Abandoned,
            RequestOutcome::Delivered
            | RequestOutcome::ChallengeAnswered
            | RequestOutcome::ChallengeForwarded
            | RequestOutcome::Passed
            | RequestOutcome::Upgraded
            | RequestOutcome::Redirected
            | RequestOutcome::AcmeAnswered => return true,
        };
        let WorkerRefusalLog(refusals) = &*self.refusals;
        address_of(&self.client).is_none_or(|client| refusals.admits(client, line))
    }

    fn write(&self, took: Duration) {
        let (refusal, hint, severity) = match self.outcome {
            RequestOutcome::Refused(refusal) => {
                (Some(refusal.label()), Some(refusal.hint()), refusal.severity())
            }
            RequestOutcome::CallerGone
            | RequestOutcome::Delivered
            | RequestOutcome::ChallengeAnswered
            | RequestOutcome::ChallengeForwarded
            | RequestOutcome::Passed
            | RequestOutcome::Upgraded
            | RequestOutcome::Redirected
            | RequestOutcome::AcmeAnswered => (None, None, Severity::Notice),
        };
        // `tracing` takes only a constant level, hence the two arms.
        macro_rules! log_entry {
            ($level:ident) => {
                $level!(
                    target: "access",
                    request_id = self.request_id.as_str(),
                    trace_id = self.trace_id.as_ref().map(TraceId::as_str),
                    client = &*self.client,
                    route = self.route.as_deref(),
                    method = self.method.as_str(),
                    status = self.status.map(|status| status.as_u16()),
                    outcome = self.outcome.label(),
                    refusal,
                    would_refuse = self.would_refuse.map(Refusal::label),
                    hint,
                    anchor = self.anchor.as_deref(),
                    secret = self.secret.as_deref(),
                    bytes = self.bytes,
                    duration_ms = millis(took),
                    upstream_ms = self.upstream_time.map(millis),
                )
            };
        }
        match severity {
            Severity::Fault => log_entry!(warn),
            Severity::Notice | Severity::Noise => log_entry!(info),
        }
    }
}

/// Milliseconds with three digits behind the point.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_has_all_its_digits() {
        assert_eq!(RequestId::new(0).as_str(), "0".repeat(32));
        assert_eq!(RequestId::new(u128::MAX).as_str(), "f".repeat(32));
        let number = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
        assert_eq!(RequestId::new(number).as_str(), format!("{number:032x}"));
    }
}
