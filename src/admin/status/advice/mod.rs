//! What is not as it should be, and what to do about it: a pure look at the document.
//!
//! Nobody turns it red by knocking: who is refused is shown, and not judged. A wrong signature counts
//! only on a route whose callers have proven that they are Meta.

use super::{
    Advice, AnchorView, CertificateView, Color, ListState, Moment, Refused, ServerState,
    ServerView, Status, UpstreamView, WebhookView,
};
use crate::lifecycle::Phase;
use crate::maintenance::expiry::{RENEWAL_DAYS, SUCCESSION_DAYS};
use crate::refusal::Refusal;
use crate::telemetry::metrics::CertificateKind;

/// Everything, the worst first.
pub(super) fn on(status: &Status) -> Vec<Advice> {
    let mut advice = Vec::new();
    on_the_process(status, &mut advice);
    on_certificates(status, &mut advice);
    on_revocation(status, &mut advice);
    for webhook in &status.webhooks {
        on_webhook(webhook, &status.now, &mut advice);
    }
    for upstream in &status.upstreams {
        advice.extend(on_upstream(upstream));
    }
    advice.sort_by_key(|advice| std::cmp::Reverse(advice.health));
    advice
}

/// Events are lost, or will be.
fn red(what: impl Into<String>, what_to_do: impl Into<String>) -> Advice {
    Advice { health: Color::Red, what: what.into(), what_to_do: what_to_do.into() }
}

/// For the day.
fn yellow(what: impl Into<String>, what_to_do: impl Into<String>) -> Advice {
    Advice { health: Color::Yellow, what: what.into(), what_to_do: what_to_do.into() }
}

fn on_the_process(status: &Status, advice: &mut Vec<Advice>) {
    match status.phase {
        Phase::Serving => {}
        Phase::Starting => advice.push(red("it is starting", "wait, and look again")),
        Phase::Draining => advice.push(red(
            "it is draining: nothing new is taken",
            "if nobody stopped or replaced it on purpose, start it again, and see in the log what \
             was before",
        )),
    }
    if status.last_reload.as_ref().is_some_and(|reload| !reload.succeeded) {
        advice.push(red(
            format!("the last reload was refused; generation {} stays", status.generation.number),
            "mend what it named, run `hubgate check`, and reload",
        ));
    }
}

fn on_certificates(status: &Status, advice: &mut Vec<Advice>) {
    let now = &status.now;
    for (certificates, whose, kind) in [
        (&status.server_certificates, "the server's certificate", CertificateKind::Server),
        (&status.upstream_certificates, "the certificate for upstream", CertificateKind::Upstream),
    ] {
        for certificate in certificates {
            let what = format!("{whose} `{}`", certificate.label);
            if let Some(what) = ending(&what, certificate, RENEWAL_DAYS, now) {
                let say = if is_in_force(certificate, now) { yellow } else { red };
                advice.push(say(what, kind.hint()));
            }
        }
    }
    let is_any_in_force = status.anchors.iter().any(|anchor| is_in_force(&anchor.certificate, now));
    for AnchorView { certificate, .. } in &status.anchors {
        let what = format!("anchor `{}`", certificate.label);
        if let Some(what) = ending(&what, certificate, SUCCESSION_DAYS, now) {
            let say = if is_any_in_force { yellow } else { red };
            advice.push(say(what, CertificateKind::Anchor.hint()));
        }
    }
    for candidate in status.candidates.iter().filter(|candidate| candidate.uses > 0) {
        let label = &candidate.certificate.label;
        advice.push(yellow(
            format!("callers are refused whom the candidate `{label}` would vouch for"),
            format!(
                "compare its fingerprint with Meta's own page, move `{label}` from \
                 client_certificate.candidate_anchors to trust_anchors, and reload"
            ),
        ));
    }
}

fn is_in_force(certificate: &CertificateView, now: &Moment) -> bool {
    let valid = certificate.not_before.unix_seconds..=certificate.not_after.unix_seconds;
    valid.contains(&now.unix_seconds)
}

/// A sentence about a certificate that is out of force, or will be within `days`.
fn ending(what: &str, certificate: &CertificateView, days: i64, now: &Moment) -> Option<String> {
    let CertificateView { not_before, not_after, days_left, .. } = certificate;
    if now.unix_seconds > not_after.unix_seconds {
        return Some(format!("{what} ended on {}", not_after.utc));
    }
    if now.unix_seconds < not_before.unix_seconds {
        return Some(format!("{what} is not valid before {}", not_before.utc));
    }
    (*days_left < days).then(|| format!("{what} ends in {days_left} days, on {}", not_after.utc))
}

fn on_revocation(status: &Status, advice: &mut Vec<Advice>) {
    let Some(revocation) = &status.revocation else { return };
    for list in &revocation.lists {
        let what = match (list.state, &list.next_update) {
            (ListState::Current, _) => continue,
            (ListState::Stale, Some(end)) => {
                format!("the revocation list `{}` is stale since {}", list.source, end.utc)
            }
            (ListState::Stale, None) | (ListState::Missing, _) => {
                format!("the revocation list `{}` is missing", list.source)
            }
        };
        advice.push(match revocation.refuses_unknown {
            true => red(
                format!("{what}; its CA's callers are refused"),
                "let the machine reach the CA, or put a current list into \
                 client_certificate.crl_files and reload",
            ),
            false => yellow(
                format!("{what}; its CA's callers are let in unchecked"),
                "let the machine reach the CA; the log says how the fetches fail",
            ),
        });
    }
}

fn on_webhook(webhook: &WebhookView, now: &Moment, advice: &mut Vec<Advice>) {
    let name = &webhook.name;
    if webhook.only_reports {
        advice.push(yellow(
            format!("webhook `{name}` ONLY REPORTS wrong signatures and lets such events pass"),
            "write `signature = \"enforce\"` as soon as nothing would be refused any more",
        ));
    }
    if webhook.quiet_alarm.as_ref().is_some_and(|alarm| alarm.is_quiet) {
        let last = webhook.last_verified_event.as_ref();
        let since = last.map_or("the start", |last| last.utc.as_str());
        advice.push(red(
            format!("webhook `{name}` is quiet: no genuine event since {since}"),
            "does anybody connect, are handshakes refused, is the app still subscribed? See \"Events \
             stopped\" in docs/troubleshooting.md",
        ));
    }
    for refused in &webhook.refusals {
        let Some(last) = &refused.last else { continue };
        let is_recent = now.unix_seconds.saturating_sub(last.unix_seconds) < RECENT_SECONDS;
        if is_recent && refused.is_our_fault {
            advice.push(about(name, refused));
        }
        let is_of_meta =
            webhook.demands_certificate && refused.reason == Refusal::SignatureMismatch.label();
        let event = webhook.last_verified_event.as_ref();
        if is_of_meta && event.is_none_or(|event| event.unix_seconds < last.unix_seconds) {
            advice.push(about(name, refused));
        }
    }
}

fn about(webhook: &str, refused: &Refused) -> Advice {
    let reason = &refused.reason;
    yellow(format!("webhook `{webhook}` refuses events: {reason}"), &refused.hint)
}

/// What is mended is forgotten after this time.
const RECENT_SECONDS: u64 = 10 * 60;

fn on_upstream(upstream: &UpstreamView) -> Option<Advice> {
    let fails = |server: &&ServerView| server.state != ServerState::Available;
    let failing: Vec<_> = upstream.servers.iter().filter(fails).collect();
    let urls: Vec<_> = failing.iter().map(|server| format!("`{}`", server.url)).collect();
    let (name, urls) = (&upstream.name, urls.join(", "));
    if failing.is_empty() {
        None
    } else if failing.len() == upstream.servers.len() {
        Some(red(
            format!("upstream `{name}` does not answer: {urls}"),
            "start the application, or see in its log why it does not answer; Meta delivers again",
        ))
    } else {
        Some(yellow(
            format!("upstream `{name}` does without {urls}"),
            "start that server, or see in its log why it does not answer",
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::{GenerationView, RevocationListView, RevocationView};
    use super::*;

    const DAY_SECONDS: u64 = 24 * 60 * 60;

    /// Of a proxy that serves one webhook and has nothing to complain of.
    fn well() -> Status {
        let now = SystemTime::now();
        Status {
            version: "1.2.3".to_owned(),
            health: Color::Green,
            advice: Vec::new(),
            phase: Phase::Serving,
            ready: true,
            now: now.into(),
            uptime_seconds: 60,
            generation: GenerationView { number: 1, age_seconds: 60 },
            last_reload: None,
            server_certificates: vec![certificate("leaf", now, 60)],
            anchors: vec![anchor("meta", now, 600)],
            candidates: vec![anchor("next", now, 600)],
            clients: Vec::new(),
            upstream_certificates: Vec::new(),
            revocation: None,
            webhooks: vec![WebhookView {
                name: "/webhooks".to_owned(),
                demands_certificate: true,
                only_reports: false,
                events_verified: 0,
                last_verified_event: None,
                quiet_alarm: None,
                verifications: 0,
                secrets: Vec::new(),
                refusals: Vec::new(),
                would_refuse: Vec::new(),
            }],
            sites: Vec::new(),
            upstreams: vec![upstream(&[ServerState::Available])],
            handshake_refusals: Vec::new(),
            unmatched_refusals: Vec::new(),
        }
    }

    fn certificate(label: &str, now: SystemTime, days: i64) -> CertificateView {
        let length = Duration::from_secs(days.unsigned_abs() * DAY_SECONDS);
        let end = if days < 0 { now - length } else { now + length };
        CertificateView {
            label: label.to_owned(),
            subject: String::new(),
            sha256: String::new(),
            not_before: (now - Duration::from_secs(1_000 * DAY_SECONDS)).into(),
            not_after: end.into(),
            days_left: days,
        }
    }

    fn anchor(label: &str, now: SystemTime, days: i64) -> AnchorView {
        AnchorView { certificate: certificate(label, now, days), uses: 0, last_used: None }
    }

    fn upstream(states: &[ServerState]) -> UpstreamView {
        let server = |(index, state): (usize, &ServerState)| ServerView {
            url: format!("http://app-{index}"),
            state: *state,
            failures_in_a_row: 0,
            in_flight: 0,
        };
        let servers = states.iter().enumerate().map(server).collect();
        UpstreamView { name: "app".to_owned(), servers }
    }

    fn refused(refusal: Refusal, seconds_ago: u64) -> Refused {
        Refused {
            reason: refusal.label().to_owned(),
            times: 1,
            last: Some(ago(seconds_ago)),
            is_our_fault: refusal.severity() == crate::refusal::Severity::Fault,
            hint: refusal.hint().to_owned(),
        }
    }

    fn ago(seconds: u64) -> Moment {
        (SystemTime::now() - Duration::from_secs(seconds)).into()
    }

    /// Color and beginning of each piece of advice.
    fn told(change: impl FnOnce(&mut Status)) -> Vec<(Color, String)> {
        let mut status = well();
        change(&mut status);
        let first_words = |what: &str| what.chars().take(40).collect();
        on(&status).iter().map(|advice| (advice.health, first_words(&advice.what))).collect()
    }

    fn levels(change: impl FnOnce(&mut Status)) -> Vec<Color> {
        told(change).into_iter().map(|(health, _)| health).collect()
    }

    #[test]
    fn of_what_is_well_nothing_is_said() {
        assert_eq!(told(|_| {}), []);
    }

    #[test]
    fn the_worst_comes_first() {
        let told = told(|status| {
            status.webhooks.iter_mut().for_each(|webhook| webhook.only_reports = true);
            status.upstreams = vec![upstream(&[ServerState::HalfOpen])];
            status.server_certificates = vec![certificate("leaf", SystemTime::now(), 5)];
        });
        let levels: Vec<_> = told.iter().map(|(health, _)| *health).collect();
        assert_eq!(levels, [Color::Red, Color::Yellow, Color::Yellow], "{told:?}");
    }

    #[test]
    fn a_server_certificate_is_yellow_before_its_end_and_red_after_it() {
        for (days, expected) in [
            (RENEWAL_DAYS, None),
            (RENEWAL_DAYS - 1, Some(Color::Yellow)),
            (0, Some(Color::Yellow)),
            (-1, Some(Color::Red)),
        ] {
            let levels = levels(|status| {
                // Not to the very second, which passes while the test runs.
                let mut leaf = certificate("leaf", SystemTime::now(), days);
                leaf.not_after.unix_seconds += u64::from(days == 0) * 60;
                status.server_certificates = vec![leaf];
            });
            assert_eq!(levels.first().copied(), expected, "{days} days");
        }
    }

    #[test]
    fn an_anchor_that_ended_is_red_only_if_no_other_is_left() {
        let now = SystemTime::now();
        let beside = levels(|status| status.anchors.push(anchor("digicert", now, -1)));
        assert_eq!(beside, [Color::Yellow]);
        let alone = levels(|status| status.anchors = vec![anchor("digicert", now, -1)]);
        assert_eq!(alone, [Color::Red]);
    }

    #[test]
    fn one_server_of_several_is_yellow_and_all_of_them_are_red() {
        use ServerState::{Available, Ejected, HalfOpen};
        let levels = |states: &[ServerState]| {
            levels(|status| status.upstreams = vec![upstream(states)]).first().copied()
        };
        assert_eq!(levels(&[Available, Available]), None);
        assert_eq!(levels(&[Available, Ejected]), Some(Color::Yellow));
        assert_eq!(levels(&[HalfOpen, Ejected]), Some(Color::Red));
    }

    #[test]
    fn a_wrong_signature_counts_only_from_whom_is_proven_to_be_meta_and_after_the_last_event() {
        let levels = |demands_certificate: bool, last_event: Option<u64>| {
            levels(|status| {
                for webhook in &mut status.webhooks {
                    webhook.demands_certificate = demands_certificate;
                    webhook.last_verified_event = last_event.map(ago);
                    webhook.refusals = vec![refused(Refusal::SignatureMismatch, 100)];
                }
            })
        };
        assert_eq!(levels(true, None), [Color::Yellow]);
        assert_eq!(levels(true, Some(200)), [Color::Yellow]);
        assert_eq!(levels(true, Some(50)), []);
        assert_eq!(levels(false, None), []);
    }

    #[test]
    fn faults_of_our_side_are_told_for_a_while_and_those_of_strangers_never() {
        let levels = |refusal: Refusal, seconds_ago: u64| {
            levels(|status| {
                for webhook in &mut status.webhooks {
                    webhook.refusals = vec![refused(refusal, seconds_ago)];
                }
                status.handshake_refusals = vec![refused(refusal, 0)];
                status.unmatched_refusals = vec![refused(refusal, 0)];
            })
        };
        assert_eq!(levels(Refusal::UpstreamTimeout, 10), [Color::Yellow]);
        assert_eq!(levels(Refusal::UpstreamTimeout, RECENT_SECONDS + 10), []);
        for refusal in [Refusal::SignatureMissing, Refusal::NoRoute, Refusal::BodyTooLarge] {
            assert_eq!(levels(refusal, 10), [], "{refusal:?}");
        }
    }

    #[test]
    fn a_list_that_is_missing_is_red_only_where_callers_are_refused_for_it() {
        for (refuses_unknown, expected) in [(true, Color::Red), (false, Color::Yellow)] {
            let list = RevocationListView {
                source: "http://ca.example/crl".to_owned(),
                state: ListState::Missing,
                revoked: 0,
                this_update: None,
                next_update: None,
            };
            let revocation = RevocationView { refuses_unknown, lists: vec![list] };
            assert_eq!(levels(|status| status.revocation = Some(revocation)), [expected]);
        }
    }

    #[test]
    fn whoever_drains_is_red() {
        assert_eq!(levels(|status| status.phase = Phase::Draining), [Color::Red]);
    }
}
