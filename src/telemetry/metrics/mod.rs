//! Every metric of the program, each name once. Labels come from closed lists or from the
//! configuration, never from a stranger; every series is there, at zero, from the start.
//!
//! Here stands what belongs to the whole process; each file beside has the metrics of its kind.

mod connection;
mod gauge;
pub mod histogram;
pub(crate) mod occurrences;
mod route;
mod series;
mod shown;
mod trust;
mod tunnel;
mod upstream;

use std::time::SystemTime;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

pub(crate) use self::connection::ConnectionCut;
pub(crate) use self::gauge::{Gauge, GaugeGuard};
pub(super) use self::gauge::{moment, unix_seconds};
use self::occurrences::Occurrences;
use self::route::RouteFamilies;
pub(crate) use self::route::{NO_ROUTE, REDIRECT, RouteMetrics};
use self::series::Wanted;
use self::trust::TrustFamilies;
pub(crate) use self::trust::{AnchorMetrics, CertificateKind, CrlFetchOutcome};
pub(crate) use self::tunnel::TunnelEnd;
use self::tunnel::TunnelMetrics;
use self::upstream::UpstreamFamilies;
pub(crate) use self::upstream::UpstreamMetrics;
use crate::refusal::ConnectionRefusal;

/// The metrics of one proxy; handed down, never global.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(crate) connections: Counter,
    pub(crate) connections_open: Gauge,
    pub(crate) connections_parked: Gauge,
    pub(crate) connections_at_limit: Counter,
    pub(crate) connections_evicted: Counter,
    pub(crate) accept_errors: Counter,
    connections_cut: Vec<Counter>,
    pub(crate) streams_cut: Counter,
    pub(crate) handshakes_full: Counter,
    pub(crate) handshakes_resumed: Counter,
    pub(crate) requests_in_flight: Gauge,
    pub(crate) body_memory_bytes: Gauge,
    pub(crate) response_memory_bytes: Gauge,
    pub(crate) response_bodies_omitted: Counter,
    handshake_refusals: Vec<Occurrences>,
    reloads: Family<OutcomeLabels, Counter>,
    pub(crate) generation: Gauge,
    pub(crate) self_check_failures: Counter,
    pub(crate) tunnels: TunnelMetrics,
    trust: TrustFamilies,
    upstreams: UpstreamFamilies,
    routes: RouteFamilies,
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
            connections_parked: register(
                r,
                "connections_parked",
                "Of these, idle for over a second: they hold no buffers",
            ),
            connections_at_limit: register(
                r,
                "connections_at_limit",
                "Times that accepting waited: limits.connections or limits.handshakes was reached, and no connection could give way",
            ),
            connections_evicted: register(
                r,
                "connections_evicted",
                "Idle connections that had proven nothing and gave way to others",
            ),
            accept_errors: register(
                r,
                "accept_errors",
                "Failures to accept, such as no free descriptors",
            ),
            connections_cut: connection::register_cuts(r),
            streams_cut: register(
                r,
                "streams_cut",
                "HTTP/2 streams that were cut because nobody took their answer",
            ),
            handshakes_full: handshakes.get_or_create_owned(&KindLabels { kind: "full" }),
            handshakes_resumed: handshakes.get_or_create_owned(&KindLabels { kind: "resumed" }),
            handshake_refusals: ConnectionRefusal::ALL
                .iter()
                .map(|connection_refusal| {
                    refused
                        .get_or_create_owned(&ReasonLabels { reason: connection_refusal.label() })
                })
                .map(|times| Occurrences { times, last: Gauge::default() })
                .collect(),
            requests_in_flight: register(r, "requests_in_flight", "Requests being answered now"),
            body_memory_bytes: register(
                r,
                "body_memory_bytes",
                "Memory that request bodies take now, with the HTTP/2 windows of those on their way",
            ),
            response_memory_bytes: register(
                r,
                "response_memory_bytes",
                "Memory that whole answers take now, until their callers have taken them",
            ),
            response_bodies_omitted: register(
                r,
                "response_bodies_omitted",
                "Answers to webhooks that went out without their body, for lack of memory",
            ),
            reloads: register_reloads(r),
            generation: register(r, "generation", "Number of the generation in force"),
            self_check_failures: register(
                r,
                "self_check_failures",
                "Times that a worker did not answer in time, so that the watchdog was not fed",
            ),
            tunnels: TunnelMetrics::register(r),
            trust: TrustFamilies::register(r),
            upstreams: UpstreamFamilies::register(r),
            routes: RouteFamilies::register(r),
            registry,
        }
    }

    /// A connection ended before HTTP.
    pub(crate) fn handshake_refused(&self, connection_refusal: ConnectionRefusal, now: SystemTime) {
        if let Some(refusals) = self.handshake_refusals.get(connection_refusal as usize) {
            refusals.happened(now);
        }
    }

    /// A connection was cut while HTTP was spoken.
    pub(crate) fn connection_cut(&self, cut: ConnectionCut) {
        if let Some(times) = self.connections_cut.get(cut as usize) {
            times.inc();
        }
    }

    /// Every reason for which connections ended before HTTP.
    pub(crate) fn handshake_refusals(
        &self,
    ) -> impl Iterator<Item = (ConnectionRefusal, &Occurrences)> {
        ConnectionRefusal::ALL.into_iter().zip(&self.handshake_refusals)
    }

    pub(crate) fn reloads(&self, succeeded: bool) -> Counter {
        let outcome = if succeeded { "succeeded" } else { "failed" };
        self.reloads.get_or_create_owned(&OutcomeLabels { outcome })
    }

    /// All of them in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &self.registry)
            .unwrap_or_else(|_full| text.push_str("# cannot encode\n"));
        text
    }

    /// The value of one series, named with its labels as [`Metrics::render`] does; encodes no
    /// further than to its line.
    pub fn value(&self, series: &str) -> Option<f64> {
        let mut wanted = Wanted::new(series);
        // What is found ends the encoding, which is an error there.
        let _found = encode(&mut wanted, &self.registry);
        wanted.value
    }
}

fn register_reloads(registry: &mut Registry) -> Family<OutcomeLabels, Counter> {
    let reloads: Family<OutcomeLabels, Counter> =
        register(registry, "reloads", "Attempts to change the generation, by outcome");
    for outcome in ["succeeded", "failed"] {
        let _at_zero = reloads.get_or_create_owned(&OutcomeLabels { outcome });
    }
    reloads
}

fn register<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: prometheus_client::registry::Metric + Clone + Default,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}
