//! Proves who is calling: a chain to a current trust anchor, and the exact common name.
//!
//! In: the certificates that a caller presented, and the time. Out: a [`VerifiedClient`], which
//! only [`ClientTrust::prove`] makes, or the reason why not. webpki builds and checks the path;
//! what it leaves out is done here: expiry, path length and purpose of the anchor (RFC 5280
//! section 6.1.1 leaves them to the verifier), `keyCertSign` of intermediates (section 4.2.1.3),
//! how much may be presented, and the name. There is no hostname to check in a client certificate.
//!
//! The same chain is proven once and remembered, with the span of time in which the proof holds;
//! every connection asks again, also one that resumed a TLS session, so that nothing that was
//! stored in a session ticket is ever taken for proof.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use http::HeaderValue;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate::{CertificateFacts, system_time};
use super::material::Anchor;
use super::subject::only_common_name;
use crate::refusal::Hangup;

/// Whom this process believes: immutable but for its memory of proofs.
#[derive(Debug)]
pub struct ClientTrust {
    anchors: Vec<Anchor>,
    /// The same, in webpki's form and order.
    roots: Vec<TrustAnchor<'static>>,
    common_names: Vec<String>,
    verify_depth: usize,
    algorithms: WebPkiSupportedAlgorithms,
    proven: ArcSwap<Vec<Arc<VerifiedClient>>>,
}

/// A caller whose chain and name were proven under the current trust. Only
/// [`ClientTrust::prove`] makes one, so holding it is the proof.
#[derive(Debug)]
pub struct VerifiedClient {
    common_name: String,
    anchor: Arc<str>,
    facts: CertificateFacts,
    client_cert: HeaderValue,
    chain: Vec<CertificateDer<'static>>,
    valid: Span,
}

/// Why a caller was not believed, with what it presented.
#[derive(Clone, Debug)]
pub struct Disbelief {
    /// The reason, from the closed list.
    pub reason: Hangup,
    /// The leaf, if it could be read.
    pub presented: Option<Box<CertificateFacts>>,
}

/// The time in which every certificate of a path, and its anchor, is valid.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: SystemTime,
    until: SystemTime,
}

impl ClientTrust {
    /// `anchors` and `common_names` are not empty: the configuration saw to that.
    pub fn new(
        anchors: Vec<Anchor>,
        common_names: Vec<String>,
        verify_depth: usize,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        let roots = anchors.iter().map(|anchor| anchor.root.clone()).collect();
        Self { anchors, roots, common_names, verify_depth, algorithms, proven: ArcSwap::default() }
    }

    /// Every anchor, in the order of the configuration.
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    pub(super) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// Proves `chain` (leaf first, as presented) at `now`.
    pub fn prove(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Arc<VerifiedClient>, Disbelief> {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
        let remembered = self.proven.load();
        if let Some(client) = remembered.iter().find(|client| client.is_proof(chain, moment)) {
            return Ok(Arc::clone(client));
        }
        let client = self.verify(chain, now).map_err(|reason| Disbelief {
            reason,
            presented: chain.first().and_then(CertificateFacts::read).map(Box::new),
        })?;
        let client = Arc::new(client);
        self.remember(&client);
        Ok(client)
    }

    /// The newest proofs are kept; only a genuine sender's chain ever gets here, so a handful do.
    fn remember(&self, client: &Arc<VerifiedClient>) {
        self.proven.rcu(|proven| {
            let others = proven.iter().filter(|known| known.chain != client.chain);
            std::iter::once(client).chain(others).take(PROOFS_MAX).cloned().collect::<Vec<_>>()
        });
    }

    fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<VerifiedClient, Hangup> {
        let Some((leaf, above)) = chain.split_first() else {
            return Err(Hangup::CertificateMissing);
        };
        if above.len() > self.verify_depth {
            return Err(Hangup::ChainTooDeep);
        }
        let entity =
            EndEntityCert::try_from(leaf).map_err(|_unreadable| Hangup::CertificateMalformed)?;
        let (anchor, valid) = self.find_anchor(&entity, above, now)?;
        let common_name = self.expected_name(leaf)?;
        let facts = CertificateFacts::read(leaf).ok_or(Hangup::CertificateMalformed)?;
        let client_cert = rfc9440_client_cert(leaf).ok_or(Hangup::CertificateMalformed)?;
        Ok(VerifiedClient {
            common_name,
            anchor: Arc::clone(&anchor.label),
            facts,
            client_cert,
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            valid,
        })
    }

    fn find_anchor(
        &self,
        leaf: &EndEntityCert<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(&Anchor, Span), Hangup> {
        // What failed on a path that webpki itself found in order: the most telling reason there is.
        let our_reason = Cell::new(None);
        let found = Cell::new(None);
        let verdict = leaf.verify_for_usage(
            self.algorithms.all,
            &self.roots,
            above,
            now,
            KeyUsage::client_auth(),
            None,
            Some(&|path| match self.check_path(path, now) {
                Ok(anchor_and_span) => {
                    found.set(Some(anchor_and_span));
                    Ok(())
                }
                Err(reason) => {
                    our_reason.set(Some(reason));
                    Err(webpki::Error::UnknownIssuer)
                }
            }),
        );
        match verdict {
            Ok(_path) => found.take().ok_or(Hangup::UnknownAnchor),
            Err(error) => Err(our_reason.take().unwrap_or_else(|| hangup(&error))),
        }
    }

    /// What webpki does not look at, for a path that it found in order.
    fn check_path(
        &self,
        path: &VerifiedPath<'_>,
        now: UnixTime,
    ) -> Result<(&Anchor, Span), Hangup> {
        let anchor = self.anchors.iter().find(|anchor| anchor.root == *path.anchor());
        let anchor = anchor.ok_or(Hangup::UnknownAnchor)?;
        let mut valid = Span { from: anchor.facts.not_before, until: anchor.facts.not_after };
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
        if moment > valid.until {
            return Err(Hangup::CertificateExpired);
        }
        if moment < valid.from {
            return Err(Hangup::CertificateNotYetValid);
        }
        let mut intermediates = 0;
        for intermediate in path.intermediate_certificates() {
            intermediates += 1;
            let der = intermediate.der();
            let certificate = parse(&der)?;
            may_sign_certificates(&certificate)?;
            valid.narrow(&certificate);
        }
        if anchor.path_len.is_some_and(|limit| intermediates > limit) {
            return Err(Hangup::ChainTooDeep);
        }
        if !anchor.may_vouch_for_clients {
            return Err(Hangup::WrongPurpose);
        }
        valid.narrow(&parse(&path.end_entity().der())?);
        Ok((anchor, valid))
    }

    fn expected_name(&self, leaf: &CertificateDer<'_>) -> Result<String, Hangup> {
        let certificate = parse(leaf)?;
        let name = only_common_name(certificate.subject()).ok_or(Hangup::NameNotSingle)?;
        let expected = self.common_names.iter().find(|expected| expected.as_bytes() == name);
        expected.cloned().ok_or(Hangup::NameMismatch)
    }
}

impl VerifiedClient {
    /// The proven name: one of the configured ones.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The label of the anchor that vouched.
    pub fn anchor(&self) -> &str {
        &self.anchor
    }

    pub(crate) fn anchor_label(&self) -> Arc<str> {
        Arc::clone(&self.anchor)
    }

    /// The leaf's readable side.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// What it presented, to be proven again under another trust.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Whether every certificate of the path is still valid.
    pub(crate) fn is_valid_at(&self, moment: SystemTime) -> bool {
        self.valid.from <= moment && moment <= self.valid.until
    }

    fn is_proof(&self, chain: &[CertificateDer<'_>], moment: SystemTime) -> bool {
        self.is_valid_at(moment) && self.chain == chain
    }

    /// RFC 9440 section 2.2: the leaf as a Structured Fields byte sequence.
    pub(crate) fn client_cert(&self) -> &HeaderValue {
        &self.client_cert
    }
}

impl Span {
    fn narrow(&mut self, certificate: &X509Certificate<'_>) {
        self.from = self.from.max(system_time(certificate.validity().not_before));
        self.until = self.until.min(system_time(certificate.validity().not_after));
    }
}

/// Meta sends from a handful of certificates; more would be a new world.
const PROOFS_MAX: usize = 16;

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Hangup> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(_unreadable) => Err(Hangup::CertificateMalformed),
    }
}

/// RFC 5280 section 4.2.1.3: where key usage is stated, only `keyCertSign` may sign certificates.
fn may_sign_certificates(certificate: &X509Certificate<'_>) -> Result<(), Hangup> {
    match certificate.key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.key_cert_sign() => Ok(()),
        Ok(Some(_)) => Err(Hangup::WrongPurpose),
        Err(_unreadable) => Err(Hangup::CertificateMalformed),
    }
}

fn rfc9440_client_cert(leaf: &CertificateDer<'_>) -> Option<HeaderValue> {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(leaf);
    HeaderValue::try_from(format!(":{encoded}:")).ok()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "webpki's list is open")]
fn hangup(error: &webpki::Error) -> Hangup {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } => Hangup::CertificateExpired,
        Error::CertNotValidYet { .. } => Hangup::CertificateNotYetValid,
        Error::UnknownIssuer | Error::CertDistrusted => Hangup::UnknownAnchor,
        Error::CertRevoked => Hangup::CertificateRevoked,
        Error::InvalidSignatureForPublicKey | Error::SignatureAlgorithmMismatch => {
            Hangup::BadSignature
        }
        Error::CaUsedAsEndEntity
        | Error::EndEntityUsedAsCa
        | Error::EmptyEkuExtension
        | Error::NameConstraintViolation
        | Error::RequiredEkuNotFoundContext(_) => Hangup::WrongPurpose,
        Error::PathLenConstraintViolated
        | Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => Hangup::ChainTooDeep,
        // Whatever else there is or will be: a certificate that webpki could not accept.
        _ => Hangup::CertificateMalformed,
    }
}
