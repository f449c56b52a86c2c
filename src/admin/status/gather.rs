//! Gathers the facts from where they are kept: the generation in force, the metrics, the lifecycle.

use std::sync::Arc;
use std::time::SystemTime;

use super::{
    AnchorView, CertificateView, Color, GenerationView, ListState, QuietAlarm, Refused, ReloadView,
    RevocationListView, RevocationView, SecretView, ServerState, ServerView, SiteView, Status,
    UpstreamView, WebhookView, advice,
};
use crate::admin::readiness::Readiness;
use crate::config::{Demand, Enforcement, StaleCrl};
use crate::maintenance::expiry::{self, InUse};
use crate::refusal::{Refusal, Severity};
use crate::route::{SiteRoute, WebhookRoute};
use crate::state::ProcessState;
use crate::telemetry::metrics::CertificateKind;
use crate::telemetry::metrics::occurrences::Occurrences;
use crate::telemetry::metrics::{Metrics, RouteMetrics};
use crate::tls::certificate::{CertificateFacts, days_until};
use crate::tls::client_auth::ClientTrust;
use crate::upstream::{HealthState, Target};

/// The document as of `now`.
pub(in crate::admin) fn status(shared: &ProcessState, now: SystemTime) -> Status {
    let generation = shared.generation.load();
    let metrics = &shared.metrics;
    let routes = &generation.routes;
    let in_use = expiry::in_use(&generation);
    let of_kind = |kind| in_use.iter().filter(move |used| used.kind == kind);
    let certificates = |kind| of_kind(kind).map(|used| certificate(used, now)).collect();
    let mut status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        health: Color::Green,
        advice: Vec::new(),
        phase: shared.watcher.phase(),
        ready: Readiness::of(shared) == Readiness::Ready,
        now: now.into(),
        uptime_seconds: shared.began.elapsed().as_secs(),
        generation: GenerationView {
            number: generation.number,
            age_seconds: generation.built.elapsed().as_secs(),
        },
        last_reload: shared.last_reload.load_full().map(|last| ReloadView {
            at: last.at.into(),
            succeeded: last.faults.is_empty(),
            faults: last.faults.clone(),
        }),
        server_certificates: certificates(CertificateKind::Server),
        anchors: of_kind(CertificateKind::Anchor).map(|used| anchor(used, metrics, now)).collect(),
        candidates: of_kind(CertificateKind::Candidate)
            .map(|used| candidate(used, metrics, now))
            .collect(),
        clients: certificates(CertificateKind::Client),
        upstream_certificates: certificates(CertificateKind::Upstream),
        revocation: generation.tls.trust().and_then(|trust| revocation(trust, now)),
        webhooks: routes.webhooks.iter().map(|route| webhook(route)).collect(),
        sites: routes.sites.iter().map(|route| site(route)).collect(),
        upstreams: generation.upstreams.iter().map(|target| upstream(target)).collect(),
        handshake_refusals: handshake_refusals(metrics),
        unmatched_refusals: refusals(routes.unmatched.refusals()),
    };
    status.advice = advice::on(&status);
    status.health = status.advice.iter().map(|advice| advice.health).max().unwrap_or(Color::Green);
    status
}

fn certificate(InUse { label, facts, .. }: &InUse, now: SystemTime) -> CertificateView {
    let CertificateFacts { subject, sha256, not_before, not_after, .. } = facts;
    CertificateView {
        label: label.to_string(),
        subject: subject.clone(),
        sha256: sha256.clone(),
        not_before: (*not_before).into(),
        not_after: (*not_after).into(),
        days_left: days_until(*not_after, now),
    }
}

fn anchor(used: &InUse, metrics: &Metrics, now: SystemTime) -> AnchorView {
    let anchor = metrics.anchor(&used.label);
    AnchorView {
        certificate: certificate(used, now),
        uses: anchor.handshakes.get(),
        last_used: anchor.last_used().map(Into::into),
    }
}

fn candidate(used: &InUse, metrics: &Metrics, now: SystemTime) -> AnchorView {
    let matches = metrics.candidate_matches(&used.label);
    AnchorView {
        certificate: certificate(used, now),
        uses: matches.times(),
        last_used: matches.last().map(Into::into),
    }
}

fn revocation(trust: &Arc<ClientTrust>, now: SystemTime) -> Option<RevocationView> {
    let refuses_unknown = trust.crl()?.stale == StaleCrl::Refuse;
    let lists = trust.lists();
    let mut missing = trust.places();
    missing.retain(|place| lists.iter().all(|list| list.source() != place));
    let there = lists.iter().map(|list| RevocationListView {
        source: list.source().to_owned(),
        state: if list.is_stale_at(now) { ListState::Stale } else { ListState::Current },
        revoked: list.revoked(),
        this_update: Some(list.this_update().into()),
        next_update: Some(list.next_update().into()),
    });
    let missing = missing.into_iter().map(|source| RevocationListView {
        source,
        state: ListState::Missing,
        revoked: 0,
        this_update: None,
        next_update: None,
    });
    let mut lists: Vec<_> = there.chain(missing).collect();
    // Those in force are in the order in which they came.
    lists.sort_by(|one, other| one.source.cmp(&other.source));
    Some(RevocationView { refuses_unknown, lists })
}

fn webhook(route: &WebhookRoute) -> WebhookView {
    let metrics: &RouteMetrics = &route.metrics;
    let secret = |(secret, uses): (&crate::config::Secret, &Occurrences)| SecretView {
        label: secret.label().to_owned(),
        uses: uses.times(),
        last_used: uses.last().map(Into::into),
    };
    WebhookView {
        name: route.name.to_string(),
        demands_certificate: route.settings.client_certificate == Demand::Required,
        only_reports: route.settings.signature == Enforcement::Report,
        events_verified: metrics.events.times(),
        last_verified_event: metrics.events.last().map(Into::into),
        quiet_alarm: route.settings.quiet_alarm.map(|after| QuietAlarm {
            after_seconds: after.as_secs(),
            is_quiet: metrics.quiet.get() != 0,
        }),
        verifications: metrics.verifications.get(),
        secrets: route.settings.app_secrets.iter().zip(&metrics.secrets).map(secret).collect(),
        refusals: refusals(metrics.refusals()),
        would_refuse: refusals(metrics.would_refusals()),
    }
}

fn site(route: &SiteRoute) -> SiteView {
    SiteView {
        name: route.name.to_string(),
        requests: route.metrics.requests.get(),
        refusals: refusals(route.metrics.refusals()),
    }
}

/// Those that happened.
fn refusals<'a>(all: impl Iterator<Item = (Refusal, &'a Occurrences)>) -> Vec<Refused> {
    let refused = |(refusal, occurrences): (Refusal, &Occurrences)| {
        let is_our_fault = refusal.severity() == Severity::Fault;
        refused(refusal.label(), refusal.hint(), is_our_fault, occurrences)
    };
    all.filter_map(refused).collect()
}

fn handshake_refusals(metrics: &Metrics) -> Vec<Refused> {
    let all = metrics.handshake_refusals();
    all.filter_map(|(connection_refusal, occurrences)| {
        let is_our_fault = connection_refusal.severity() == Severity::Fault;
        refused(connection_refusal.label(), connection_refusal.hint(), is_our_fault, occurrences)
    })
    .collect()
}

fn refused(
    reason: &str,
    hint: &str,
    is_our_fault: bool,
    occurrences: &Occurrences,
) -> Option<Refused> {
    let times = occurrences.times();
    (times > 0).then(|| Refused {
        reason: reason.to_owned(),
        times,
        last: occurrences.last().map(Into::into),
        is_our_fault,
        hint: hint.to_owned(),
    })
}

fn upstream(target: &Target) -> UpstreamView {
    let servers = target.settings.servers.iter().zip(&target.servers);
    let servers = servers.map(|(address, server)| ServerView {
        url: address.to_string(),
        state: match server.health.state() {
            HealthState::Available => ServerState::Available,
            HealthState::HalfOpen => ServerState::HalfOpen,
            HealthState::Ejected => ServerState::Ejected,
            HealthState::Unhealthy => ServerState::Unhealthy,
        },
        failures_in_a_row: server.health.failures_in_a_row(),
        in_flight: server.health.load(),
    });
    UpstreamView { name: target.settings.name.clone(), servers: servers.collect() }
}
