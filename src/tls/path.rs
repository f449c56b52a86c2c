//! Finds the path from a presented leaf to one of a set of anchors.
//!
//! webpki builds and checks paths; what it leaves out is done here: expiry, path length and purpose
//! of the anchor (RFC 5280 section 6.1.1 leaves them to the verifier), and `keyCertSign` of
//! intermediates (section 4.2.1.3). Every path is tried until one is in order, for a CA may be
//! reissued with the same key, and an intermediate signed by several. Knows neither names nor
//! revocation: the caller decides about each path in the end.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::prelude::X509Certificate;

use super::anchor::Anchor;
use super::certificate::{moment, parse, system_time};
use super::public_key;
use crate::refusal::ConnectionRefusal;

/// Anchors that may stand at the end of a path.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    list: Vec<Anchor>,
    /// The same, in webpki's form and order.
    roots: Vec<TrustAnchor<'static>>,
}

/// A path that was found in order.
#[derive(Debug)]
pub(super) struct Path<'a> {
    /// Index of the anchor among its set.
    pub(super) index: usize,
    pub(super) anchor: &'a Anchor,
    /// From the leaf's issuer up to, and without, the anchor.
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    pub(super) valid: Validity,
}

/// The time in which every certificate of a path, its anchor, and the lists that speak for them
/// are valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    from: SystemTime,
    until: SystemTime,
}

impl Anchors {
    pub(super) fn new(list: Vec<Anchor>) -> Self {
        let roots = list.iter().map(|anchor| anchor.root.clone()).collect();
        Self { list, roots }
    }

    pub(super) fn list(&self) -> &[Anchor] {
        &self.list
    }

    /// The first path from `leaf` over any of `above` that is in order at `now` and that `accept`
    /// takes, with what that says of it. If there is none, the reason that tells most.
    pub(super) fn find_path<T>(
        &self,
        leaf: &EndEntityCert<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
        accept: impl Fn(&mut Path<'_>) -> Result<T, ConnectionRefusal>,
    ) -> Result<(Path<'_>, T), ConnectionRefusal> {
        // What failed on paths that webpki itself found in order: it tells more than what webpki
        // says of all others.
        let our_reason: Cell<Option<ConnectionRefusal>> = Cell::new(None);
        let found = Cell::new(None);
        let usage = KeyUsage::client_auth();
        let try_path = |path: &VerifiedPath<'_>| {
            // webpki takes an anchor for a name and a key, and several certificates may have both.
            for (index, _) in self.roots.iter().enumerate().filter(|(_, r)| *r == path.anchor()) {
                let checked = self.check(path, index, now);
                let accepted = checked.and_then(|mut path| Ok((accept(&mut path)?, path)));
                match accepted {
                    Ok((verdict, path)) => {
                        found.set(Some((path, verdict)));
                        return Ok(());
                    }
                    Err(reason) => {
                        let told =
                            our_reason.get().map_or(reason, |told| more_telling(told, reason));
                        our_reason.set(Some(told));
                    }
                }
            }
            Err(webpki::Error::UnknownIssuer)
        };
        let verdict = leaf.verify_for_usage(
            algorithms.all,
            &self.roots,
            above,
            now,
            usage,
            None,
            Some(&try_path),
        );
        match verdict {
            Ok(_path) => found.take().ok_or(ConnectionRefusal::UnknownAnchor),
            Err(error) => Err(our_reason.take().unwrap_or_else(|| {
                let reason = connection_refusal(&error);
                let is_of_signatures = matches!(
                    reason,
                    ConnectionRefusal::BadSignature | ConnectionRefusal::SignatureUnsupported
                );
                let fault = || {
                    let anchors = self.list.iter().map(|anchor| &anchor.der);
                    public_key::fault_above(&leaf.der(), above, anchors, algorithms)
                };
                is_of_signatures.then(fault).flatten().unwrap_or(reason)
            })),
        }
    }

    /// What webpki does not look at, for a path that it found in order, should it end in the anchor
    /// at `index`. Time comes last: whoever is told of it knows that all else is in order.
    fn check(
        &self,
        path: &VerifiedPath<'_>,
        index: usize,
        now: UnixTime,
    ) -> Result<Path<'_>, ConnectionRefusal> {
        let anchor = self.list.get(index).ok_or(ConnectionRefusal::UnknownAnchor)?;
        if !anchor.may_vouch_for_clients {
            return Err(ConnectionRefusal::WrongPurpose);
        }
        let mut valid = Validity { from: anchor.facts.not_before, until: anchor.facts.not_after };
        let anchor_valid = valid;
        let mut intermediates = Vec::new();
        for intermediate in path.intermediate_certificates() {
            let der = intermediate.der();
            let certificate = parse(&der)?;
            may_sign_certificates(&certificate)?;
            valid.narrow(&certificate);
            intermediates.push(der.into_owned());
        }
        let limit = anchor.path_len.map(usize::try_from);
        if limit.is_some_and(|limit| limit.is_ok_and(|limit| intermediates.len() > limit)) {
            return Err(ConnectionRefusal::ChainTooDeep);
        }
        anchor_valid.must_contain(moment(now))?;
        valid.narrow(&parse(&path.end_entity().der())?);
        Ok(Path { index, anchor, intermediates, valid })
    }
}

/// Of two reasons for which paths of one leaf failed, the one that the operator can do more with.
fn more_telling(one: ConnectionRefusal, other: ConnectionRefusal) -> ConnectionRefusal {
    let rank = |reason| MOST_TELLING.iter().position(|told| *told == reason);
    let rank = |reason: &ConnectionRefusal| rank(*reason).unwrap_or(MOST_TELLING.len());
    if rank(&other) < rank(&one) { other } else { one }
}

/// From what failed last in the order of the checks, so that all before it was in order.
const MOST_TELLING: [ConnectionRefusal; 6] = [
    ConnectionRefusal::CertificateRevoked,
    ConnectionRefusal::RevocationUnknown,
    ConnectionRefusal::CertificateExpired,
    ConnectionRefusal::CertificateNotYetValid,
    ConnectionRefusal::ChainTooDeep,
    ConnectionRefusal::WrongPurpose,
];

impl Validity {
    pub(super) fn contains(&self, moment: SystemTime) -> bool {
        self.from <= moment && moment <= self.until
    }

    pub(super) fn until(&self) -> SystemTime {
        self.until
    }

    /// The validity of one certificate.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut valid = Self::unbounded();
        valid.narrow(certificate);
        valid
    }

    /// All the time that certificates can name.
    pub(super) fn unbounded() -> Self {
        Self { from: UNIX_EPOCH, until: UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) << 7) }
    }

    /// Says on which side `moment` lies outside.
    pub(super) fn must_contain(&self, moment: SystemTime) -> Result<(), ConnectionRefusal> {
        if moment > self.until {
            Err(ConnectionRefusal::CertificateExpired)
        } else if moment < self.from {
            Err(ConnectionRefusal::CertificateNotYetValid)
        } else {
            Ok(())
        }
    }

    /// Ends it at `end` at the latest.
    pub(super) fn end_at(&mut self, end: SystemTime) {
        self.until = self.until.min(end);
    }

    fn narrow(&mut self, certificate: &X509Certificate<'_>) {
        self.from = self.from.max(system_time(certificate.validity().not_before));
        self.end_at(system_time(certificate.validity().not_after));
    }
}

/// RFC 5280 section 4.2.1.3: where key usage is stated, only `keyCertSign` may sign certificates.
fn may_sign_certificates(certificate: &X509Certificate<'_>) -> Result<(), ConnectionRefusal> {
    match certificate.key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.key_cert_sign() => Ok(()),
        Ok(Some(_)) => Err(ConnectionRefusal::WrongPurpose),
        Err(_unreadable) => Err(ConnectionRefusal::CertificateMalformed),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "webpki's list is open")]
pub(super) fn connection_refusal(error: &webpki::Error) -> ConnectionRefusal {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } => ConnectionRefusal::CertificateExpired,
        Error::CertNotValidYet { .. } => ConnectionRefusal::CertificateNotYetValid,
        Error::UnknownIssuer | Error::CertDistrusted => ConnectionRefusal::UnknownAnchor,
        Error::CertRevoked => ConnectionRefusal::CertificateRevoked,
        // The last: it is another key's, of another kind.
        Error::InvalidSignatureForPublicKey
        | Error::SignatureAlgorithmMismatch
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            ConnectionRefusal::BadSignature
        }
        Error::UnsupportedSignatureAlgorithmContext(_) => ConnectionRefusal::SignatureUnsupported,
        Error::CaUsedAsEndEntity
        | Error::EndEntityUsedAsCa
        | Error::EmptyEkuExtension
        | Error::NameConstraintViolation
        | Error::RequiredEkuNotFoundContext(_) => ConnectionRefusal::WrongPurpose,
        Error::PathLenConstraintViolated
        | Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => ConnectionRefusal::ChainTooDeep,
        // Whatever else there is or will be: a certificate that webpki could not accept.
        _ => ConnectionRefusal::CertificateMalformed,
    }
}
