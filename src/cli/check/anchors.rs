//! The anchors that callers are proven under.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use super::{Problems, days_until};
use crate::config::{self, CertificateSource, Config};
use crate::generation::is_certificate_mandatory;
use crate::maintenance::expiry::SUCCESSION_DAYS;
use crate::tls::anchor;
use crate::tls::certificate::utc;
use crate::tls::known_anchors::{KnownAnchor, Recognition};
use crate::tls::link::key_fault;
use crate::tls::material::read_anchors;

/// `[client_certificate]` and what its files hold.
#[derive(Debug, Serialize)]
pub(super) struct ClientCertificateReport {
    /// Where certificates are found.
    pub(super) source: &'static str,
    /// Whether hubgate proves the chain; else a load balancer does.
    pub(super) chain_is_proven: bool,
    /// Every webhook asks for one, so a handshake without one ends there.
    #[serde(rename = "mandatory")]
    pub(super) is_mandatory: bool,
    pub(super) common_names: Vec<String>,
    pub(super) verify_depth: usize,
    /// Those that could be read.
    pub(super) anchors: Vec<AnchorReport>,
    /// Those that are not trusted, but looked out for.
    pub(super) candidates: Vec<AnchorReport>,
}

/// One trust anchor.
#[derive(Debug, Serialize)]
pub(super) struct AnchorReport {
    pub(super) label: String,
    pub(super) path: PathBuf,
    pub(super) subject: String,
    pub(super) sha256: String,
    pub(super) not_before: String,
    pub(super) not_after: String,
    pub(super) days_left: i64,
    pub(super) state: AnchorState,
    /// Name of the CA, if its fingerprint is known.
    pub(super) known: Option<&'static str>,
    #[serde(skip)]
    recognition: Recognition,
}

/// Whether an anchor vouches for anybody now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnchorState {
    /// It does.
    Valid,
    /// No longer.
    Expired,
    /// Not before its time.
    NotYetValid,
    /// Its own key usage or purpose forbids it.
    NotForClients,
    /// Nothing can be verified with its key.
    KeyUnusable,
}

impl AnchorReport {
    fn new(anchor: &anchor::Anchor, now: SystemTime) -> Self {
        let facts = &anchor.facts;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let algorithms = provider.signature_verification_algorithms;
        let state = match anchor.may_vouch_for_clients() {
            _ if key_fault(anchor.certificate(), &algorithms).is_some() => AnchorState::KeyUnusable,
            false => AnchorState::NotForClients,
            true if now > facts.not_after => AnchorState::Expired,
            true if now < facts.not_before => AnchorState::NotYetValid,
            true => AnchorState::Valid,
        };
        let recognition = KnownAnchor::recognize(facts);
        Self {
            label: anchor.label.to_string(),
            path: anchor.path.clone(),
            subject: facts.subject.clone(),
            sha256: facts.sha256.clone(),
            not_before: utc(facts.not_before),
            not_after: utc(facts.not_after),
            days_left: days_until(facts.not_after, now),
            state,
            known: match recognition {
                Recognition::Known(known) => Some(known.name()),
                Recognition::Namesake(_) | Recognition::Unknown => None,
            },
            recognition,
        }
    }

    /// What there is to say about who it is.
    pub(super) fn identity(&self) -> String {
        match self.recognition {
            Recognition::Known(known) => format!("{}, {}", known.name(), known.era()),
            Recognition::Namesake(known) => format!("no: called as {}, but not it", known.name()),
            Recognition::Unknown => "no: compare its fingerprint with the CA's own page".to_owned(),
        }
    }
}

pub(super) fn inspect(
    config: &Config,
    now: SystemTime,
    problems: &mut Problems,
) -> Option<ClientCertificateReport> {
    let settings = config.client_certificate.as_ref()?;
    // What cannot be read is among the errors already.
    let read = |file: &config::TrustAnchor| read_anchors(&file.label, &file.path).ok();
    let read_all = |files: &[config::TrustAnchor]| {
        let anchors = files.iter().filter_map(read).flatten();
        anchors.map(|anchor| AnchorReport::new(&anchor, now)).collect::<Vec<_>>()
    };
    let anchors = read_all(&settings.trust_anchors);
    let candidates = read_all(&settings.candidate_anchors);
    for anchor in &anchors {
        judge("anchor", anchor, problems);
    }
    judge_together(&anchors, problems);
    for candidate in &candidates {
        judge("candidate", candidate, problems);
        if anchors.iter().any(|anchor| anchor.sha256 == candidate.sha256) {
            problems.warn(format!(
                "candidate `{}` is a trust anchor already; take it out of candidate_anchors",
                candidate.label
            ));
        }
    }
    Some(ClientCertificateReport {
        source: match settings.source {
            CertificateSource::Tls => "tls",
            CertificateSource::Alb => "alb",
            CertificateSource::AlbPassthrough => "alb_passthrough",
        },
        chain_is_proven: !settings.trust_anchors.is_empty(),
        is_mandatory: is_certificate_mandatory(config),
        common_names: settings.common_names.clone(),
        verify_depth: settings.verify_depth,
        anchors,
        candidates,
    })
}

fn judge(role: &str, anchor: &AnchorReport, problems: &mut Problems) {
    let AnchorReport { label, not_before, not_after, days_left, .. } = anchor;
    match anchor.state {
        AnchorState::Expired => problems.warn(format!(
            "{role} `{label}` expired on {not_after} and vouches for nobody; install its successor"
        )),
        AnchorState::NotYetValid => problems.warn(format!(
            "{role} `{label}` is not valid before {not_before} and vouches for nobody until then"
        )),
        AnchorState::NotForClients => problems.warn(format!(
            "{role} `{label}` may not vouch for clients, after its own key usage or purpose, so it \
             vouches for nobody"
        )),
        AnchorState::KeyUnusable => problems.warn(format!(
            "{role} `{label}` has a key that proves nothing here, so it vouches for nobody: take RSA of \
             2048 to 8192 bits, ECDSA (P-256, P-384, P-521) or Ed25519"
        )),
        AnchorState::Valid if *days_left < SUCCESSION_DAYS => problems.warn(format!(
            "{role} `{label}` expires in {days_left} days, on {not_after}; add its successor"
        )),
        AnchorState::Valid => {}
    }
    if let Recognition::Namesake(known) = anchor.recognition {
        problems.warn(format!(
            "{role} `{label}` has the subject of {} and another fingerprint: do not trust it \
             before you have compared it with the CA's own page",
            known.name()
        ));
    }
}

fn judge_together(anchors: &[AnchorReport], problems: &mut Problems) {
    if !anchors.is_empty() && anchors.iter().all(|anchor| anchor.state != AnchorState::Valid) {
        problems.error("no trust anchor is valid now, so no client certificate can be proven");
    }
    let digicert = Recognition::Known(KnownAnchor::DigicertHighAssuranceEvRoot);
    if !anchors.is_empty() && anchors.iter().all(|anchor| anchor.recognition == digicert) {
        problems.warn(
            "DigiCert's root is the only trust anchor, but Meta's certificate under it ended in \
             April 2026: every event will be refused with `unknown_anchor`; add Meta's own CA \
             (certs/README.md says where to get it) to client_certificate.trust_anchors",
        );
    }
}
