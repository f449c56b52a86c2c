//! `[server]`: where callers connect, and what they are shown; as written.

use super::texts;
use crate::config::choices::UnknownSni;
use crate::config::document::{Item, Table};
use crate::config::findings::{At, Written};

/// `[server]` as written.
#[derive(Debug)]
pub(in crate::config) struct RawServer {
    pub(in crate::config) listen: Vec<Written<String>>,
    pub(in crate::config) certificates: Vec<RawServerCertificate>,
    pub(in crate::config) unknown_sni: UnknownSni,
    pub(in crate::config) workers: Written<i64>,
    pub(in crate::config) drain_timeout_ms: Written<i64>,
    pub(in crate::config) proxy_protocol_from: Vec<Written<String>>,
    pub(in crate::config) trusted_proxies: Vec<Written<String>>,
    pub(in crate::config) plain_listen: Vec<Written<String>>,
}

impl RawServer {
    pub(super) fn read(table: &mut Table<'_, '_>) -> Self {
        let at = table.at().child("listen");
        let everywhere = Written { value: "[::]:8443".to_owned(), at };
        Self {
            listen: texts(table.optional("listen")).unwrap_or_else(|| vec![everywhere]),
            certificates: RawServerCertificate::read_all(table),
            unknown_sni: table
                .choice("unknown_sni", UNKNOWN_SNIS)
                .map_or(UnknownSni::Default, |choice| choice.value),
            workers: table.number_or("workers", 0),
            drain_timeout_ms: table.number_or("drain_timeout_ms", 30_000),
            proxy_protocol_from: texts(table.optional("proxy_protocol_from")).unwrap_or_default(),
            trusted_proxies: texts(table.optional("trusted_proxies")).unwrap_or_default(),
            plain_listen: texts(table.optional("plain_listen")).unwrap_or_default(),
        }
    }
}

/// A certificate of the server with its key, as written.
#[derive(Debug)]
pub(in crate::config) struct RawServerCertificate {
    pub(in crate::config) certificate: Option<PemFile>,
    pub(in crate::config) private_key: Option<PemFile>,
}

impl RawServerCertificate {
    /// Either two keys of `[server]`, or `[[server.certificate]]` with these two in each.
    fn read_all(table: &mut Table<'_, '_>) -> Vec<Self> {
        let certificate = match table.required("certificate") {
            Some(item) if item.is_list() => {
                let listed = item.list(|item| item.table(Self::read));
                return listed.map_or_else(Vec::new, |list| list.value);
            }
            only => only.and_then(PemFile::read),
        };
        let private_key = table.required("private_key").and_then(PemFile::read);
        vec![Self { certificate, private_key }]
    }

    pub(super) fn read(table: &mut Table<'_, '_>) -> Self {
        Self {
            certificate: table.required("certificate").and_then(PemFile::read),
            private_key: table.required("private_key").and_then(PemFile::read),
        }
    }
}

/// Certificate or key as written: a path, or the name of a credential.
#[derive(Debug)]
pub(in crate::config) enum PemFile {
    Path(Written<String>),
    Credential(Written<String>),
}

impl PemFile {
    pub(in crate::config) fn at(&self) -> &At {
        let (Self::Path(text) | Self::Credential(text)) = self;
        &text.at
    }

    pub(super) fn read(item: Item<'_, '_>) -> Option<Self> {
        if item.is_text() {
            return item.text().map(Self::Path);
        }
        let name = item.table(|table| table.required("credential").and_then(Item::text))?;
        name.map(Self::Credential)
    }
}

const UNKNOWN_SNIS: &[(&str, UnknownSni)] =
    &[("default", UnknownSni::Default), ("refuse", UnknownSni::Refuse)];
