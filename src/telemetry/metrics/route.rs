//! What is counted of each route.

use std::time::SystemTime;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Gauge, Metrics, register};
use crate::refusal::Refusal;
use crate::telemetry::metrics::histogram::Durations;
use crate::telemetry::metrics::occurrences::Occurrences;

/// The route label of requests that no route matched.
pub(crate) const NO_ROUTE: &str = "none";

/// The route label of what is asked at the addresses of `[redirect]`.
pub(crate) const REDIRECT: &str = "redirect";

/// The metrics of one route, looked up once.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    pub(crate) requests: Counter,
    pub(crate) events: Occurrences,
    /// 1 while there is none for longer than the route's alarm allows.
    pub(crate) quiet: Gauge,
    pub(crate) verifications: Counter,
    pub(crate) duration: Durations,
    pub(crate) upstream_duration: Durations,
    pub(crate) body_duration: Durations,
    pub(crate) received_bytes: Counter,
    refusals: Vec<Occurrences>,
    would_refuse: Vec<Occurrences>,
    /// In the order of the route's list.
    pub(crate) secrets: Vec<Occurrences>,
}

impl Metrics {
    /// The metrics of a route whose secrets have these labels.
    pub(crate) fn route(
        &self,
        name: &str,
        secrets: impl Iterator<Item = impl Into<String>>,
    ) -> RouteMetrics {
        self.routes.look_up(name, secrets)
    }
}

impl RouteMetrics {
    pub(crate) fn refused(&self, refusal: Refusal, now: SystemTime) {
        if let Some(refusals) = self.refusals.get(refusal as usize) {
            refusals.happened(now);
        }
    }

    pub(crate) fn would_refuse(&self, refusal: Refusal, now: SystemTime) {
        if let Some(refusals) = self.would_refuse.get(refusal as usize) {
            refusals.happened(now);
        }
    }

    /// Every reason, with what was refused for it.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (Refusal, &Occurrences)> {
        Refusal::ALL.into_iter().zip(&self.refusals)
    }

    /// Every reason, with what would have been refused for it.
    pub(crate) fn would_refusals(&self) -> impl Iterator<Item = (Refusal, &Occurrences)> {
        Refusal::ALL.into_iter().zip(&self.would_refuse)
    }

    /// A genuine event, signed with the secret at `index` of the route's list.
    pub(crate) fn event_verified(&self, index: usize, now: SystemTime) {
        if let Some(secret) = self.secrets.get(index) {
            secret.happened(now);
        }
        self.events.happened(now);
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct RouteFamilies {
    requests: Family<RouteLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    last_refused: Family<RefusalLabels, Gauge>,
    would_refuse: Family<RefusalLabels, Counter>,
    last_would_refuse: Family<RefusalLabels, Gauge>,
    events_verified: Family<RouteLabels, Counter>,
    verifications: Family<RouteLabels, Counter>,
    secret_uses: Family<SecretLabels, Counter>,
    secret_last_used: Family<SecretLabels, Gauge>,
    last_verified_event: Family<RouteLabels, Gauge>,
    quiet: Family<RouteLabels, Gauge>,
    received_bytes: Family<RouteLabels, Counter>,
    duration: Family<RouteLabels, Durations>,
    upstream_duration: Family<RouteLabels, Durations>,
    body_duration: Family<RouteLabels, Durations>,
}

impl RouteFamilies {
    pub(super) fn register(r: &mut Registry) -> Self {
        Self {
            requests: register(r, "requests", "Requests by route"),
            refusals: register(r, "refusals", "Requests refused, by route and reason"),
            last_refused: Family::default(),
            last_would_refuse: Family::default(),
            would_refuse: register(
                r,
                "would_refuse",
                "Events with a failed signature that a route with signature = \"report\" let pass",
            ),
            events_verified: register(
                r,
                "events_verified",
                "Event notifications whose signature was right",
            ),
            verifications: register(
                r,
                "verifications",
                "Verification requests whose token was right",
            ),
            secret_uses: register(
                r,
                "secret_uses",
                "Event notifications signed with an app secret, by its label",
            ),
            secret_last_used: register(
                r,
                "secret_last_used_timestamp_seconds",
                "When a genuine event was last signed with an app secret, in seconds since 1970; 0 = never",
            ),
            last_verified_event: register(
                r,
                "last_verified_event_timestamp_seconds",
                "When the last genuine event came, in seconds since 1970; 0 = never",
            ),
            quiet: register(
                r,
                "quiet",
                "1 while no genuine event came for longer than webhook.quiet_alarm_ms",
            ),
            received_bytes: register(r, "received_bytes", "Bytes of request bodies received"),
            duration: register(
                r,
                "request_duration_seconds",
                "From the end of the headers to the answer",
            ),
            upstream_duration: register(
                r,
                "upstream_duration_seconds",
                "The upstream's part of it",
            ),
            body_duration: register(
                r,
                "body_duration_seconds",
                "The part spent receiving the body",
            ),
        }
    }

    fn look_up(
        &self,
        name: &str,
        secrets: impl Iterator<Item = impl Into<String>>,
    ) -> RouteMetrics {
        let route = || name.to_owned();
        let labels = RouteLabels { route: route() };
        let by_reason = |times: &Family<_, Counter>, last: &Family<_, Gauge>| {
            let labels = Refusal::ALL
                .iter()
                .map(|refusal| RefusalLabels { route: route(), reason: refusal.label() });
            labels.map(|labels| occurrences(times, last, &labels)).collect()
        };
        RouteMetrics {
            requests: self.requests.get_or_create_owned(&labels),
            events: occurrences(&self.events_verified, &self.last_verified_event, &labels),
            quiet: self.quiet.get_or_create_owned(&labels),
            verifications: self.verifications.get_or_create_owned(&labels),
            duration: self.duration.get_or_create_owned(&labels),
            upstream_duration: self.upstream_duration.get_or_create_owned(&labels),
            body_duration: self.body_duration.get_or_create_owned(&labels),
            received_bytes: self.received_bytes.get_or_create_owned(&labels),
            refusals: by_reason(&self.refusals, &self.last_refused),
            would_refuse: by_reason(&self.would_refuse, &self.last_would_refuse),
            secrets: secrets
                .map(|secret| SecretLabels { route: route(), secret: secret.into() })
                .map(|labels| occurrences(&self.secret_uses, &self.secret_last_used, &labels))
                .collect(),
        }
    }
}

fn occurrences<L>(times: &Family<L, Counter>, last: &Family<L, Gauge>, labels: &L) -> Occurrences
where
    L: Clone + std::hash::Hash + Eq,
{
    Occurrences { times: times.get_or_create_owned(labels), last: last.get_or_create_owned(labels) }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    route: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SecretLabels {
    route: String,
    secret: String,
}
