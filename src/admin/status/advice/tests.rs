use std::time::{Duration, SystemTime};

use super::*;
use crate::admin::status::{GenerationView, RevocationListView, RevocationView};

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
