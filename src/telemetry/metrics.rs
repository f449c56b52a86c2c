//! Every metric of the program, each name once. Labels come from closed lists or from the
//! configuration, never from a stranger; every series is there, at zero, from the start.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::histogram::Durations;
use super::occurrences::Occurrences;
use super::shown::Shown;
use crate::refusal::{Hangup, Refusal};
use crate::upkeep::expiry::Kind;
use crate::upkeep::refresh::FetchOutcome;

/// A gauge that counts things in bytes, seconds or pieces.
pub(crate) type Level = Gauge<u64, AtomicU64>;

/// The metrics of one proxy; handed down, never global.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(crate) connections: Counter,
    pub(crate) connections_open: Level,
    pub(crate) connections_at_limit: Counter,
    pub(crate) accept_errors: Counter,
    pub(crate) handshakes_full: Counter,
    pub(crate) handshakes_resumed: Counter,
    pub(crate) requests_in_flight: Level,
    pub(crate) body_memory_bytes: Level,
    handshake_refusals: Vec<Occurrences>,
    reloads: Family<OutcomeLabels, Counter>,
    pub(crate) generation: Level,
    pub(crate) self_check_failures: Counter,
    anchor_uses: Family<AnchorLabels, Counter>,
    anchor_last_used: Family<AnchorLabels, Level>,
    candidate_matches: Family<AnchorLabels, Counter>,
    /// Of these and of refusals no metric tells the time: a scraper sees when their counters rise.
    candidate_last_matched: Family<AnchorLabels, Level>,
    certificate_expiry: Shown<CertificateLabels>,
    crl_this_update: Shown<SourceLabels>,
    crl_next_update: Shown<SourceLabels>,
    crl_fetches: Family<FetchLabels, Counter>,
    upstream_connects: Family<UpstreamLabels, Counter>,
    upstream_retries: Family<UpstreamLabels, Counter>,
    routes: RouteFamilies,
}

/// The metrics of one route, looked up once.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    pub(crate) requests: Counter,
    pub(crate) events: Occurrences,
    /// 1 while there is none for longer than the route's alarm allows.
    pub(crate) quiet: Level,
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

/// The metrics of one trust anchor, looked up once a connection.
#[derive(Clone, Debug)]
pub(crate) struct AnchorMetrics {
    pub(crate) handshakes: Counter,
    last_used: Level,
}

/// The metrics of one upstream, looked up once.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamMetrics {
    pub(crate) connects: Counter,
    pub(crate) retries: Counter,
}

#[derive(Clone, Debug, Default)]
struct RouteFamilies {
    requests: Family<RouteLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    last_refused: Family<RefusalLabels, Level>,
    would_refuse: Family<RefusalLabels, Counter>,
    last_would_refuse: Family<RefusalLabels, Level>,
    events_verified: Family<RouteLabels, Counter>,
    verifications: Family<RouteLabels, Counter>,
    secret_uses: Family<SecretLabels, Counter>,
    secret_last_used: Family<SecretLabels, Level>,
    last_verified_event: Family<RouteLabels, Level>,
    quiet: Family<RouteLabels, Level>,
    received_bytes: Family<RouteLabels, Counter>,
    duration: Family<RouteLabels, Durations>,
    upstream_duration: Family<RouteLabels, Durations>,
    body_duration: Family<RouteLabels, Durations>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AnchorLabels {
    anchor: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CertificateLabels {
    kind: &'static str,
    label: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FetchLabels {
    source: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
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

/// The route label of requests that no route matched.
pub(crate) const NO_ROUTE: &str = "none";

impl Metrics {
    /// Registers everything, at zero.
    #[expect(
        clippy::new_without_default,
        reason = "a second registry is a decision, not a default"
    )]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("hubgate");
        let r = &mut registry;
        let handshakes: Family<KindLabels, Counter> =
            register(r, "handshakes", "TLS handshakes that ended well, full or resumed");
        let refused: Family<ReasonLabels, Counter> =
            register(r, "handshake_refusals", "Connections that ended before HTTP, by reason");
        Self {
            connections: register(r, "connections", "Connections accepted"),
            connections_open: register(r, "connections_open", "Connections open now"),
            connections_at_limit: register(
                r,
                "connections_at_limit",
                "Times that accepting waited because limits.connections was reached",
            ),
            accept_errors: register(
                r,
                "accept_errors",
                "Failures to accept, such as no free descriptors",
            ),
            handshakes_full: handshakes.get_or_create_owned(&KindLabels { kind: "full" }),
            handshakes_resumed: handshakes.get_or_create_owned(&KindLabels { kind: "resumed" }),
            handshake_refusals: Hangup::ALL
                .iter()
                .map(|hangup| refused.get_or_create_owned(&ReasonLabels { reason: hangup.label() }))
                .map(|times| Occurrences { times, last: Level::default() })
                .collect(),
            requests_in_flight: register(r, "requests_in_flight", "Requests being answered now"),
            body_memory_bytes: register(r, "body_memory_bytes", "Bytes of request bodies held now"),
            reloads: register(r, "reloads", "Attempts to change the generation, by outcome"),
            generation: register(r, "generation", "Number of the generation in force"),
            self_check_failures: register(
                r,
                "self_check_failures",
                "Times that a worker did not answer in time, so that the watchdog was not fed",
            ),
            anchor_uses: register(r, "anchor_uses", "Handshakes that a trust anchor vouched for"),
            anchor_last_used: register(
                r,
                "anchor_last_used_timestamp_seconds",
                "When a trust anchor last vouched for a caller's request or handshake, in seconds since 1970; 0 = never",
            ),
            candidate_matches: register(
                r,
                "candidate_matches",
                "Connections refused that a candidate anchor would have vouched for",
            ),
            candidate_last_matched: Family::default(),
            certificate_expiry: Shown::register(
                r,
                "certificate_expiry_timestamp_seconds",
                "When a certificate in use ends, in seconds since 1970",
            ),
            crl_this_update: Shown::register(
                r,
                "crl_this_update_timestamp_seconds",
                "When a revocation list in force was issued, in seconds since 1970; 0 = there is none",
            ),
            crl_next_update: Shown::register(
                r,
                "crl_next_update_timestamp_seconds",
                "When a revocation list in force is stale, in seconds since 1970; 0 = there is none",
            ),
            crl_fetches: register(r, "crl_fetches", "Fetches of revocation lists, by outcome"),
            upstream_connects: register(
                r,
                "upstream_connects",
                "Connections opened to an upstream",
            ),
            upstream_retries: register(
                r,
                "upstream_retries",
                "Requests sent on a second connection because the first took nothing of them",
            ),
            routes: RouteFamilies::register(r),
            registry,
        }
    }

    /// A connection ended before HTTP.
    pub(crate) fn handshake_refused(&self, hangup: Hangup, now: SystemTime) {
        if let Some(refusals) = self.handshake_refusals.get(hangup as usize) {
            refusals.happened(now);
        }
    }

    /// Every reason for which connections ended before HTTP.
    pub(crate) fn handshake_refusals(&self) -> impl Iterator<Item = (Hangup, &Occurrences)> {
        Hangup::ALL.into_iter().zip(&self.handshake_refusals)
    }

    pub(crate) fn reloads(&self, succeeded: bool) -> Counter {
        let outcome = if succeeded { "succeeded" } else { "failed" };
        self.reloads.get_or_create_owned(&OutcomeLabels { outcome })
    }

    pub(crate) fn anchor(&self, label: &str) -> AnchorMetrics {
        let labels = AnchorLabels { anchor: label.to_owned() };
        AnchorMetrics {
            handshakes: self.anchor_uses.get_or_create_owned(&labels),
            last_used: self.anchor_last_used.get_or_create_owned(&labels),
        }
    }

    pub(crate) fn candidate_matches(&self, label: &str) -> Occurrences {
        let labels = AnchorLabels { anchor: label.to_owned() };
        Occurrences {
            times: self.candidate_matches.get_or_create_owned(&labels),
            last: self.candidate_last_matched.get_or_create_owned(&labels),
        }
    }

    /// Every certificate in use: its kind, its label and its end.
    pub(crate) fn show_certificates<'a>(
        &self,
        ends: impl Iterator<Item = (Kind, &'a str, SystemTime)>,
    ) {
        self.certificate_expiry.show(ends.map(|(kind, label, end)| {
            (CertificateLabels { kind: kind.label(), label: label.to_owned() }, unix_seconds(end))
        }));
    }

    /// Every revocation list in force, and every place where there should be one.
    pub(crate) fn show_lists<'a>(
        &self,
        dates: impl Iterator<Item = (&'a str, SystemTime, SystemTime)> + Clone,
        places: impl Iterator<Item = &'a str> + Clone,
    ) {
        let none = places.map(|source| (source, UNIX_EPOCH, UNIX_EPOCH));
        let all = none.chain(dates);
        let label = |source: &str| SourceLabels { source: source.to_owned() };
        let this_update = all.clone().map(|(source, this, _)| (label(source), unix_seconds(this)));
        self.crl_this_update.show(this_update);
        self.crl_next_update.show(all.map(|(source, _, next)| (label(source), unix_seconds(next))));
    }

    pub(crate) fn crl_fetches(&self, source: &str, outcome: FetchOutcome) -> Counter {
        let labels = FetchLabels { source: source.to_owned(), outcome: outcome.label() };
        self.crl_fetches.get_or_create_owned(&labels)
    }

    /// Before the first fetch from this place.
    pub(crate) fn crl_fetches_at_zero(&self, source: &str) {
        for outcome in FetchOutcome::ALL {
            let _at_zero = self.crl_fetches(source, outcome);
        }
    }

    pub(crate) fn upstream(&self, name: &str) -> UpstreamMetrics {
        let labels = UpstreamLabels { upstream: name.to_owned() };
        UpstreamMetrics {
            connects: self.upstream_connects.get_or_create_owned(&labels),
            retries: self.upstream_retries.get_or_create_owned(&labels),
        }
    }

    /// The metrics of a route whose secrets have these labels.
    pub(crate) fn route(
        &self,
        name: &str,
        secrets: impl Iterator<Item = impl Into<String>>,
    ) -> RouteMetrics {
        self.routes.look_up(name, secrets)
    }

    /// All of them in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &self.registry)
            .unwrap_or_else(|_full| text.push_str("# cannot encode\n"));
        text
    }
}

impl RouteFamilies {
    fn register(r: &mut Registry) -> Self {
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
        let by_reason = |times: &Family<_, Counter>, last: &Family<_, Level>| {
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

fn occurrences<L>(times: &Family<L, Counter>, last: &Family<L, Level>, labels: &L) -> Occurrences
where
    L: Clone + std::hash::Hash + Eq,
{
    Occurrences { times: times.get_or_create_owned(labels), last: last.get_or_create_owned(labels) }
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

impl AnchorMetrics {
    /// It vouched for a caller, whose handshake or request is going on at `now`.
    pub(crate) fn used(&self, now: SystemTime) {
        self.last_used.set(unix_seconds(now));
    }

    pub(crate) fn last_used(&self) -> Option<SystemTime> {
        moment(&self.last_used)
    }
}

/// Lowers the gauge that it raised when it is dropped, also when a future is dropped half-way.
#[derive(Debug)]
pub(crate) struct Raised {
    metrics: Arc<Metrics>,
    level: fn(&Metrics) -> &Level,
}

impl Raised {
    pub(crate) fn new(metrics: &Arc<Metrics>, level: fn(&Metrics) -> &Level) -> Self {
        level(metrics).inc();
        Self { metrics: Arc::clone(metrics), level }
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        (self.level)(&self.metrics).dec();
    }
}

/// What a gauge in seconds since 1970 says; 0 is never.
pub(super) fn moment(level: &Level) -> Option<SystemTime> {
    let seconds = Some(level.get()).filter(|seconds| *seconds != 0)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

pub(super) fn unix_seconds(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn register<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: prometheus_client::registry::Metric + Clone + Default,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}
