//! Proves who is calling: a chain to a current trust anchor, and the exact common name.
//!
//! In: the certificates that a caller presented, and the time. Out: a [`VerifiedClient`], which
//! only [`ClientTrust::prove`] makes, or the reason why not. [`super::path`] finds the chain,
//! [`super::revocation`] looks it up in the lists in force; the name is checked here. There is no
//! hostname to check in a client certificate.
//!
//! The same chain is proven once and remembered, with the span of time in which the proof holds;
//! every connection asks again, also one that resumed a TLS session, so that nothing that was
//! stored in a session ticket is ever taken for proof. Proofs are remembered beside the lists that
//! they rest on, and forgotten with them.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;
use webpki::EndEntityCert;

use super::anchor::Anchor;
use super::certificate::{CertificateFacts, moment, parse};
use super::identity::ClientIdentity;
use super::path::{Anchors, Path, Validity};
use super::public_key::must_be_usable;
use super::revocation::{self, RevocationList, RevocationStatus};
use super::subject::only_common_name;
use crate::config::{Crl, StaleCrl};
use crate::refusal::ConnectionRefusal;

pub(crate) use self::alb::{ForwardedCertificate, ForwardedClientError};
use self::basis::Basis;
pub use self::error::ClientAuthError;

mod alb;
mod basis;
mod error;
mod last_seen;
pub(crate) mod remembered;
#[cfg(test)]
mod tests;

/// Which client certificates this process accepts. Fixed, but for the revocation lists in force and
/// for what it remembers: proofs, and who was seen last.
#[derive(Debug)]
pub struct ClientTrust {
    trusted: Anchors,
    /// Not trusted; tried only to tell what would have been.
    candidates: Anchors,
    common_names: Vec<String>,
    verify_depth: usize,
    algorithms: WebPkiSupportedAlgorithms,
    /// How revocation is checked; `None`: not at all.
    crl: Option<Crl>,
    basis: ArcSwap<Basis>,
    /// For each trusted anchor, the client for which it vouched last.
    last_seen: Vec<ArcSwapOption<VerifiedClient>>,
    /// A path that is proven but for its revocation status: it may name where the list is.
    unjudged: ArcSwapOption<ProvenPath>,
    news: watch::Sender<()>,
}

/// The certificates of a path, leaf first and without the anchor.
#[derive(Clone, Debug)]
struct ProvenPath {
    certificates: Vec<CertificateDer<'static>>,
    /// Index of the anchor that ends it.
    anchor: usize,
}

/// A caller whose chain and name were proven under the current trust. Only
/// [`ClientTrust::prove`] makes one, and `prove_forwarded` where a load balancer has ended TLS, so
/// holding it is the proof.
#[derive(Debug)]
pub struct VerifiedClient {
    common_name: String,
    anchor: Arc<str>,
    /// `None`: a load balancer vouched, and told the subject alone.
    facts: Option<CertificateFacts>,
    identity: ClientIdentity,
    /// As presented.
    chain: Vec<CertificateDer<'static>>,
    /// `None`: a load balancer vouched.
    path: Option<ProvenPath>,
    valid: Validity,
    revocation: RevocationStatus,
    /// Number of the basis that it depends on.
    basis: u64,
}

impl ClientTrust {
    /// `common_names` are not empty, and `anchors` only where a load balancer proves the chain: the
    /// configuration saw to that.
    pub fn new(
        anchors: Vec<Anchor>,
        common_names: Vec<String>,
        verify_depth: usize,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self {
            last_seen: anchors.iter().map(|_| ArcSwapOption::empty()).collect(),
            trusted: Anchors::new(anchors),
            candidates: Anchors::default(),
            common_names,
            verify_depth,
            algorithms,
            crl: None,
            basis: ArcSwap::default(),
            unjudged: ArcSwapOption::empty(),
            news: watch::Sender::new(()),
        }
    }

    /// With anchors that are not trusted, but tried when the trusted ones fail.
    pub fn with_candidates(self, candidates: Vec<Anchor>) -> Self {
        Self { candidates: Anchors::new(candidates), ..self }
    }

    /// With a look at revocation; lists are added by [`ClientTrust::install`].
    pub fn with_revocation(self, crl: Crl) -> Self {
        Self { crl: Some(crl).filter(Crl::is_checked), ..self }
    }

    /// Every anchor, in the order of the configuration.
    pub fn anchors(&self) -> &[Anchor] {
        self.trusted.list()
    }

    /// Every candidate, in the order of the configuration.
    pub fn candidates(&self) -> &[Anchor] {
        self.candidates.list()
    }

    /// How revocation is checked; `None`: not at all.
    pub fn crl(&self) -> Option<&Crl> {
        self.crl.as_ref()
    }

    /// The revocation lists in force.
    pub fn lists(&self) -> Vec<Arc<RevocationList>> {
        self.basis.load().lists.clone()
    }

    /// Each anchor with the client for which it vouched last.
    pub fn last_seen(&self) -> impl Iterator<Item = (&Anchor, Option<Arc<VerifiedClient>>)> {
        self.anchors().iter().zip(self.last_seen.iter().map(ArcSwapOption::load_full))
    }

    pub(crate) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// Proves `chain` (leaf first, as presented) at `now`.
    pub fn prove(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Arc<VerifiedClient>, ClientAuthError> {
        // Loaded once: a proof is remembered with the lists that it was made under, or not at all.
        let basis = self.basis.load();
        let remembered = basis.proven.load();
        if let Some(client) = remembered.iter().find(|client| client.is_proof(chain, moment(now))) {
            return Ok(Arc::clone(client));
        }
        let client = self.verify(chain, now, &basis).map_err(|reason| ClientAuthError {
            reason,
            presented: chain.first().and_then(CertificateFacts::read).map(Box::new),
            candidate: self.candidate_for(chain, now, reason, &basis),
            server_name: None,
        })?;
        let client = Arc::new(client);
        basis.remember(&client);
        Ok(client)
    }

    /// Whether the proof holds at `now`, under the lists that are in force.
    pub(crate) fn is_still_valid(&self, client: &VerifiedClient, now: UnixTime) -> bool {
        client.basis == self.basis.load().number && client.valid.contains(moment(now))
    }

    fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
        basis: &Basis,
    ) -> Result<VerifiedClient, ConnectionRefusal> {
        let stale = self.crl.as_ref().map(|crl| crl.stale);
        let unjudged = RefCell::new(None);
        let identified = self.identify(&self.trusted, chain, now, |leaf, entity, path| {
            let revocation = self.look_up(entity, path, stale, now, basis);
            if revocation == Err(ConnectionRefusal::RevocationUnknown) {
                *unjudged.borrow_mut() = Some(ProvenPath::of(leaf, path));
            }
            revocation
        });
        let Identified { leaf, path, revocation, common_name } =
            identified.inspect_err(|reason| self.note_unjudged(*reason, unjudged.take()))?;
        let facts = CertificateFacts::read(leaf).ok_or(ConnectionRefusal::CertificateMalformed)?;
        let identity = ClientIdentity::of(leaf, &path.intermediates)?;
        Ok(VerifiedClient {
            common_name,
            anchor: Arc::clone(&path.anchor.label),
            facts: Some(facts),
            identity,
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            path: Some(ProvenPath::of(leaf, &path)),
            valid: path.valid,
            revocation,
            basis: basis.number,
        })
    }

    /// Chain, name and key. `look_up` says whether a path is revoked, and is asked only about callers
    /// with the right name: it may have lists fetched.
    fn identify<'a>(
        &self,
        anchors: &'a Anchors,
        chain: &'a [CertificateDer<'_>],
        now: UnixTime,
        look_up: impl Fn(
            &CertificateDer<'_>,
            &EndEntityCert<'_>,
            &mut Path<'_>,
        ) -> Result<RevocationStatus, ConnectionRefusal>,
    ) -> Result<Identified<'a>, ConnectionRefusal> {
        let Some((leaf, above)) = chain.split_first() else {
            return Err(ConnectionRefusal::CertificateMissing);
        };
        if above.len() > self.verify_depth {
            return Err(ConnectionRefusal::ChainTooDeep);
        }
        let entity = EndEntityCert::try_from(leaf)
            .map_err(|_unreadable| ConnectionRefusal::CertificateMalformed)?;
        let common_name = self.expected_name(leaf);
        let (path, revocation) =
            anchors.find_path(&entity, above, now, &self.algorithms, |path| match common_name {
                Ok(_) => look_up(leaf, &entity, path),
                // Reported below: any path that is in order will do.
                Err(_) => Ok(RevocationStatus::NotChecked),
            })?;
        let common_name = common_name?;
        // Else it would be found out only when it is to verify the handshake.
        must_be_usable(parse(leaf)?.public_key(), &self.algorithms)?;
        Ok(Identified { leaf, path, revocation, common_name })
    }

    /// `stale`: what a list that is too old means; `None`: nobody looks.
    fn look_up(
        &self,
        entity: &EndEntityCert<'_>,
        path: &mut Path<'_>,
        stale: Option<StaleCrl>,
        now: UnixTime,
        basis: &Basis,
    ) -> Result<RevocationStatus, ConnectionRefusal> {
        let Some(stale) = stale else { return Ok(RevocationStatus::NotChecked) };
        revocation::check(entity, path, &basis.lists, stale, now, &self.algorithms)
    }

    fn note_unjudged(&self, reason: ConnectionRefusal, path: Option<ProvenPath>) {
        if reason == ConnectionRefusal::RevocationUnknown && path.is_some() {
            self.unjudged.store(path.map(Arc::new));
            self.news.send_replace(());
        }
    }

    /// The candidate anchor under which a refused caller would have been accepted. That its list
    /// is not there does not count: lists are fetched for trusted anchors alone.
    fn candidate_for(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
        reason: ConnectionRefusal,
        basis: &Basis,
    ) -> Option<Arc<str>> {
        let is_of_a_trusted_anchor = matches!(
            reason,
            ConnectionRefusal::CertificateRevoked | ConnectionRefusal::RevocationUnknown
        );
        if self.candidates.list().is_empty() || is_of_a_trusted_anchor {
            return None;
        }
        let identified = self.identify(&self.candidates, chain, now, |_leaf, entity, path| {
            self.look_up(entity, path, Some(StaleCrl::Warn), now, basis)
        });
        Some(Arc::clone(&identified.ok()?.path.anchor.label))
    }

    fn expected_name(&self, leaf: &CertificateDer<'_>) -> Result<String, ConnectionRefusal> {
        let certificate = parse(leaf)?;
        let name =
            only_common_name(certificate.subject()).ok_or(ConnectionRefusal::NameNotSingle)?;
        self.configured_name(name)
    }

    fn configured_name(&self, name: &[u8]) -> Result<String, ConnectionRefusal> {
        let expected = self.common_names.iter().find(|expected| expected.as_bytes() == name);
        expected.cloned().ok_or(ConnectionRefusal::NameMismatch)
    }
}

/// A caller whose chain, name and key are in order, and who is not revoked.
struct Identified<'a> {
    leaf: &'a CertificateDer<'a>,
    path: Path<'a>,
    revocation: RevocationStatus,
    common_name: String,
}

impl ProvenPath {
    fn of(leaf: &CertificateDer<'_>, path: &Path<'_>) -> Self {
        let leaf = std::iter::once(leaf.clone().into_owned());
        let certificates = leaf.chain(path.intermediates.iter().cloned()).collect();
        Self { certificates, anchor: path.index }
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

    /// The leaf's readable side, if there is a leaf.
    pub fn facts(&self) -> Option<&CertificateFacts> {
        self.facts.as_ref()
    }

    /// What the revocation lists said.
    pub fn revocation(&self) -> RevocationStatus {
        self.revocation
    }

    /// What it presented, to be proven again under another trust.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The last moment at which it may be a proof.
    pub(crate) fn valid_until(&self) -> SystemTime {
        self.valid.until()
    }

    fn is_proof(&self, chain: &[CertificateDer<'_>], moment: SystemTime) -> bool {
        self.valid.contains(moment) && self.chain == chain
    }

    /// What an application can be told of it.
    pub(crate) fn identity(&self) -> &ClientIdentity {
        &self.identity
    }
}
