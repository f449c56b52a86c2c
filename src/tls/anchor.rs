//! A trust anchor: a certificate of a CA, as the operator put it into a file.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::certificate::CertificateFacts;

/// One certificate that may vouch for callers.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// What logs and metrics call it.
    pub label: Arc<str>,
    /// The file it stands in.
    pub path: PathBuf,
    /// Its readable side.
    pub facts: CertificateFacts,
    /// How many intermediates its basic constraints allow below it.
    pub(super) path_len: Option<u32>,
    /// Its key usage and extended key usage, where stated, allow for it.
    pub(super) may_vouch_for_clients: bool,
    pub(super) root: TrustAnchor<'static>,
    pub(super) der: CertificateDer<'static>,
}

impl Anchor {
    /// Whether its subject is this raw name, as webpki has it.
    pub(super) fn is_named(&self, name: &[u8]) -> bool {
        self.root.subject.as_ref() == name
    }

    /// The certificate itself.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Whether its own key usage and purposes, where stated, let it vouch for callers.
    pub fn may_vouch_for_clients(&self) -> bool {
        self.may_vouch_for_clients
    }
}
