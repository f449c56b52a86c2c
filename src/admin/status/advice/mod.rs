//! What is not as it should be, and what to do about it: a pure look at the document.
//!
//! Nobody turns it red by connecting: who is refused is shown, and not judged. A wrong signature counts
//! only on a route whose callers have proven that they are Meta.

use super::{
    Advice, AnchorView, CertificateView, Color, ListState, Moment, Refused, ServerState,
    ServerView, Status, UpstreamView, WebhookView,
};
use crate::lifecycle::Phase;
use crate::maintenance::expiry::{RENEWAL_DAYS, SUCCESSION_DAYS};
use crate::refusal::Refusal;
use crate::telemetry::metrics::CertificateKind;

#[cfg(test)]
mod tests;

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
