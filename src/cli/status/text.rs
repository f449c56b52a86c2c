//! The document for people: a section for each thing, and what to do at the end.

use crate::admin::status::{
    Advice, AnchorView, CertificateView, Color, ListState, Moment, Refused, RevocationView,
    ServerState, ServerView, SiteView, Status, UpstreamView, WebhookView,
};
use crate::cli::page::Page;
use crate::lifecycle::Phase;

/// All of it.
pub(super) fn show(status: &Status) -> String {
    let now = &status.now;
    let mut page = Page::for_terminal(&std::io::stdout());
    let word = painted(&page, status.health, health(status.health));
    page.line(&format!("hubgate {} is {word}", status.version));
    process(&mut page, status);
    let certificates =
        |all: &[CertificateView]| all.iter().map(certificate_row).collect::<Vec<_>>();
    rows(&mut page, "server certificate", certificates(&status.server_certificates));
    let used = |anchor: &AnchorView| {
        anchor_row(anchor, &times(anchor.uses, "handshake"), "last used", now)
    };
    rows(&mut page, "trust anchors", status.anchors.iter().map(used).collect());
    let matched = |anchor: &AnchorView| {
        anchor_row(anchor, &times(anchor.uses, "refused caller"), "last one", now)
    };
    rows(&mut page, "candidate anchors", status.candidates.iter().map(matched).collect());
    rows(&mut page, "clients as last seen", certificates(&status.clients));
    rows(&mut page, "shown to upstreams", certificates(&status.upstream_certificates));
    if let Some(revocation) = &status.revocation {
        revocation_lists(&mut page, revocation);
    }
    for route in &status.webhooks {
        webhook(&mut page, route, now);
    }
    for route in &status.sites {
        site(&mut page, route, now);
    }
    for one in &status.upstreams {
        upstream(&mut page, one);
    }
    rows(&mut page, "requests without a route", refused_rows(&status.unmatched_refusals, now));
    let before_http = refused_rows(&status.handshake_refusals, now);
    rows(&mut page, "connections refused before HTTP", before_http);
    advice(&mut page, &status.advice);
    page.text
}

fn process(page: &mut Page, status: &Status) {
    page.section("process");
    let phase = match status.phase {
        Phase::Starting => "starting",
        Phase::Serving => "serving",
        Phase::Draining => "draining",
    };
    let ready = if status.ready { "ready" } else { "not ready" };
    page.row(phase, &format!("{ready}; started {} ago", span(status.uptime_seconds)));
    let generation = &status.generation;
    let age = span(generation.age_seconds);
    page.row("generation", &format!("{}, in force for {age}", generation.number));
    let Some(reload) = &status.last_reload else { return };
    let outcome = if reload.succeeded { "succeeded" } else { "REFUSED" };
    page.row("last reload", &format!("{outcome}, {}", ago(&reload.at, &status.now)));
    for fault in &reload.faults {
        page.row("fault", fault);
    }
}

fn certificate_row(certificate: &CertificateView) -> (String, String) {
    let CertificateView { label, subject, .. } = certificate;
    (label.clone(), format!("{}; {subject}", end(certificate)))
}

fn anchor_row(anchor: &AnchorView, uses: &str, last: &str, now: &Moment) -> (String, String) {
    let used = match &anchor.last_used {
        Some(moment) => format!("{uses}, {last} {}", ago(moment, now)),
        None => format!("{uses} since the start"),
    };
    (anchor.certificate.label.clone(), format!("{used}; {}", end(&anchor.certificate)))
}

fn end(CertificateView { not_after, days_left, .. }: &CertificateView) -> String {
    let day = not_after.utc.split('T').next().unwrap_or_default();
    match days_left {
        0 => format!("ends {day}, within a day"),
        1 => format!("ends {day}, in 1 day"),
        days if *days > 0 => format!("ends {day}, in {days} days"),
        days => format!("ENDED {day}, {} days ago", days.unsigned_abs()),
    }
}

fn revocation_lists(page: &mut Page, revocation: &RevocationView) {
    let lists = revocation.lists.iter().map(|list| {
        let until = list.next_update.as_ref().map_or("", |moment| moment.utc.as_str());
        let state = match list.state {
            ListState::Current => format!("current until {until}"),
            ListState::Stale => format!("STALE since {until}"),
            ListState::Missing => "MISSING".to_owned(),
        };
        (
            list.source.clone(),
            format!("{state}; names {}", times(count(list.revoked), "certificate")),
        )
    });
    rows(page, "revocation lists", lists.collect());
    let unknown = if revocation.refuses_unknown { "refused" } else { "let in" };
    page.row("otherwise", &format!("whoever has no current list is {unknown}"));
}

fn webhook(page: &mut Page, webhook: &WebhookView, now: &Moment) {
    page.section(&format!("webhook {}", webhook.name));
    let events = times(webhook.events_verified, "genuine event");
    page.row("last event", &since(webhook.last_verified_event.as_ref(), now, &events));
    if let Some(alarm) = &webhook.quiet_alarm {
        let state = if alarm.is_quiet { "QUIET" } else { "not quiet" };
        let after = span(alarm.after_seconds);
        page.row("quiet alarm", &format!("{state}; after {after} without an event"));
    }
    page.row("verification", &format!("{} answered", times(webhook.verifications, "request")));
    for secret in &webhook.secrets {
        let events = times(secret.uses, "event");
        let used = since(secret.last_used.as_ref(), now, &events);
        page.row("app secret", &format!("{}: last used {used}", secret.label));
    }
    if webhook.only_reports {
        page.row("signatures", "ONLY REPORTED: a wrong one is let through");
    }
    labelled(page, "would refuse", &webhook.would_refuse, now);
    labelled(page, "refused", &webhook.refusals, now);
}

fn site(page: &mut Page, site: &SiteView, now: &Moment) {
    page.section(&format!("site {}", site.name));
    page.row("requests", &site.requests.to_string());
    labelled(page, "refused", &site.refusals, now);
}

fn upstream(page: &mut Page, upstream: &UpstreamView) {
    let server = |server: &ServerView| {
        let failures = times(u64::from(server.failures_in_a_row), "failure");
        let state = match server.state {
            ServerState::Available => "available".to_owned(),
            ServerState::HalfOpen => {
                format!("half_open, {failures} in a row; the next request tries it")
            }
            ServerState::Ejected => {
                format!("ejected, {failures} in a row; not tried for a while")
            }
            ServerState::Unhealthy => "unhealthy, by its health checks".to_owned(),
        };
        (server.url.clone(), format!("{state}; {} in flight", server.in_flight))
    };
    let servers = upstream.servers.iter().map(server).collect();
    rows(page, &format!("upstream {}", upstream.name), servers);
}

fn advice(page: &mut Page, advice: &[Advice]) {
    page.line("");
    if advice.is_empty() {
        let word = page.paint.good("ok:");
        page.line(&format!("{word} nothing to do"));
    }
    for Advice { health: level, what, what_to_do } in advice {
        let word = painted(page, *level, &format!("{}:", health(*level)));
        page.line(&format!("{word} {what}"));
        page.line(&format!("  what to do: {what_to_do}"));
    }
}

/// A section that is there only if there is something in it.
fn rows(page: &mut Page, title: &str, rows: Vec<(String, String)>) {
    if !rows.is_empty() {
        page.section(title);
        page.rows(&rows);
    }
}

fn refused_rows(refused: &[Refused], now: &Moment) -> Vec<(String, String)> {
    refused.iter().map(|refused| (refused.reason.clone(), how_often(refused, now))).collect()
}

fn labelled(page: &mut Page, key: &str, refused: &[Refused], now: &Moment) {
    for refused in refused {
        page.row(key, &format!("{}: {}", refused.reason, how_often(refused, now)));
    }
}

fn how_often(refused: &Refused, now: &Moment) -> String {
    let last = refused.last.as_ref().map_or_else(String::new, |last| ago(last, now));
    format!("{}, last one {last}", times(refused.times, "time"))
}

fn since(last: Option<&Moment>, now: &Moment, all: &str) -> String {
    match last {
        Some(last) => format!("{}; {all} since the start", ago(last, now)),
        None => "never since the start".to_owned(),
    }
}

fn ago(moment: &Moment, now: &Moment) -> String {
    match now.unix_seconds.saturating_sub(moment.unix_seconds) {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// In the largest unit of which there are two or more.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn times(number: u64, noun: &str) -> String {
    match number {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn health(health: Color) -> &'static str {
    match health {
        Color::Green => "green",
        Color::Yellow => "yellow",
        Color::Red => "red",
    }
}

fn painted(page: &Page, health: Color, text: &str) -> String {
    match health {
        Color::Green => page.paint.good(text),
        Color::Yellow => page.paint.warning(text),
        Color::Red => page.paint.error(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_largest_unit_of_which_there_are_two() {
        let spans = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(span);
        assert_eq!(spans, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
    }
}
