//! The chain that a server presents, judged as Meta would: a path to a public root over what was
//! sent and nothing else, the name of the callback URL, and the time.
//!
//! Each fault is looked for by itself, so that one does not hide another.

use std::time::{Duration, SystemTime};

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::diagnostic::Diagnostic;
use crate::tls::certificate::{CertificateFacts, utc};
use crate::tls::link::is_issuer_named;

/// Against whom, for what and when a chain is judged.
pub(super) struct Judge<'a> {
    pub(super) roots: &'a RootCertStore,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) host: &'a ServerName<'a>,
    pub(super) now: SystemTime,
}

impl Judge<'_> {
    /// Everything that is wrong, or one diagnostic that nothing is.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>]) -> Vec<Diagnostic> {
        let Some((leaf, above)) = chain.split_first() else {
            return vec![Diagnostic::wrong(WHAT, "the server presented none").curl(35, HANDSHAKE)];
        };
        let (Ok(parsed), Some(facts)) =
            (ParsedCertificate::try_from(leaf), CertificateFacts::read(leaf))
        else {
            return vec![
                Diagnostic::wrong(WHAT, "the server's cannot be read").curl(60, UNREADABLE),
            ];
        };
        let mut diagnostics = Vec::new();
        diagnostics.extend(self.judge_time(&facts));
        diagnostics.extend(self.judge_name(&parsed, &facts));
        // At a time when the leaf is valid: its end is told above, and would hide the path's fault.
        let at = self.now.max(facts.not_before).min(facts.not_after);
        let path = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            self.roots,
            above,
            unix(at),
            self.algorithms.all,
        );
        if let Err(error) = path {
            diagnostics.push(self.path_fault(chain, &facts, &error));
        }
        if !diagnostics.iter().any(Diagnostic::is_wrong) {
            let (subject, issuer, until) = (&facts.subject, &facts.issuer, utc(facts.not_after));
            let sentence = format!("{subject}, issued by {issuer}, until {until}");
            diagnostics.insert(0, Diagnostic::good(WHAT, sentence));
        }
        diagnostics
    }

    fn judge_time(&self, leaf: &CertificateFacts) -> Option<Diagnostic> {
        let until = utc(leaf.not_after);
        if self.now > leaf.not_after {
            let diagnostic = Diagnostic::wrong(WHAT, format!("it expired at {until}"));
            return Some(diagnostic.curl(60, EXPIRED).remedy(
                "renew it and reload; if it was renewed, the server still has the old file",
            ));
        }
        if self.now < leaf.not_before {
            let sentence = format!("it is not valid before {}", utc(leaf.not_before));
            let diagnostic = Diagnostic::wrong(WHAT, sentence).curl(60, NOT_YET_VALID);
            return Some(diagnostic.remedy("wait, or look at the clock of this machine"));
        }
        let left = leaf.not_after.duration_since(self.now).unwrap_or_default();
        (left < RENEWAL).then(|| {
            let days = left.as_secs() / DAY_SECONDS;
            Diagnostic::warning(WHAT, format!("it expires in {days} days, at {until}"))
                .remedy("see why it was not renewed yet")
        })
    }

    fn judge_name(
        &self,
        parsed: &ParsedCertificate<'_>,
        leaf: &CertificateFacts,
    ) -> Option<Diagnostic> {
        verify_server_name(parsed, self.host).err()?;
        let host = self.host.to_str();
        let names = match leaf.names.is_empty() {
            true => "nobody".to_owned(),
            false => leaf.names.join(", "),
        };
        let diagnostic = Diagnostic::wrong(WHAT, format!("it names {names}, and not `{host}`"));
        let said = format!(
            "SSL: no alternative certificate subject name matches target host name '{host}'"
        );
        Some(diagnostic.curl(60, said).remedy("order one for this name, or register its own name"))
    }

    fn path_fault(
        &self,
        chain: &[CertificateDer<'_>],
        leaf: &CertificateFacts,
        error: &Error,
    ) -> Diagnostic {
        if !matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer)) {
            return self.other_fault(chain, error);
        }
        if leaf.is_self_issued {
            let diagnostic =
                Diagnostic::wrong(WHAT, format!("it is self-signed: {}", leaf.subject));
            return diagnostic
                .curl(60, "SSL certificate problem: self-signed certificate")
                .remedy("take a certificate from a public CA; Meta does not take any other");
        }
        let Some(top) = top_of(chain) else {
            return self.other_fault(chain, error);
        };
        if top.is_self_issued {
            let sentence = format!("its root is not a public one: {}", top.subject);
            let said = "SSL certificate problem: self-signed certificate in certificate chain";
            let remedy = "take a certificate from a public CA; Meta does not take any other";
            return Diagnostic::wrong(WHAT, sentence).curl(60, said).remedy(remedy);
        }
        let sentence = format!(
            "its chain has a gap: the certificate of {}, which issued {}, is missing",
            top.issuer, top.subject
        );
        let said = "SSL certificate problem: unable to get local issuer certificate";
        let remedy = "configure the file that the CA calls full chain; browsers fetch what is \
                      missing and Meta does not. If that is your own CA, Meta never takes it";
        Diagnostic::wrong(WHAT, sentence).curl(60, said).remedy(remedy)
    }

    /// An issuer that is past its end, or what else there may be.
    fn other_fault(&self, chain: &[CertificateDer<'_>], error: &Error) -> Diagnostic {
        let above = chain.iter().skip(1).filter_map(CertificateFacts::read);
        if let Some(ended) = above.into_iter().find(|facts| !facts.is_valid_at(self.now)) {
            let (subject, until) = (&ended.subject, utc(ended.not_after));
            let sentence = format!("its issuer's certificate {subject} was valid until {until}");
            let remedy = "replace the intermediate by the one that the CA offers now";
            return Diagnostic::wrong(WHAT, sentence).curl(60, EXPIRED).remedy(remedy);
        }
        let said = "SSL certificate problem";
        Diagnostic::wrong(WHAT, format!("it is not accepted: {error}")).curl(60, said)
    }
}

/// The last certificate that is reached from the leaf, from issuer to issuer.
fn top_of(chain: &[CertificateDer<'_>]) -> Option<CertificateFacts> {
    let mut top = chain.first()?;
    // Each step uses one certificate, so that two which issued each other are no endless walk.
    for _ in chain {
        let above = chain.iter().find(|other| *other != top && is_issuer_named(top, other));
        match above {
            Some(above) => top = above,
            None => break,
        }
    }
    CertificateFacts::read(top)
}

fn unix(moment: SystemTime) -> UnixTime {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::since_unix_epoch(since)
}

const WHAT: &str = "certificate";
const HANDSHAKE: &str = "SSL connect error";
const UNREADABLE: &str = "SSL certificate problem: unable to decode issuer public key";
const EXPIRED: &str = "SSL certificate problem: certificate has expired";
const NOT_YET_VALID: &str = "SSL certificate problem: certificate is not yet valid";

/// Let's Encrypt's clients renew 30 days before the end; by now, something is wrong with them.
const RENEWAL: Duration = Duration::from_secs(14 * DAY_SECONDS);
const DAY_SECONDS: u64 = 24 * 60 * 60;
