//! The configuration as written. No rule lives here; see [`super`].
//!
//! In: the tables of a document. Out: the same values in Rust's types, each with its place, the
//! defaults filled in. A key stands here once, with its default; `config.toml` gives the reasons.

use super::choices::{Demand, Enforcement, LogFormat, LogLevel, Verification};
use super::document::{Item, Table};
use super::fault::Fault;
use super::findings::{At, Written};

mod client_certificate;
mod server;
mod upstream;

pub(super) use self::client_certificate::{RawClientCertificate, RawCrl, RawTrustAnchor};
pub(super) use self::server::{PemFile, RawServer};
pub(super) use self::upstream::{IdentityHeaderNames, RawHealthCheck, RawUpstream, RawUpstreamTls};

/// The whole file as written.
#[derive(Debug)]
pub(super) struct File {
    pub(super) server: Option<RawServer>,
    /// `Some(None)`: not there.
    pub(super) client_certificate: Option<Option<RawClientCertificate>>,
    pub(super) limits: Option<RawLimits>,
    pub(super) reload: Option<RawReload>,
    pub(super) upstreams: Vec<RawUpstream>,
    pub(super) webhooks: Vec<RawWebhook>,
    pub(super) sites: Vec<RawSite>,
    pub(super) redirect: Option<RawRedirect>,
    pub(super) admin: Option<RawAdmin>,
    pub(super) log: Option<RawLog>,
}

impl File {
    pub(super) fn read(table: &mut Table<'_, '_>) -> Self {
        Self {
            server: table.section("server", RawServer::read),
            client_certificate: match table.optional("client_certificate") {
                Some(item) => item.table(RawClientCertificate::read).map(Some),
                None => Some(None),
            },
            limits: table.section("limits", RawLimits::read),
            reload: table.section("reload", RawReload::read),
            upstreams: entries(table.required("upstream"), RawUpstream::read),
            webhooks: entries(table.required("webhook"), RawWebhook::read),
            sites: entries(table.optional("site"), RawSite::read),
            redirect: table.optional("redirect").and_then(|item| item.table(RawRedirect::read)),
            admin: table.section("admin", RawAdmin::read),
            log: table.section("log", RawLog::read),
        }
    }
}

/// `[limits]` as written.
#[derive(Debug)]
pub(super) struct RawLimits {
    pub(super) connections: Written<i64>,
    /// `None`: half of all.
    pub(super) unproven_connections: Option<Written<i64>>,
    /// `None`: half of all.
    pub(super) connections_per_network: Option<Written<i64>>,
    pub(super) handshakes: Written<i64>,
    pub(super) handshake_timeout_ms: Written<i64>,
    pub(super) header_timeout_ms: Written<i64>,
    pub(super) header_max_count: Written<i64>,
    pub(super) header_max_bytes: Written<i64>,
    pub(super) body_timeout_ms: Written<i64>,
    pub(super) body_max_bytes: Written<i64>,
    pub(super) body_memory_bytes: Written<i64>,
    pub(super) response_memory_bytes: Written<i64>,
    pub(super) write_timeout_ms: Written<i64>,
    pub(super) keep_alive_timeout_ms: Written<i64>,
    pub(super) requests_per_connection: Written<i64>,
    pub(super) requests_in_flight: Written<i64>,
    /// `None`: a quarter of `unproven_connections`.
    pub(super) site_requests_in_flight: Option<Written<i64>>,
    /// `None`: an eighth of `unproven_connections`.
    pub(super) tunnels: Option<Written<i64>>,
    pub(super) h2_concurrent_streams: Written<i64>,
    pub(super) h2_pending_resets: Written<i64>,
    pub(super) h2_control_frames: Written<i64>,
}

impl RawLimits {
    fn read(table: &mut Table<'_, '_>) -> Self {
        Self {
            connections: table.number_or("connections", 8_192),
            unproven_connections: table.optional("unproven_connections").and_then(Item::number),
            connections_per_network: table
                .optional("connections_per_network")
                .and_then(Item::number),
            handshakes: table.number_or("handshakes", 2_048),
            handshake_timeout_ms: table.number_or("handshake_timeout_ms", 10_000),
            header_timeout_ms: table.number_or("header_timeout_ms", 10_000),
            header_max_count: table.number_or("header_max_count", 100),
            header_max_bytes: table.number_or("header_max_bytes", 32_768),
            body_timeout_ms: table.number_or("body_timeout_ms", 20_000),
            body_max_bytes: table.number_or("body_max_bytes", 4_194_304),
            body_memory_bytes: table.number_or("body_memory_bytes", 134_217_728),
            response_memory_bytes: table.number_or("response_memory_bytes", 67_108_864),
            write_timeout_ms: table.number_or("write_timeout_ms", 30_000),
            keep_alive_timeout_ms: table.number_or("keep_alive_timeout_ms", 75_000),
            requests_per_connection: table.number_or("requests_per_connection", 10_000),
            requests_in_flight: table.number_or("requests_in_flight", 2_048),
            site_requests_in_flight: table
                .optional("site_requests_in_flight")
                .and_then(Item::number),
            tunnels: table.optional("tunnels").and_then(Item::number),
            h2_concurrent_streams: table.number_or("h2_concurrent_streams", 100),
            h2_pending_resets: table.number_or("h2_pending_resets", 20),
            h2_control_frames: table.number_or("h2_control_frames", 1_000),
        }
    }
}

/// `[reload]` as written.
#[derive(Debug)]
pub(super) struct RawReload {
    pub(super) watch: bool,
    pub(super) watch_interval_ms: Written<i64>,
}

impl RawReload {
    fn read(table: &mut Table<'_, '_>) -> Self {
        Self {
            watch: table.flag_or("watch", false),
            watch_interval_ms: table.number_or("watch_interval_ms", 5_000),
        }
    }
}

/// One `[[webhook]]` as written.
#[derive(Debug)]
pub(super) struct RawWebhook {
    pub(super) at: At,
    pub(super) name: Option<Written<String>>,
    pub(super) path: Option<Written<String>>,
    pub(super) host: Option<Written<String>>,
    pub(super) upstream: Option<Written<String>>,
    pub(super) app_secrets: Vec<RawSecret>,
    /// `None`: not there.
    pub(super) verify_token: Option<Written<Vec<RawSecret>>>,
    pub(super) verification: Verification,
    pub(super) client_certificate: Written<Demand>,
    /// `None`: the same as for events.
    pub(super) verification_client_certificate: Option<Written<Demand>>,
    pub(super) signature: Written<Enforcement>,
    /// `None`: however long none comes.
    pub(super) quiet_alarm_ms: Option<Written<i64>>,
    /// `None`: the one of `[limits]`.
    pub(super) body_max_bytes: Option<Written<i64>>,
}

impl RawWebhook {
    fn read(table: &mut Table<'_, '_>) -> Self {
        let at = table.at().clone();
        let required = Written { value: Demand::Required, at: at.child("client_certificate") };
        let enforce = Written { value: Enforcement::Enforce, at: at.child("signature") };
        Self {
            name: table.optional("name").and_then(Item::text),
            path: table.required("path").and_then(Item::text),
            host: table.optional("host").and_then(Item::text),
            upstream: table.required("upstream").and_then(Item::text),
            app_secrets: table
                .required("app_secrets")
                .and_then(|item| item.one_or_list(RawSecret::read))
                .map_or_else(Vec::new, |list| list.value),
            verify_token: table
                .optional("verify_token")
                .and_then(|item| item.one_or_list(RawSecret::read)),
            verification: table
                .choice("verification", VERIFICATIONS)
                .map_or(Verification::Answer, |choice| choice.value),
            client_certificate: table.choice("client_certificate", DEMANDS).unwrap_or(required),
            verification_client_certificate: table
                .choice("verification_client_certificate", DEMANDS),
            signature: table.choice("signature", ENFORCEMENTS).unwrap_or(enforce),
            quiet_alarm_ms: table.optional("quiet_alarm_ms").and_then(Item::number),
            body_max_bytes: table.optional("body_max_bytes").and_then(Item::number),
            at,
        }
    }
}

/// One `[[site]]` as written.
#[derive(Debug)]
pub(super) struct RawSite {
    pub(super) name: Option<Written<String>>,
    pub(super) path: Written<String>,
    pub(super) is_prefix: bool,
    pub(super) host: Option<Written<String>>,
    pub(super) methods: Vec<Written<String>>,
    pub(super) except: Vec<Written<String>>,
    pub(super) websocket: bool,
    pub(super) upstream: Option<Written<String>>,
    pub(super) body_max_bytes: Written<i64>,
    pub(super) timeout_ms: Written<i64>,
    pub(super) idle_timeout_ms: Written<i64>,
}

impl RawSite {
    fn read(table: &mut Table<'_, '_>) -> Self {
        let root = Written { value: "/".to_owned(), at: table.at().child("path") };
        Self {
            name: table.optional("name").and_then(Item::text),
            path: table.optional("path").map_or(Some(root.clone()), Item::text).unwrap_or(root),
            is_prefix: table.choice("match", MATCHES).is_none_or(|choice| choice.value),
            host: table.optional("host").and_then(Item::text),
            methods: texts(table.optional("methods")).unwrap_or_default(),
            except: texts(table.optional("except")).unwrap_or_default(),
            websocket: table.flag_or("websocket", false),
            upstream: table.required("upstream").and_then(Item::text),
            body_max_bytes: table.number_or("body_max_bytes", 67_108_864),
            timeout_ms: table.number_or("timeout_ms", 60_000),
            idle_timeout_ms: table.number_or("idle_timeout_ms", 60_000),
        }
    }
}

/// `[redirect]` as written.
#[derive(Debug)]
pub(super) struct RawRedirect {
    pub(super) listen: Vec<Written<String>>,
    pub(super) https_port: Written<i64>,
    pub(super) acme_directory: Option<Written<String>>,
}

impl RawRedirect {
    fn read(table: &mut Table<'_, '_>) -> Self {
        Self {
            listen: texts(table.required("listen")).unwrap_or_default(),
            https_port: table.number_or("https_port", 443),
            acme_directory: table.optional("acme_directory").and_then(Item::text),
        }
    }
}

/// One secret as written: where it is, never what it is.
#[derive(Debug)]
pub(super) struct RawSecret {
    pub(super) at: At,
    pub(super) file: Option<Written<String>>,
    pub(super) env: Option<Written<String>>,
    pub(super) credential: Option<Written<String>>,
    pub(super) label: Option<Written<String>>,
}

impl RawSecret {
    pub(super) fn read(item: Item<'_, '_>) -> Option<Self> {
        if item.is_text() {
            return item.refuse(Fault::InlineSecret);
        }
        item.table(|table| Self {
            at: table.at().clone(),
            file: table.optional("file").and_then(Item::text),
            env: table.optional("env").and_then(Item::text),
            credential: table.optional("credential").and_then(Item::text),
            label: table.optional("label").and_then(Item::text),
        })
    }
}

/// `[admin]` as written.
#[derive(Debug)]
pub(super) struct RawAdmin {
    pub(super) enabled: bool,
    pub(super) listen: Written<String>,
}

impl RawAdmin {
    fn read(table: &mut Table<'_, '_>) -> Self {
        let at = table.at().child("listen");
        let listen = table.optional("listen").and_then(Item::text);
        Self {
            enabled: table.flag_or("enabled", true),
            listen: listen.unwrap_or(Written { value: "127.0.0.1:9180".to_owned(), at }),
        }
    }
}

/// `[log]` as written.
#[derive(Debug)]
pub(super) struct RawLog {
    pub(super) format: LogFormat,
    pub(super) level: LogLevel,
    pub(super) access: bool,
    pub(super) expiry_warning_days: Vec<Written<i64>>,
}

impl RawLog {
    fn read(table: &mut Table<'_, '_>) -> Self {
        let at = table.at().child("expiry_warning_days");
        let days = table.optional("expiry_warning_days");
        let days = days.and_then(|item| item.list(|days| days.number())).map(|list| list.value);
        let written = |value| Written { value, at: at.clone() };
        let format = table.choice("format", FORMATS);
        let level = table.choice("level", LEVELS);
        Self {
            format: format.map_or(LogFormat::Auto, |choice| choice.value),
            level: level.map_or(LogLevel::Info, |choice| choice.value),
            access: table.flag_or("access", true),
            expiry_warning_days: days.unwrap_or_else(|| [60, 30, 7, 1].map(written).into()),
        }
    }
}

/// The tables of a list such as `[[webhook]]`.
fn entries<T>(item: Option<Item<'_, '_>>, read: fn(&mut Table<'_, '_>) -> T) -> Vec<T> {
    item.and_then(|item| item.list(|entry| entry.table(read)))
        .map_or_else(Vec::new, |list| list.value)
}

/// The texts of a list; `None` if it is not there, or not a list.
fn texts(item: Option<Item<'_, '_>>) -> Option<Vec<Written<String>>> {
    Some(item?.list(|entry| entry.text())?.value)
}

const VERIFICATIONS: &[(&str, Verification)] = &[
    ("answer", Verification::Answer),
    ("forward", Verification::Forward),
    ("off", Verification::Off),
];

const ENFORCEMENTS: &[(&str, Enforcement)] =
    &[("enforce", Enforcement::Enforce), ("report", Enforcement::Report)];

const MATCHES: &[(&str, bool)] = &[("prefix", true), ("exact", false)];

const DEMANDS: &[(&str, Demand)] = &[("required", Demand::Required), ("none", Demand::None)];

const FORMATS: &[(&str, LogFormat)] =
    &[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];
