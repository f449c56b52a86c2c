//! Revocation lists (CRLs), and what they say of a path.
//!
//! In: DER bytes from a file or from the network. Out: a [`RevocationList`] whose dates are known
//! and, where its issuer is, whose signature is proven. webpki looks certificates up and checks the
//! scope of a list; it ignores a list's age unless told, so it is told.
//!
//! Every certificate below the anchor is looked up, intermediates too: a stolen intermediate forges
//! any leaf. The anchor itself is trusted because the operator said so.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::anchor::Anchor;
use super::certificate::system_time;
use super::path::{Path, connection_refusal};
use crate::config::StaleCrl;
use crate::refusal::ConnectionRefusal;

/// One list, parsed.
#[derive(Debug)]
pub struct RevocationList {
    source: Arc<str>,
    is_fetched: bool,
    this_update: SystemTime,
    next_update: SystemTime,
    revoked: usize,
    /// The key that was seen to have signed the list: a CA may be reissued with the same one.
    signer: Option<Signer>,
    der: Vec<u8>,
    parsed: CertRevocationList<'static>,
}

/// Why a list is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListFault {
    /// Not a list, cut short, or of a kind that is not understood, such as a delta.
    #[error("not a revocation list (CRL version 2 with nextUpdate, no delta)")]
    Malformed,
    /// Another CA's list.
    #[error("issued by another CA than the one it should speak for")]
    ForeignIssuer,
    /// The signature is not the issuer's.
    #[error("its signature is not its issuer's")]
    BadSignature,
    /// The issuer's certificate does not allow it to sign lists (RFC 5280 section 4.2.1.3).
    #[error("its issuer may not sign revocation lists")]
    SignerNotAllowed,
}

/// SHA-256 of the SubjectPublicKeyInfo of whoever signed a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signer([u8; 32]);

impl Signer {
    fn of(issuer: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(issuer).ok()?;
        Some(Self(Sha256::digest(certificate.public_key().raw).into()))
    }
}

/// What the lists say of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationStatus {
    /// Nobody looked: there is no list and none is asked for.
    NotChecked,
    /// Every certificate of the path has a current list that does not name it.
    NotRevoked,
    /// A certificate has no current list, and the operator lets in whom no list names.
    Unknown,
}

impl RevocationList {
    /// Reads a list; its signature is not proven yet.
    pub fn parse(source: Arc<str>, is_fetched: bool, der: Vec<u8>) -> Result<Self, ListFault> {
        let malformed = |_unreadable| ListFault::Malformed;
        let parsed = OwnedCertRevocationList::from_der(&der).map_err(malformed)?;
        let (_, list) = CertificateRevocationList::from_der(&der)
            .map_err(|_unreadable| ListFault::Malformed)?;
        Ok(Self {
            source,
            is_fetched,
            this_update: system_time(list.last_update()),
            next_update: system_time(list.next_update().ok_or(ListFault::Malformed)?),
            revoked: list.iter_revoked_certificates().count(),
            signer: None,
            parsed: parsed.into(),
            der,
        })
    }

    /// The list, proven to be signed by one of `issuers`.
    pub(crate) fn signed_by(
        mut self,
        issuers: &[CertificateDer<'_>],
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<Self, ListFault> {
        let mut fault = ListFault::ForeignIssuer;
        for issuer in issuers {
            match self.check_signature(issuer, algorithms) {
                Ok(()) => {
                    self.signer = Signer::of(issuer);
                    return Ok(self);
                }
                Err(ListFault::ForeignIssuer) => {}
                Err(other) => fault = other,
            }
        }
        Err(fault)
    }

    fn check_signature(
        &self,
        issuer: &CertificateDer<'_>,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), ListFault> {
        let (_, list) = CertificateRevocationList::from_der(&self.der)
            .map_err(|_unreadable| ListFault::Malformed)?;
        let entity =
            EndEntityCert::try_from(issuer).map_err(|_unreadable| ListFault::ForeignIssuer)?;
        let (_, certificate) =
            X509Certificate::from_der(issuer).map_err(|_unreadable| ListFault::ForeignIssuer)?;
        if entity.subject() != self.parsed.issuer() {
            return Err(ListFault::ForeignIssuer);
        }
        // An algorithm of another kind of key fails; webpki names the right one at each lookup.
        let (message, signature) = (list.tbs_cert_list.as_ref(), &list.signature_value.data);
        let is_right =
            |algorithm: &&_| entity.verify_signature(*algorithm, message, signature).is_ok();
        if !algorithms.all.iter().any(is_right) {
            return Err(ListFault::BadSignature);
        }
        match certificate.key_usage() {
            Ok(None) => Ok(()),
            Ok(Some(usage)) if usage.value.crl_sign() => Ok(()),
            Ok(Some(_)) | Err(_) => Err(ListFault::SignerNotAllowed),
        }
    }

    /// Where it came from: a path or a URL.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it came over the network.
    pub fn is_fetched(&self) -> bool {
        self.is_fetched
    }

    /// When it was issued.
    pub fn this_update(&self) -> SystemTime {
        self.this_update
    }

    /// When it is stale.
    pub fn next_update(&self) -> SystemTime {
        self.next_update
    }

    /// Whether it is too old to prove that something is not revoked.
    pub fn is_stale_at(&self, now: SystemTime) -> bool {
        self.next_update <= now
    }

    /// How many certificates it names.
    pub fn revoked(&self) -> usize {
        self.revoked
    }

    /// Whether it names `certificate` as revoked; `None` if that is of another issuer.
    pub fn names(&self, certificate: &CertificateDer<'_>) -> Option<bool> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let (_, list) = CertificateRevocationList::from_der(&self.der).ok()?;
        if certificate.issuer().as_raw() != list.issuer().as_raw() {
            return None;
        }
        let serial = certificate.raw_serial();
        Some(list.iter_revoked_certificates().any(|revoked| revoked.raw_serial() == serial))
    }

    /// As it was signed.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether both speak for the same certificates, so that only the newer one counts.
    pub(super) fn is_about_the_same(&self, other: &Self) -> bool {
        self.parsed.issuer() == other.parsed.issuer()
            && self.parsed.issuing_distribution_point() == other.parsed.issuing_distribution_point()
            && (self.signer == other.signer || self.signer.is_none() || other.signer.is_none())
    }

    /// The raw name of its issuer, as webpki has it.
    pub(super) fn issuer(&self) -> &[u8] {
        self.parsed.issuer()
    }

    pub(super) fn is_signed_by(&self, anchor: &Anchor) -> bool {
        self.signer.is_some() && self.signer == Signer::of(&anchor.der)
    }

    /// Two CAs can have one name: then only the list that the anchor itself signed is its list.
    fn may_be_asked_about(&self, path: &Path<'_>) -> bool {
        !path.anchor.is_named(self.issuer()) || self.is_signed_by(path.anchor)
    }
}

/// Looks up every certificate of a path that is otherwise proven. Where all of them have a current
/// list, the path's span ends with the first of these.
pub(super) fn check(
    leaf: &EndEntityCert<'_>,
    path: &mut Path<'_>,
    lists: &[Arc<RevocationList>],
    stale: StaleCrl,
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<RevocationStatus, ConnectionRefusal> {
    let lists: Vec<_> = lists.iter().filter(|list| list.may_be_asked_about(path)).collect();
    let parsed: Vec<_> = lists.iter().map(|list| &list.parsed).collect();
    let ask = |status, expiration| {
        let Ok(options) = RevocationOptionsBuilder::new(&parsed) else {
            return Err(webpki::Error::UnknownRevocationStatus);
        };
        let options = options
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(status)
            .with_expiration_policy(expiration)
            .build();
        // This path and no other: extra certificates of a caller cannot lead around a list.
        let (root, above) = (std::slice::from_ref(&path.anchor.root), &path.intermediates);
        let usage = KeyUsage::client_auth();
        leaf.verify_for_usage(algorithms.all, root, above, now, usage, Some(options), None)
            .map(|_path| ())
    };
    let Err(error) = ask(UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce) else {
        let end = lists.iter().filter(|list| is_of(list, leaf, path)).map(|list| list.next_update);
        if let Some(end) = end.min() {
            // webpki takes a list for stale at the very second of its nextUpdate.
            path.valid.end_at(end - Duration::from_secs(1));
        }
        return Ok(RevocationStatus::NotRevoked);
    };
    if !is_about_lists(&error) {
        return Err(connection_refusal(&error));
    }
    // An old list does not clear anybody, but whom it names stays revoked.
    match (ask(UnknownStatusPolicy::Allow, ExpirationPolicy::Ignore), stale) {
        (Err(error), _) if !is_about_lists(&error) => Err(connection_refusal(&error)),
        (_, StaleCrl::Refuse) => Err(ConnectionRefusal::RevocationUnknown),
        (_, StaleCrl::Warn) => Ok(RevocationStatus::Unknown),
    }
}

/// Whether the list's issuer issued a certificate of the path.
fn is_of(list: &RevocationList, leaf: &EndEntityCert<'_>, path: &Path<'_>) -> bool {
    let is_subject =
        |der| EndEntityCert::try_from(der).is_ok_and(|above| above.subject() == list.issuer());
    leaf.issuer() == list.issuer()
        || path.anchor.is_named(list.issuer())
        || path.intermediates.iter().any(is_subject)
}

/// Whether it says that no list could answer, and not what a list answered.
fn is_about_lists(error: &webpki::Error) -> bool {
    use webpki::Error;
    matches!(
        error,
        Error::UnknownRevocationStatus
            | Error::CrlExpired { .. }
            | Error::InvalidCrlSignatureForPublicKey
            | Error::UnsupportedCrlSignatureAlgorithmContext(_)
            | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_)
            | Error::IssuerNotCrlSigner
    )
}
