//! `[[upstream]]` as written.

use super::super::choices::{Dialect, HostHeader, Repeat};
use super::super::document::{Item, Table};
use super::super::findings::{At, Written};
use super::{PemFile, RawSecret, texts};

/// One `[[upstream]]` as written.
#[derive(Debug)]
pub(in super::super) struct RawUpstream {
    pub(in super::super) name: Option<Written<String>>,
    pub(in super::super) at: At,
    pub(in super::super) url: Option<Written<String>>,
    pub(in super::super) servers: Option<Vec<Written<String>>>,
    pub(in super::super) host_header: HostHeader,
    pub(in super::super) repeat: Repeat,
    pub(in super::super) identity_headers: Vec<Written<Dialect>>,
    pub(in super::super) identity_header_names: Option<Written<IdentityHeaderNames>>,
    /// `None`: it cannot tell what is proven.
    pub(in super::super) proof: Option<RawSecret>,
    pub(in super::super) tls: RawUpstreamTls,
    /// `None`: nobody asks.
    pub(in super::super) health_check: Option<RawHealthCheck>,
    pub(in super::super) connect_timeout_ms: Written<i64>,
    pub(in super::super) timeout_ms: Written<i64>,
    pub(in super::super) idle_timeout_ms: Written<i64>,
    pub(in super::super) connections: Written<i64>,
    pub(in super::super) site_connections: Written<i64>,
    pub(in super::super) response_max_bytes: Written<i64>,
}

impl RawUpstream {
    pub(super) fn read(table: &mut Table<'_, '_>) -> Self {
        let at = table.at().child("identity_headers");
        let rfc9440 = Written { value: Dialect::Rfc9440, at };
        Self {
            name: table.required("name").and_then(Item::text),
            at: table.at().clone(),
            url: table.optional("url").and_then(Item::text),
            servers: texts(table.optional("servers")),
            host_header: table
                .choice("host_header", HOST_HEADERS)
                .map_or(HostHeader::Preserve, |choice| choice.value),
            repeat: table.choice("repeat", REPEATS).map_or(Repeat::Never, |choice| choice.value),
            identity_headers: table
                .optional("identity_headers")
                .and_then(|item| item.list(|word| word.choice(DIALECTS)))
                .map_or_else(|| vec![rfc9440], |list| list.value),
            identity_header_names: table
                .optional("identity_header_names")
                .and_then(|item| item.table(IdentityHeaderNames::read)),
            proof: table.optional("proof").and_then(RawSecret::read),
            tls: RawUpstreamTls::read(table),
            health_check: table
                .optional("health_check")
                .and_then(|item| item.table(RawHealthCheck::read)),
            connect_timeout_ms: table.number_or("connect_timeout_ms", 1_000),
            timeout_ms: table.number_or("timeout_ms", 4_000),
            idle_timeout_ms: table.number_or("idle_timeout_ms", 4_000),
            connections: table.number_or("connections", 128),
            site_connections: table.number_or("site_connections", 128),
            response_max_bytes: table.number_or("response_max_bytes", 1_048_576),
        }
    }
}

/// `health_check` as written.
#[derive(Debug)]
pub(in super::super) struct RawHealthCheck {
    pub(in super::super) path: Option<Written<String>>,
    pub(in super::super) interval_ms: Written<i64>,
    pub(in super::super) timeout_ms: Written<i64>,
    pub(in super::super) unhealthy_after: Written<i64>,
    pub(in super::super) healthy_after: Written<i64>,
}

impl RawHealthCheck {
    fn read(table: &mut Table<'_, '_>) -> Self {
        Self {
            path: table.required("path").and_then(Item::text),
            interval_ms: table.number_or("interval_ms", 5_000),
            timeout_ms: table.number_or("timeout_ms", 1_000),
            unhealthy_after: table.number_or("unhealthy_after", 2),
            healthy_after: table.number_or("healthy_after", 1),
        }
    }
}

/// The keys of `[[upstream]]` about TLS, as written.
#[derive(Debug)]
pub(in super::super) struct RawUpstreamTls {
    pub(in super::super) ca: Option<Written<String>>,
    pub(in super::super) server_name: Option<Written<String>>,
    pub(in super::super) client_certificate: Option<PemFile>,
    pub(in super::super) client_private_key: Option<PemFile>,
}

impl RawUpstreamTls {
    fn read(table: &mut Table<'_, '_>) -> Self {
        Self {
            ca: table.optional("ca").and_then(Item::text),
            server_name: table.optional("server_name").and_then(Item::text),
            client_certificate: table.optional("client_certificate").and_then(PemFile::read),
            client_private_key: table.optional("client_private_key").and_then(PemFile::read),
        }
    }
}

/// `identity_header_names` as written; what is not there is not sent.
#[derive(Debug)]
pub(in super::super) struct IdentityHeaderNames {
    pub(in super::super) verify: Option<Written<String>>,
    pub(in super::super) subject: Option<Written<String>>,
    pub(in super::super) issuer: Option<Written<String>>,
    pub(in super::super) serial: Option<Written<String>>,
    pub(in super::super) fingerprint: Option<Written<String>>,
    pub(in super::super) certificate: Option<Written<String>>,
}

impl IdentityHeaderNames {
    fn read(table: &mut Table<'_, '_>) -> Written<Self> {
        let mut name = |key| table.optional(key).and_then(Item::text);
        let value = Self {
            verify: name("verify"),
            subject: name("subject"),
            issuer: name("issuer"),
            serial: name("serial"),
            fingerprint: name("fingerprint"),
            certificate: name("certificate"),
        };
        Written { value, at: table.at().clone() }
    }
}

const HOST_HEADERS: &[(&str, HostHeader)] =
    &[("preserve", HostHeader::Preserve), ("upstream", HostHeader::Upstream)];

const REPEATS: &[(&str, Repeat)] = &[("never", Repeat::Never), ("broken", Repeat::Broken)];

const DIALECTS: &[(&str, Dialect)] = &[
    ("rfc9440", Dialect::Rfc9440),
    ("rfc9440_chain", Dialect::Rfc9440Chain),
    ("nginx", Dialect::Nginx),
    ("alb", Dialect::Alb),
    ("xfcc", Dialect::Xfcc),
    ("forwarded", Dialect::Forwarded),
];
