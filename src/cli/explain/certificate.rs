//! `hubgate explain --cert`: what a configuration would do with a certificate, link by link.
//!
//! The verdict is [`ClientTrust::prove`]'s, as in a handshake; what is said of each link is there
//! to show why, and is looked up in [`crate::tls::link`].

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::catalogue;
use crate::cli::page::Page;
use crate::config::{CertificateSource, CrlFetch, StaleCrl};
use crate::generation;
use crate::refusal::ConnectionRefusal;
use crate::telemetry::metrics::Metrics;
use crate::tls::anchor::Anchor;
use crate::tls::certificate::{CertificateFacts, utc};
use crate::tls::client_auth::{ClientAuthError, ClientTrust, VerifiedClient};
use crate::tls::link::{
    Link, is_issuer_named, is_signature_supported, is_signed_by, is_understood, key_fault,
};
use crate::tls::material::read_certificates;
use crate::tls::revocation::RevocationStatus;

/// What is shown, and an exit code: 0 if the certificate would be let in.
pub(super) fn explain(file: &Path, config_file: &Path) -> anyhow::Result<(String, ExitCode)> {
    let config = crate::cli::load(config_file)?;
    let trust = generation::client_trust(&config, &Metrics::new())?;
    let trust = trust.context(
        "this configuration has no [client_certificate]: certificates are neither asked for nor \
         accepted",
    )?;
    let settings = config.client_certificate.as_ref().context("the section is there")?;
    let chain = read_certificates(file)?;
    let now = UnixTime::now();
    let inquiry = Inquiry {
        chain: &chain,
        trust: &trust,
        common_names: &settings.common_names,
        verify_depth: settings.verify_depth,
        now: crate::tls::certificate::moment(now),
    };
    let mut page = Page::for_terminal(&std::io::stdout());
    page.line(&format!("certificate {}, under {}", file.display(), config_file.display()));
    inquiry.show(&mut page);
    let proven = match (settings.source, chain.first()) {
        // All that an ALB forwards in verify mode.
        (CertificateSource::Alb, Some(leaf)) => trust.prove_leaf(leaf, now),
        _ => trust.prove(&chain, now),
    };
    let code = match proven {
        Ok(client) => accepted(&mut page, &client),
        Err(auth_error) => refused(&mut page, &auth_error, &trust),
    };
    Ok((page.text, code))
}

fn accepted(page: &mut Page, client: &VerifiedClient) -> ExitCode {
    let word = page.paint.good("accepted:");
    let (name, anchor) = (client.common_name(), client.anchor());
    page.line(&format!("\n{word} as {name}, for anchor `{anchor}` vouches"));
    if client.revocation() == RevocationStatus::Unknown {
        page.line("though no current revocation list speaks for it, because stale_crl is \"warn\"");
    }
    ExitCode::SUCCESS
}

fn refused(page: &mut Page, auth_error: &ClientAuthError, trust: &ClientTrust) -> ExitCode {
    let label = auth_error.reason.label();
    let word = page.paint.error("refused:");
    page.line(&format!("\n{word} {label}"));
    if let Ok(entry) = catalogue::find(label) {
        page.line(entry.explanation.meaning);
    }
    if let Some(candidate) = &auth_error.candidate {
        page.line(&format!(
            "It would be accepted by candidate `{candidate}`: move its file to trust_anchors if \
             you trust it."
        ));
    }
    if trust.crl().is_some_and(|crl| crl.fetch == CrlFetch::DistributionPoints) {
        page.line(
            "Lists that a running hubgate has fetched are known here only from \
             client_certificate.crl_cache.",
        );
    }
    page.line(&format!("\nNext\n  hubgate explain {label}"));
    ExitCode::FAILURE
}

/// A chain, and what it is looked at under.
struct Inquiry<'a> {
    chain: &'a [CertificateDer<'static>],
    trust: &'a ClientTrust,
    common_names: &'a [String],
    verify_depth: usize,
    now: SystemTime,
}

/// What there is to say of one property of a link.
enum PropertyVerdict {
    InOrder(String),
    Wrong(String),
}

use PropertyVerdict::{InOrder, Wrong};

impl Inquiry<'_> {
    fn show(&self, page: &mut Page) {
        for (index, der) in self.chain.iter().enumerate() {
            let place = if index == 0 { ", the leaf" } else { "" };
            page.section(&format!("certificate {}{place}", index + 1));
            let Some(link) = Link::read(der) else {
                page.row("readable", "no: it is no X.509 certificate");
                continue;
            };
            let facts = &link.facts;
            if !is_understood(der) {
                let reason =
                    "not whole: a critical extension that is not known here, or an old version";
                judge(page, "readable", Wrong(reason.to_owned()));
            }
            page.row("subject", &facts.subject);
            page.row("issuer", &facts.issuer);
            page.row("sha256", &facts.sha256);
            self.show_key(page, der, &link);
            page.row("usage", &listed(link.usages.as_ref()));
            page.row("purpose", &listed(link.purposes.as_ref()));
            if index == 0 {
                judge(page, "name", self.name(&link));
                judge(page, "depth", self.depth());
            }
            judge(page, "valid", time(facts, self.now));
            judge(page, "role", role(&link, index == 0));
            self.show_path_length(page, der, &link);
            judge(page, "signed by", self.issuer(der, facts));
            if self.trust.crl().is_some() && !self.is_anchor(der) {
                judge(page, "revocation", self.revocation(der));
            }
        }
        let (trust, signs) = (self.trust, |anchor: &&Anchor| self.is_involved(anchor));
        for anchor in trust.anchors().iter().filter(signs) {
            self.show_anchor(page, &format!("anchor {}", anchor.label), anchor);
        }
        for anchor in trust.candidates().iter().filter(signs) {
            self.show_anchor(page, &format!("candidate {}, not trusted", anchor.label), anchor);
        }
    }

    fn show_anchor(&self, page: &mut Page, title: &str, anchor: &Anchor) {
        page.section(title);
        page.row("file", &anchor.path.display().to_string());
        page.row("subject", &anchor.facts.subject);
        page.row("sha256", &anchor.facts.sha256);
        if let Some(link) = Link::read(anchor.certificate()) {
            self.show_key(page, anchor.certificate(), &link);
        }
        judge(page, "valid", time(&anchor.facts, self.now));
        judge(
            page,
            "role",
            match anchor.may_vouch_for_clients() {
                true => InOrder("may vouch for clients".to_owned()),
                false => Wrong("its own key usage or purpose forbids it to vouch".to_owned()),
            },
        );
        if let Some(link) = Link::read(anchor.certificate()) {
            self.show_path_length(page, anchor.certificate(), &link);
        }
    }

    /// Only if it limits how many intermediates lie below it.
    fn show_path_length(&self, page: &mut Page, der: &CertificateDer<'_>, link: &Link) {
        let Some(limit) = link.path_len else { return };
        let below = self.intermediates();
        let below = below.iter().position(|above| *above == der).unwrap_or(below.len());
        let sentence = format!("{below} intermediates below it, its own limit is {limit}");
        let is_kept = u32::try_from(below).is_ok_and(|below| below <= limit);
        judge(page, "path length", if is_kept { InOrder(sentence) } else { Wrong(sentence) });
    }

    /// What lies between the leaf and an anchor, as far as each was signed by the next.
    fn intermediates(&self) -> Vec<&CertificateDer<'static>> {
        let algorithms = self.trust.algorithms();
        let mut found: Vec<&CertificateDer<'static>> = Vec::new();
        let Some((leaf, above)) = self.chain.split_first() else { return found };
        let signs = |below: &CertificateDer<'_>, other: &CertificateDer<'_>| {
            is_issuer_named(below, other) && is_signed_by(below, other, algorithms)
        };
        while let Some(next) = above.iter().find(|other| {
            let below = found.last().copied().unwrap_or(leaf);
            !found.contains(other) && !self.is_anchor(other) && signs(below, other)
        }) {
            found.push(next);
        }
        found
    }

    fn show_key(&self, page: &mut Page, der: &CertificateDer<'_>, link: &Link) {
        match key_fault(der, self.trust.algorithms()) {
            None => page.row("key", &link.key),
            Some(fault) => judge(page, "key", Wrong(format!("{}, {}", link.key, in_words(fault)))),
        }
    }

    /// The rule that `tls/subject.rs` describes.
    fn name(&self, leaf: &Link) -> PropertyVerdict {
        let expected = self.common_names.join(", ");
        match &leaf.common_name {
            None => Wrong("the subject must have exactly one common name".to_owned()),
            Some(name) if self.common_names.contains(name) => {
                InOrder(format!("{name} is one of common_names"))
            }
            Some(name) => Wrong(format!("`{name}` is none of common_names ({expected})")),
        }
    }

    fn depth(&self) -> PropertyVerdict {
        let (above, limit) = (self.chain.len().saturating_sub(1), self.verify_depth);
        let sentence = format!("{above} above it, verify_depth is {limit}");
        if above > limit { Wrong(sentence) } else { InOrder(sentence) }
    }

    fn issuer(&self, der: &CertificateDer<'_>, facts: &CertificateFacts) -> PropertyVerdict {
        let algorithms = self.trust.algorithms();
        let signed = |anchor: &&Anchor| is_signed_by(der, anchor.certificate(), algorithms);
        let named = |anchor: &&Anchor| is_issuer_named(der, anchor.certificate());
        let anchors = self.trust.anchors().iter().filter(named);
        if self.is_anchor(der) {
            return InOrder("itself, and is an anchor".to_owned());
        }
        // A CA that was issued again is several anchors with one key.
        let signing: Vec<_> = anchors.clone().filter(signed).map(|anchor| &*anchor.label).collect();
        if !signing.is_empty() {
            return InOrder(format!("anchor `{}`", signing.join("`, `")));
        }
        let others = self.chain.iter().enumerate().filter(|(_, other)| *other != der);
        let mut above = others.filter(|(_, other)| is_issuer_named(der, other));
        if let Some((index, _)) = above.find(|(_, other)| is_signed_by(der, other, algorithms)) {
            return InOrder(format!("certificate {}", index + 1));
        }
        if let Some(reason) = self.unverifiable(der) {
            return Wrong(reason);
        }
        let mut candidates = self.trust.candidates().iter().filter(named);
        Wrong(if let Some(anchor) = candidates.find(signed) {
            format!("candidate `{}`, which is not trusted", anchor.label)
        } else if let Some(anchor) = anchors.clone().next() {
            format!("not anchor `{}`, which has the issuer's name and another key", anchor.label)
        } else if facts.is_self_issued {
            "itself alone, and is no anchor".to_owned()
        } else {
            "neither an anchor nor a certificate of this file".to_owned()
        })
    }

    /// Why nobody here can say who signed a certificate.
    fn unverifiable(&self, der: &CertificateDer<'_>) -> Option<String> {
        let algorithms = self.trust.algorithms();
        let anchors = self.trust.anchors().iter();
        let anchors = anchors.map(|a| (format!("anchor `{}`", a.label), a.certificate()));
        let others = self.chain.iter().enumerate().filter(|(_, other)| *other != der);
        let others = others.map(|(index, other)| (format!("certificate {}", index + 1), other));
        let mut named = anchors.chain(others).filter(|(_, other)| is_issuer_named(der, other));
        let faulty = named.find_map(|(name, other)| {
            Some(format!("{name}, whose key is {}", in_words(key_fault(other, algorithms)?)))
        });
        let unsupported = || {
            let is_supported = is_signature_supported(der, algorithms);
            (!is_supported)
                .then(|| "nobody here: its signature's algorithm proves nothing".to_owned())
        };
        faulty.or_else(unsupported)
    }

    /// What the lists say that are known without fetching any.
    fn revocation(&self, der: &CertificateDer<'_>) -> PropertyVerdict {
        let lists = self.trust.lists();
        let speaking = lists.iter().filter_map(|list| Some((list, list.names(der)?)));
        let mut stale = None;
        let mut current = None;
        for (list, is_named) in speaking {
            if is_named {
                return Wrong(format!("named as revoked by {}", list.source()));
            }
            let place = if list.is_stale_at(self.now) { &mut stale } else { &mut current };
            *place = Some(list.source().to_owned());
        }
        let is_let_in = self.trust.crl().is_some_and(|crl| crl.stale == StaleCrl::Warn);
        match (current, stale) {
            (Some(source), _) => InOrder(format!("not named by {source}")),
            (None, Some(source)) if is_let_in => InOrder(format!("{source} is stale; stale_crl")),
            (None, Some(source)) => Wrong(format!("{source} is past its nextUpdate")),
            (None, None) if is_let_in => InOrder("no list speaks for it; stale_crl".to_owned()),
            (None, None) => Wrong("no list speaks for it".to_owned()),
        }
    }

    fn is_anchor(&self, der: &CertificateDer<'_>) -> bool {
        self.trust.anchors().iter().any(|anchor| anchor.certificate() == der)
    }

    fn is_involved(&self, anchor: &Anchor) -> bool {
        let is_of_it = |der: &CertificateDer<'_>| {
            anchor.certificate() == der || is_issuer_named(der, anchor.certificate())
        };
        self.chain.iter().any(is_of_it)
    }
}

/// What is wrong with a key.
fn in_words(fault: ConnectionRefusal) -> &'static str {
    if fault == ConnectionRefusal::KeyTooWeak {
        "too weak to prove anything"
    } else if fault == ConnectionRefusal::KeyUnsupported {
        "of a kind, curve or size that is not verified here"
    } else {
        "broken"
    }
}

fn time(facts: &CertificateFacts, now: SystemTime) -> PropertyVerdict {
    let (from, until) = (utc(facts.not_before), utc(facts.not_after));
    if now > facts.not_after {
        return Wrong(format!("ended at {until}"));
    }
    if now < facts.not_before {
        return Wrong(format!("begins at {from}"));
    }
    InOrder(format!("{from} to {until}"))
}

/// Leaf or issuer: what webpki and `tls/path.rs` ask of either.
fn role(link: &Link, is_leaf: bool) -> PropertyVerdict {
    let may = |list: &Option<Vec<&str>>, what| list.as_ref().is_none_or(|all| all.contains(&what));
    if !may(&link.purposes, "clientAuth") {
        return Wrong("not for client authentication, after its purposes".to_owned());
    }
    if is_leaf {
        return match link.facts.is_ca {
            true => Wrong("it is a CA, and a caller's own certificate must not be one".to_owned()),
            false => InOrder("may authenticate a client".to_owned()),
        };
    }
    if !link.facts.is_ca || !may(&link.usages, "keyCertSign") {
        return Wrong("it may not sign certificates".to_owned());
    }
    InOrder("may sign certificates of clients".to_owned())
}

fn listed(names: Option<&Vec<&'static str>>) -> String {
    match names {
        None => "not limited".to_owned(),
        Some(names) if names.is_empty() => "none".to_owned(),
        Some(names) => names.join(", "),
    }
}

fn judge(page: &mut Page, key: &str, judgement: PropertyVerdict) {
    let line = match judgement {
        InOrder(sentence) => format!("{} {sentence}", page.paint.good("ok:")),
        Wrong(sentence) => format!("{} {sentence}", page.paint.error("no:")),
    };
    page.row(key, &line);
}
