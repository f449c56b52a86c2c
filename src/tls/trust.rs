//! Builds what callers are proven against: the trust anchors, the candidates and the revocation
//! lists that a configuration names.
//!
//! In: `[client_certificate]`, checked. Out: a [`ClientTrust`], or every reason why there is none.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;

use super::anchor::Anchor;
use super::client_auth::ClientTrust;
use super::crl_cache;
use super::material::{MaterialError, read_anchors, read_revocation_lists};
use super::revocation::RevocationList;
use crate::config::{ClientCertificate, Crl, TrustAnchor};
use crate::error_code::ErrorCode;
use crate::telemetry::metrics::Metrics;

/// One reason why callers could not be proven.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file of anchors or of revocation lists is not what it should be.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// Two anchor files would have the same label.
    #[error("two trust anchors are called `{label}`; give one of their files another label")]
    AnchorLabel {
        /// The label.
        label: String,
    },
}

impl TrustError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Material(error) => error.code(),
            Self::AnchorLabel { .. } => ErrorCode::StartAnchorLabelTaken,
        }
    }
}

/// Reads every file that `settings` name.
pub(crate) fn build(
    settings: &ClientCertificate,
    algorithms: WebPkiSupportedAlgorithms,
    metrics: &Metrics,
) -> Result<ClientTrust, Vec<TrustError>> {
    let mut errors = Vec::new();
    let trusted = anchors(&settings.trust_anchors, &mut errors);
    let candidates = anchors(&settings.candidate_anchors, &mut errors);
    let mut labels = BTreeSet::new();
    for anchor in trusted.iter().chain(&candidates) {
        if !labels.insert(&anchor.label) {
            errors.push(TrustError::AnchorLabel { label: anchor.label.to_string() });
        }
    }
    // The series are there before the first handshake.
    for anchor in &trusted {
        let _at_zero = metrics.anchor(&anchor.label);
    }
    for candidate in &candidates {
        let _at_zero = metrics.candidate_matches(&candidate.label);
    }
    let names = settings.common_names.clone();
    let trust = ClientTrust::new(trusted, names, settings.verify_depth, algorithms)
        .with_candidates(candidates)
        .with_revocation(settings.crl.clone());
    install_lists(&trust, &settings.crl, &mut errors);
    if errors.is_empty() { Ok(trust) } else { Err(errors) }
}

fn anchors(files: &[TrustAnchor], errors: &mut Vec<TrustError>) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    for file in files {
        match read_anchors(&file.label, &file.path) {
            Ok(read) => anchors.extend(read),
            Err(error) => errors.push(error.into()),
        }
    }
    anchors
}

/// The lists of the configured files, all of them good, and whatever the cache has that is.
fn install_lists(trust: &ClientTrust, settings: &Crl, errors: &mut Vec<TrustError>) {
    let max_bytes = settings.max_bytes.get();
    for path in &settings.files {
        match file_lists(trust, path, max_bytes) {
            Ok(lists) => lists.into_iter().for_each(|list| _ = trust.install(&Arc::new(list))),
            Err(error) => errors.push(error.into()),
        }
    }
    let cache = settings.cache.as_ref().filter(|_| settings.is_fetched());
    for list in cache.map_or_else(Vec::new, |directory| crl_cache::load(directory, max_bytes)) {
        // Only a copy: one that is damaged or of another CA is fetched again.
        if let Ok(list) = trust.accept(list) {
            trust.install(&Arc::new(list));
        }
    }
}

fn file_lists(
    trust: &ClientTrust,
    path: &Path,
    max_bytes: usize,
) -> Result<Vec<RevocationList>, MaterialError> {
    let lists = read_revocation_lists(path, max_bytes)?;
    let accept = |(index, list)| {
        trust.accept(list).map_err(|source| MaterialError::List {
            path: path.to_owned(),
            position: index + 1,
            source,
        })
    };
    lists.into_iter().enumerate().map(accept).collect()
}
