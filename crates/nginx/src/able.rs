//! Leaves out what the configuration of this very program has no key for.
//!
//! The written file must load. What it would say with a key that is not there becomes a finding.

use std::collections::BTreeSet;

use super::draft::Draft;
use super::ledger::{Finding, Outcome, Section};

/// Takes keys that are not among the known ones out of the draft, and tells it.
pub(super) fn leave_out_the_unknown(
    draft: &mut Draft,
    findings: &mut [Finding],
    known: &BTreeSet<String>,
) {
    let lacks = |key: &str| !known.contains(key);
    if lacks("redirect.listen") && draft.redirect.take().is_some() {
        for finding in findings.iter_mut().filter(|finding| finding.section == Section::Redirect) {
            miss(finding, "redirect");
            finding.section = Section::Rest;
        }
    }
    let server = &mut draft.server;
    if lacks("server.certificate.certificate") && server.certificates.len() > 1 {
        server.certificates.truncate(1);
        tell(findings, "ssl_certificate", "server.certificate");
    }
    if lacks("server.unknown_sni") && std::mem::take(&mut server.refuses_unknown_sni) {
        tell(findings, "server {", "unknown_sni");
    }
    if lacks("server.proxy_protocol_from") && server.proxy_protocol_from.take().is_some() {
        tell(findings, "listen", "proxy_protocol_from");
        tell(findings, "set_real_ip_from", "proxy_protocol_from");
    }
    if lacks("server.trusted_proxies") && !server.trusted_proxies.is_empty() {
        server.trusted_proxies.clear();
        tell(findings, "set_real_ip_from", "trusted_proxies");
    }
    for settings in draft.upstreams.iter_mut().map(|upstream| &mut upstream.settings) {
        if lacks("upstream.identity_header_names.verify") && !settings.identity.is_empty() {
            settings.identity.clear();
            tell(findings, "proxy_set_header", "identity_header_names");
        }
        if lacks("upstream.server_name") && settings.server_name.take().is_some() {
            tell(findings, "proxy_ssl_name", "server_name");
        }
        if lacks("upstream.client_certificate") && settings.client_certificate.take().is_some() {
            settings.client_private_key = None;
            tell(findings, "proxy_ssl_certificate", "client_certificate");
            tell(findings, "proxy_ssl_certificate_key", "client_private_key");
        }
    }
}

/// Tells it of every directive of this name whose note names the key, or is empty.
fn tell(findings: &mut [Finding], directive: &str, key: &str) {
    for finding in findings.iter_mut().filter(|finding| finding.directive.starts_with(directive)) {
        let is_about_certificate = key == "server.certificate" && finding.note.is_empty();
        if finding.note.contains(key) || is_about_certificate {
            miss(finding, key);
        }
    }
}

fn miss(finding: &mut Finding, key: &str) {
    finding.outcome = Outcome::Missing;
    finding.note = format!("this version of hubgate has no `{key}`");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::RedirectDraft;

    #[test]
    fn a_section_that_is_not_known_is_left_out_and_told() {
        let finding = Finding {
            place: crate::SourceLocation { file: "f".into(), line: 1 },
            last_line: 1,
            directive: "return 301 https://$host$request_uri;".to_owned(),
            outcome: Outcome::Carried,
            note: String::new(),
            section: Section::Redirect,
        };
        let known = BTreeSet::from(["redirect.listen".to_owned()]);
        for (known, is_kept) in [(known, true), (BTreeSet::new(), false)] {
            let mut draft = Draft { redirect: Some(RedirectDraft::default()), ..Draft::default() };
            let mut findings = [finding.clone()];

            leave_out_the_unknown(&mut draft, &mut findings, &known);

            let is_told = findings.iter().all(|finding| finding.outcome == Outcome::Missing);
            assert_eq!((draft.redirect.is_some(), is_told), (is_kept, !is_kept));
        }
    }
}
