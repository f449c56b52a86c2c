//! The report for people: a section for each thing, keys in a column, problems at the end.

use super::anchors::{AnchorReport, ClientCertificateReport};
use super::listening::{BindState, ListeningReport, Purpose};
use super::revocation::RevocationReport;
use super::server_chain::ServerChainReport;
use super::sites::SiteReport;
use super::upstreams::UpstreamReport;
use super::webhooks::{SecretReport, Source, WebhookReport, mode};
use super::{Facts, Problems, Report};
use crate::cli::page::Page;

/// What goes to standard output, and what to standard error: the errors.
pub(super) fn show(report: &Report) -> (String, String) {
    let mut page = Page::for_terminal(&std::io::stdout());
    page.line(&format!("configuration {}", report.config.display()));
    if let Some(facts) = &report.facts {
        facts_of(&mut page, facts);
    }
    let warnings = &report.problems.warnings;
    if !warnings.is_empty() {
        page.line("");
    }
    for warning in warnings {
        let word = page.paint.warning("warning:");
        page.line(&format!("{word} {warning}"));
    }
    let ending = count(warnings.len(), "warning");
    if report.problems.errors.is_empty() {
        let word = page.paint.good("ok:");
        page.line(&format!("\n{word} no errors, {ending}"));
    }
    (page.text, errors_of(&report.problems, &ending))
}

fn errors_of(problems: &Problems, ending: &str) -> String {
    let mut page = Page::for_terminal(&std::io::stderr());
    let errors = &problems.errors;
    for (error, code) in errors.iter().zip(&problems.error_codes) {
        let code = code.map_or_else(String::new, |code| format!("[{code}]"));
        let word = page.paint.error(&format!("error{code}:"));
        page.line(&format!("{word} {error}"));
    }
    if !errors.is_empty() {
        let word = page.paint.error("refused:");
        page.line(&format!("\n{word} {}, {ending}", count(errors.len(), "error")));
    }
    page.text
}

fn facts_of(page: &mut Page, facts: &Facts) {
    listen(page, facts);
    facts.server.iter().for_each(|chain| server(page, chain));
    match &facts.client_certificate {
        Some(section) => client_certificate(page, section),
        None => {
            page.section("client certificate");
            page.row("demanded", "by no webhook");
        }
    }
    if let Some(section) = &facts.revocation {
        revocation(page, section);
    }
    upstreams(page, &facts.upstreams);
    for webhook in &facts.webhooks {
        webhook_route(page, webhook);
    }
    for site in &facts.sites {
        site_route(page, site);
    }
}

fn listen(page: &mut Page, facts: &Facts) {
    page.section("listen");
    let row = |ListeningReport { address, purpose, state }: &ListeningReport| {
        let purpose = match purpose {
            Purpose::Callers => "for callers",
            Purpose::Proxies => "for trusted proxies, plain HTTP",
            Purpose::Redirect => "to be sent to https, plain HTTP",
            Purpose::Admin => "for the operator",
        };
        let state = match state {
            BindState::Free if address.port() == 0 => "any free port",
            BindState::Free => "free",
            BindState::InUse => "in use",
            BindState::Denied => "not with these rights",
            BindState::Unusable => "not usable",
        };
        (address.to_string(), format!("{purpose}, {state}"))
    };
    let mut rows = facts.listen.iter().map(row).collect::<Vec<_>>();
    if facts.inherit {
        rows.push(("systemd".to_owned(), "for callers, whatever it hands over".to_owned()));
    }
    if !facts.proxy_protocol_from.is_empty() {
        rows.push(("PROXY protocol".to_owned(), facts.proxy_protocol_from.join(", ")));
    }
    if !facts.trusted_proxies.is_empty() {
        rows.push(("X-Forwarded-For".to_owned(), facts.trusted_proxies.join(", ")));
    }
    page.rows(&rows);
}

fn server(page: &mut Page, server: &ServerChainReport) {
    page.section("server certificate");
    page.row("file", &server.certificate.display().to_string());
    let matches = match server.key_matches {
        Some(true) => "belongs to the certificate",
        Some(false) => "does not belong to the certificate",
        None => "not compared with the certificate",
    };
    let mode = mode(&server.private_key).map_or_else(String::new, |mode| format!(", mode {mode}"));
    page.row("key", &format!("{}, {matches}{mode}", server.private_key.display()));
    for (index, certificate) in server.chain.iter().enumerate() {
        page.heading(&format!("certificate {}", index + 1));
        page.row("subject", &certificate.subject);
        page.row("issuer", &certificate.issuer);
        if !certificate.names.is_empty() {
            page.row("names", &certificate.names.join(", "));
        }
        page.row("expires", &expiry(&certificate.not_after, certificate.days_left));
        page.row("sha256", &certificate.sha256);
    }
}

fn client_certificate(page: &mut Page, section: &ClientCertificateReport) {
    page.section("client certificate");
    let source = match section.source {
        "tls" => "the TLS handshake",
        "alb" => "the load balancer's headers, in verify mode",
        _ => "the load balancer's headers, in passthrough mode",
    };
    page.row("found in", source);
    if !section.chain_is_proven {
        page.row("chain", "NOT proven by hubgate, by the load balancer alone");
    }
    let demanded = match section.is_mandatory {
        true => "by every webhook, so in every handshake",
        false => "by some requests; a handshake may go without",
    };
    page.row("demanded", demanded);
    page.row("common names", &section.common_names.join(", "));
    page.row("verify depth", &section.verify_depth.to_string());
    for anchor in &section.anchors {
        one_anchor(page, "anchor", anchor);
    }
    for candidate in &section.candidates {
        one_anchor(page, "candidate", candidate);
    }
}

fn one_anchor(page: &mut Page, role: &str, anchor: &AnchorReport) {
    page.heading(&format!("{role} {}", anchor.label));
    page.row("file", &anchor.path.display().to_string());
    page.row("subject", &anchor.subject);
    page.row("expires", &expiry(&anchor.not_after, anchor.days_left));
    page.row("sha256", &anchor.sha256);
    page.row("known", &anchor.identity());
}

fn revocation(page: &mut Page, section: &RevocationReport) {
    page.section("revocation");
    page.row(
        "without a list",
        match section.stale_crl {
            "refuse" => "callers are refused",
            _ => "callers are let in",
        },
    );
    for place in &section.places {
        page.row("fetched from", place);
    }
    if let Some(cache) = &section.cache {
        page.row("kept in", &cache.display().to_string());
    }
    for list in &section.lists {
        page.heading(&format!("list {}", list.path.display()));
        page.row("issued", &list.this_update);
        page.row("stale", &expiry(&list.next_update, list.days_left));
        page.row("names", &count(list.revoked, "certificate"));
    }
}

fn upstreams(page: &mut Page, upstreams: &[UpstreamReport]) {
    page.section("upstreams");
    let row = |upstream: &UpstreamReport| {
        let state = match upstream.is_reachable {
            true => "accepts connections",
            false => "does not accept connections",
        };
        (upstream.name.clone(), format!("{}, {state}", upstream.url))
    };
    page.rows(&upstreams.iter().map(row).collect::<Vec<_>>());
}

fn webhook_route(page: &mut Page, webhook: &WebhookReport) {
    page.section(&format!("webhook {}", webhook.name));
    page.row("path", &webhook.path);
    page.row("host", webhook.host.as_deref().unwrap_or("any"));
    page.row("upstream", &webhook.upstream);
    for secret in &webhook.app_secrets {
        page.row("app secret", &source(secret));
    }
    for token in &webhook.verify_tokens {
        page.row("verify token", &source(token));
    }
    let proof = webhook.proof.as_ref().map(source);
    page.row("proof", proof.as_deref().unwrap_or("none; the application trusts who reaches it"));
    let with = |demand: &str| match demand {
        "required" => "client certificate and ",
        _ => "",
    };
    let signature = match webhook.signature {
        "report" => "(a wrong signature is reported and let through)",
        _ => "signature",
    };
    page.row("events need", &format!("{}{signature}", with(webhook.client_certificate)));
    let verification = match webhook.verification {
        "off" => "refused".to_owned(),
        who => {
            let by = if who == "answer" { "hubgate" } else { "the application" };
            let with = with(webhook.verification_client_certificate);
            format!("answered by {by}; needs {with}token")
        }
    };
    page.row("verification", &verification);
}

fn site_route(page: &mut Page, site: &SiteReport) {
    page.section(&format!("site {}", site.name));
    let below = if site.is_prefix { " and everything below it" } else { "" };
    page.row("path", &format!("{}{below}", site.path));
    page.row("host", site.host.as_deref().unwrap_or("any"));
    page.row("upstream", &site.upstream);
    if !site.methods.is_empty() {
        page.row("methods", &site.methods.join(", "));
    }
    if site.websocket {
        page.row("websocket", "allowed");
    }
    page.row("needs", "nothing: passed through without proof");
}

fn source(secret: &SecretReport) -> String {
    let mode = |mode: &Option<String>| {
        mode.as_ref().map_or_else(String::new, |mode| format!(", mode {mode}"))
    };
    let label = &secret.label;
    match &secret.source {
        Source::File { path, mode: bits } => {
            format!("{label}: file {}{}", path.display(), mode(bits))
        }
        Source::Credential { name, mode: bits } => {
            format!("{label}: credential {name}{}", mode(bits))
        }
        Source::Environment { name } => format!("{label}: variable {name}"),
        Source::Made => label.clone(),
    }
}

fn expiry(not_after: &str, days_left: i64) -> String {
    match days_left {
        0 => format!("{not_after}, today"),
        days if days > 0 => format!("{not_after}, in {}", count(days.unsigned_abs(), "day")),
        days => format!("{not_after}, {} ago", count(days.unsigned_abs(), "day")),
    }
}

fn count<N: TryInto<u64>>(number: N, noun: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}
