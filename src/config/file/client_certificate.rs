//! `[client_certificate]`: which client certificates to accept; as written.

use super::texts;
use crate::config::choices::{CertificateSource, CrlFetch, StaleCrl};
use crate::config::document::{Item, Table};
use crate::config::findings::{At, Written};

/// `[client_certificate]` as written.
#[derive(Debug)]
pub(in crate::config) struct RawClientCertificate {
    pub(in crate::config) at: At,
    /// `None`: from the handshake.
    pub(in crate::config) source: Option<Written<CertificateSource>>,
    /// `None`: not there.
    pub(in crate::config) trust_anchors: Option<Vec<RawTrustAnchor>>,
    pub(in crate::config) candidate_anchors: Vec<RawTrustAnchor>,
    pub(in crate::config) common_names: Vec<Written<String>>,
    pub(in crate::config) verify_depth: Written<i64>,
    pub(in crate::config) crl: RawCrl,
}

/// The keys of `[client_certificate]` about revocation lists, as written.
#[derive(Debug)]
pub(in crate::config) struct RawCrl {
    pub(in crate::config) files: Vec<Written<String>>,
    pub(in crate::config) fetch: CrlFetch,
    pub(in crate::config) cache: Option<Written<String>>,
    pub(in crate::config) stale: StaleCrl,
    pub(in crate::config) max_bytes: Written<i64>,
    pub(in crate::config) timeout_ms: Written<i64>,
    pub(in crate::config) refresh_min_ms: Written<i64>,
    pub(in crate::config) refresh_max_ms: Written<i64>,
}

impl RawCrl {
    pub(super) fn read(table: &mut Table<'_, '_>) -> Self {
        let fetch = table.choice("crl_fetch", CRL_FETCHES);
        let stale = table.choice("stale_crl", STALE_CRLS);
        Self {
            files: texts(table.optional("crl_files")).unwrap_or_default(),
            fetch: fetch.map_or(CrlFetch::Off, |choice| choice.value),
            cache: table.optional("crl_cache").and_then(Item::text),
            stale: stale.map_or(StaleCrl::Refuse, |choice| choice.value),
            max_bytes: table.number_or("crl_max_bytes", 1_048_576),
            timeout_ms: table.number_or("crl_timeout_ms", 10_000),
            refresh_min_ms: table.number_or("crl_refresh_min_ms", 60_000),
            refresh_max_ms: table.number_or("crl_refresh_max_ms", 3_600_000),
        }
    }
}

impl RawClientCertificate {
    pub(super) fn read(table: &mut Table<'_, '_>) -> Self {
        let at = table.at().child("common_names");
        let meta = Written { value: "client.webhooks.fbclientcerts.com".to_owned(), at };
        Self {
            at: table.at().clone(),
            source: table.choice("source", SOURCES),
            trust_anchors: table.optional("trust_anchors").map(|item| {
                item.list(RawTrustAnchor::read).map_or_else(Vec::new, |list| list.value)
            }),
            candidate_anchors: table
                .optional("candidate_anchors")
                .and_then(|item| item.list(RawTrustAnchor::read))
                .map_or_else(Vec::new, |list| list.value),
            common_names: texts(table.optional("common_names")).unwrap_or_else(|| vec![meta]),
            verify_depth: table.number_or("verify_depth", 3),
            crl: RawCrl::read(table),
        }
    }
}

/// One entry of `trust_anchors` or `candidate_anchors` as written: a path, or a table.
#[derive(Debug)]
pub(in crate::config) struct RawTrustAnchor {
    pub(in crate::config) file: Written<String>,
    pub(in crate::config) label: Option<Written<String>>,
}

impl RawTrustAnchor {
    fn read(item: Item<'_, '_>) -> Option<Self> {
        if item.is_text() {
            return Some(Self { file: item.text()?, label: None });
        }
        let (file, label) = item.table(|table| {
            let file = table.required("file").and_then(Item::text);
            (file, table.optional("label").and_then(Item::text))
        })?;
        Some(Self { file: file?, label })
    }
}

const SOURCES: &[(&str, CertificateSource)] = &[
    ("tls", CertificateSource::Tls),
    ("alb", CertificateSource::Alb),
    ("alb_passthrough", CertificateSource::AlbPassthrough),
];

const CRL_FETCHES: &[(&str, CrlFetch)] =
    &[("off", CrlFetch::Off), ("distribution_points", CrlFetch::DistributionPoints)];

const STALE_CRLS: &[(&str, StaleCrl)] = &[("refuse", StaleCrl::Refuse), ("warn", StaleCrl::Warn)];
