//! What is counted and shown of anchors, certificates and revocation lists.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Gauge, Metrics, moment, register, unix_seconds};
use crate::telemetry::metrics::occurrences::Occurrences;
use crate::telemetry::metrics::shown::Shown;

/// The metrics of one trust anchor, looked up once a connection.
#[derive(Clone, Debug)]
pub(crate) struct AnchorMetrics {
    pub(crate) handshakes: Counter,
    last_used: Gauge,
}

impl Metrics {
    pub(crate) fn anchor(&self, label: &str) -> AnchorMetrics {
        let labels = AnchorLabels { anchor: label.to_owned() };
        AnchorMetrics {
            handshakes: self.trust.anchor_uses.get_or_create_owned(&labels),
            last_used: self.trust.anchor_last_used.get_or_create_owned(&labels),
        }
    }

    pub(crate) fn candidate_matches(&self, label: &str) -> Occurrences {
        let labels = AnchorLabels { anchor: label.to_owned() };
        Occurrences {
            times: self.trust.candidate_matches.get_or_create_owned(&labels),
            last: self.trust.candidate_last_matched.get_or_create_owned(&labels),
        }
    }

    /// Every certificate in use: its kind, its label and its end.
    pub(crate) fn show_certificates<'a>(
        &self,
        ends: impl Iterator<Item = (CertificateKind, &'a str, SystemTime)>,
    ) {
        self.trust.certificate_expiry.show(ends.map(|(kind, label, end)| {
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
        self.trust.crl_this_update.show(this_update);
        self.trust
            .crl_next_update
            .show(all.map(|(source, _, next)| (label(source), unix_seconds(next))));
    }

    pub(crate) fn crl_fetches(&self, source: &str, outcome: CrlFetchOutcome) -> Counter {
        let labels = FetchLabels { source: source.to_owned(), outcome: outcome.label() };
        self.trust.crl_fetches.get_or_create_owned(&labels)
    }

    /// Before the first fetch from this place.
    pub(crate) fn crl_fetches_at_zero(&self, source: &str) {
        for outcome in CrlFetchOutcome::ALL {
            let _at_zero = self.crl_fetches(source, outcome);
        }
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

#[derive(Debug)]
pub(super) struct TrustFamilies {
    anchor_uses: Family<AnchorLabels, Counter>,
    anchor_last_used: Family<AnchorLabels, Gauge>,
    candidate_matches: Family<AnchorLabels, Counter>,
    /// Of these and of refusals no metric tells the time: a scraper sees when their counters rise.
    candidate_last_matched: Family<AnchorLabels, Gauge>,
    certificate_expiry: Shown<CertificateLabels>,
    crl_this_update: Shown<SourceLabels>,
    crl_next_update: Shown<SourceLabels>,
    crl_fetches: Family<FetchLabels, Counter>,
}

impl TrustFamilies {
    pub(super) fn register(r: &mut Registry) -> Self {
        Self {
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
        }
    }
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

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CertificateKind {
    /// Shown to callers.
    Server,
    /// Vouches for callers.
    Anchor,
    /// Would vouch for callers.
    Candidate,
    /// A caller's own, as last seen.
    Client,
    /// Shown to an upstream.
    Upstream,
}

impl CertificateKind {
    /// Metric label and log field; stable.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Anchor => "anchor",
            Self::Candidate => "candidate",
            Self::Client => "client",
            Self::Upstream => "upstream",
        }
    }
}

/// How a fetch can go; the metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrlFetchOutcome {
    /// A newer list, put in force.
    Replaced,
    /// The list that is in force.
    Unchanged,
    /// The newest there is, and past its nextUpdate.
    Stale,
    /// Older than the list in force: not taken.
    Older,
    /// No answer, or none in HTTP.
    Unreachable,
    /// Not done in time.
    TimedOut,
    /// Another status than 200.
    BadStatus,
    /// More bytes than allowed.
    TooLarge,
    /// Not a list, or cut short.
    Malformed,
    /// Another CA's list.
    ForeignIssuer,
    /// Not signed by its issuer, or by one who may not.
    BadSignature,
}

impl CrlFetchOutcome {
    /// Every variant, for metrics that start at zero.
    pub(crate) const ALL: [Self; 11] = [
        Self::Replaced,
        Self::Unchanged,
        Self::Stale,
        Self::Older,
        Self::Unreachable,
        Self::TimedOut,
        Self::BadStatus,
        Self::TooLarge,
        Self::Malformed,
        Self::ForeignIssuer,
        Self::BadSignature,
    ];

    /// Metric label and log field; stable.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Stale => "stale",
            Self::Older => "older",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::BadStatus => "bad_status",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::ForeignIssuer => "foreign_issuer",
            Self::BadSignature => "bad_signature",
        }
    }
}
