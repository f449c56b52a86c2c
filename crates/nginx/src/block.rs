//! A `server` block: where it listens, for whom, with what.

use std::net::IpAddr;

use ipnet::IpNet;

use super::draft::{Certificate, Draft, ServerDraft};
use super::ledger::{Ledger, Outcome, Section};
use super::parse::Directive;
use super::scope::Scope;
use super::value;

/// One `server`.
#[derive(Clone, Debug)]
pub(super) struct Block<'a> {
    pub(super) directive: &'a Directive,
    pub(super) scope: Scope<'a>,
}

/// Which client certificates a block accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientVerification<'a> {
    pub(super) anchors: Vec<&'a str>,
    pub(super) depth: u64,
}

impl<'a> Block<'a> {
    /// Every `server` of an `http` block.
    pub(super) fn find(http: &Scope<'a>) -> Vec<Self> {
        let servers = http.own().iter().filter(|directive| directive.name == "server");
        servers.map(|directive| Self { directive, scope: http.inside(directive) }).collect()
    }

    /// Whether it looks at client certificates.
    pub(super) fn verifies(&self) -> bool {
        let mode = self.scope.argument("ssl_verify_client");
        mode.is_some_and(|mode| mode != "off")
    }

    /// Whether every caller must have a good client certificate.
    pub(super) fn is_strict(&self) -> bool {
        self.scope.argument("ssl_verify_client") == Some("on")
    }

    /// Whether anything of it speaks TLS.
    pub(super) fn is_tls(&self) -> bool {
        let is_ssl = |listen: &&Directive| listen.arguments.iter().any(|word| word == "ssl");
        self.scope.argument("ssl") == Some("on") || self.listens().iter().any(is_ssl)
    }

    pub(super) fn listens(&self) -> Vec<&'a Directive> {
        self.scope.own().iter().filter(|directive| directive.name == "listen").collect()
    }

    /// Its names as they are written.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let lines = self.scope.own().iter().filter(|directive| directive.name == "server_name");
        lines.flat_map(|line| line.arguments.iter().map(String::as_str)).collect()
    }

    /// Those of its names that a route's `host` can be.
    pub(super) fn hosts(&self) -> Vec<String> {
        let is_host = |name: &&str| {
            !name.is_empty()
                && *name != "_"
                && !name.starts_with('.')
                && name.split('.').all(|label| !label.is_empty())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        self.names().into_iter().filter(is_host).map(str::to_ascii_lowercase).collect()
    }

    pub(super) fn trust(&self) -> ClientVerification<'a> {
        // What OpenSSL vouches with is both; the second list is meant for stapling, so it counts
        // only where the first is missing.
        let anchors = match self.scope.all("ssl_client_certificate") {
            own if own.is_empty() => self.scope.all("ssl_trusted_certificate"),
            own => own,
        };
        let depth = self.scope.argument("ssl_verify_depth").and_then(value::number);
        ClientVerification {
            anchors: anchors.into_iter().map(Directive::argument).collect(),
            depth: depth.unwrap_or(NGINX_DEPTH),
        }
    }

    /// Addresses that both listen on.
    pub(super) fn shares_address_with(&self, other: &Self) -> bool {
        let theirs: Vec<_> = other.listens().into_iter().filter_map(address).collect();
        self.listens().into_iter().filter_map(address).any(|own| theirs.contains(&own))
    }
}

/// `listen` as `[server] listen` has it.
pub(super) fn address(listen: &Directive) -> Option<String> {
    let text = listen.argument();
    if let Some(port) = value::number(text).filter(|port| (1..=65_535).contains(port)) {
        return Some(format!("0.0.0.0:{port}"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, value::number(port)?),
        _ => (text, 80),
    };
    let host = match host {
        "*" => "0.0.0.0",
        "localhost" => "127.0.0.1",
        host => host,
    };
    let address: std::net::SocketAddr = format!("{host}:{port}").parse().ok()?;
    Some(address.to_string())
}

/// Adds an address; both wildcards of a port are one in hubgate.
pub(super) fn add_address(addresses: &mut Vec<String>, address: String) {
    let (four, six) = ("0.0.0.0:", "[::]:");
    if let Some(port) = address.strip_prefix(four)
        && addresses.contains(&format!("{six}{port}"))
    {
        return;
    }
    if let Some(port) = address.strip_prefix(six) {
        addresses.retain(|other| *other != format!("{four}{port}"));
    }
    if !addresses.contains(&address) {
        addresses.push(address);
    }
}

/// Everything of a block that goes into `[server]`; file names as `absolute` makes them.
pub(super) fn translate(
    block: &Block<'_>,
    absolute: &impl Fn(&str) -> String,
    server: &mut ServerDraft,
    ledger: &mut Ledger,
) {
    ledger.settle(block.directive, Section::Server, Outcome::Carried, "");
    for listen in block.listens() {
        translate_listen(listen, block, server, ledger);
    }
    let names = block.scope.own().iter().filter(|directive| directive.name == "server_name");
    for directive in names {
        let is_plain = block.hosts().len() == block.names().len() || block.names() == ["_"];
        let (outcome, note) = match is_plain {
            true => (
                Outcome::Stricter,
                "the names in the certificate; a `Host` that does not fit the name asked for in \
                 TLS gets 421",
            ),
            false => (
                Outcome::Uncertain,
                "wildcards and regular expressions are not taken as `host`; the names in the \
                 certificate count",
            ),
        };
        ledger.settle(directive, Section::Server, outcome, note);
    }
    translate_certificates(block, absolute, server, ledger);
    translate_versions(block, ledger);
    translate_real_ip(block, server, ledger);
}

fn translate_listen(
    listen: &Directive,
    block: &Block<'_>,
    server: &mut ServerDraft,
    ledger: &mut Ledger,
) {
    let has = |name: &str| listen.arguments.iter().skip(1).any(|word| word == name);
    if !has("ssl") && block.scope.argument("ssl") != Some("on") {
        let note = "plain HTTP is only redirected, see [redirect]; what else nginx does there is \
                    not done";
        return ledger.settle(listen, Section::Server, Outcome::Stricter, note);
    }
    let Some(address) = address(listen) else {
        let note = "hubgate listens on IP addresses with a port: write it into `listen`";
        return ledger.settle(listen, Section::Server, Outcome::Missing, note);
    };
    let port = address.rsplit_once(':').and_then(|(_, port)| value::number(port));
    add_address(&mut server.listen, address);
    let note = match port {
        Some(port) if port < 1_024 => {
            "a port below 1024: the service needs CAP_NET_BIND_SERVICE, or 8443 and a forward"
        }
        _ => "",
    };
    ledger.settle(listen, Section::Server, Outcome::Carried, note);
    if has("quic") {
        ledger.settle(listen, Section::Server, Outcome::Missing, "HTTP/3 is not spoken");
    }
    if has("proxy_protocol") {
        let trusted = block.scope.all("set_real_ip_from");
        let networks: Vec<String> =
            trusted.iter().filter_map(|directive| network(directive.argument())).collect();
        if networks.is_empty() {
            let note = "write the load balancer's networks into `proxy_protocol_from`: nginx takes \
                        the header from anybody, hubgate from nobody else";
            ledger.settle(listen, Section::Server, Outcome::Uncertain, note);
            let loopback = ["127.0.0.0/8", "::1/128"].map(str::to_owned).to_vec();
            server.proxy_protocol_from.get_or_insert(loopback);
        } else {
            let note = "the PROXY header is demanded from `proxy_protocol_from`, and refused from \
                        elsewhere";
            ledger.settle(listen, Section::Server, Outcome::Stricter, note);
            server.proxy_protocol_from = Some(networks);
        }
    }
}

/// As hubgate wants it: nginx takes bits behind the prefix, and warns.
fn network(text: &str) -> Option<String> {
    let network: IpNet = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_not_alone) => text.parse().ok()?,
    };
    Some(network.trunc().to_string())
}

fn translate_certificates(
    block: &Block<'_>,
    absolute: &impl Fn(&str) -> String,
    server: &mut ServerDraft,
    ledger: &mut Ledger,
) {
    let certificates = block.scope.all("ssl_certificate");
    let keys = block.scope.all("ssl_certificate_key");
    for (index, directive) in certificates.iter().enumerate() {
        let key = keys.get(index);
        let both = [Some(directive), key].into_iter().flatten();
        let is_file = |directive: &Directive| {
            let text = directive.argument();
            !text.contains('$') && !text.starts_with("data:") && !text.starts_with("engine:")
        };
        let (outcome, note) = match key {
            Some(key) if index == 0 && is_file(directive) && is_file(key) => {
                let pair = Certificate {
                    certificate: absolute(directive.argument()),
                    private_key: absolute(key.argument()),
                };
                if !server.certificates.contains(&pair) {
                    server.certificates.push(pair);
                }
                (Outcome::Carried, "")
            }
            _ if index > 0 => (Outcome::Missing, "one certificate a name is enough: ECDSA is best"),
            _ => (Outcome::Missing, "a certificate and its key must be in files of fixed names"),
        };
        for directive in both {
            ledger.settle(directive, Section::Server, outcome, note);
        }
    }
}

fn translate_versions(block: &Block<'_>, ledger: &mut Ledger) {
    let Some(versions) = block.scope.find("ssl_protocols") else { return };
    let has = |version: &str| versions.arguments.iter().any(|word| word == version);
    let is_old = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1"].into_iter().any(has);
    let (outcome, note) = if !has("TLSv1.2") && !is_old {
        (Outcome::Uncertain, "TLS 1.2 is spoken, too, with good cipher suites only")
    } else if is_old || !has("TLSv1.3") {
        (Outcome::Stricter, "TLS 1.2 and 1.3, nothing older")
    } else {
        (Outcome::Carried, "TLS 1.2 and 1.3 are what there is")
    };
    ledger.settle(versions, Section::Server, outcome, note);
}

fn translate_real_ip(block: &Block<'_>, server: &mut ServerDraft, ledger: &mut Ledger) {
    let scope = &block.scope;
    let header = scope.argument("real_ip_header").map(str::to_ascii_lowercase);
    for directive in scope.all("set_real_ip_from") {
        let (outcome, note) = match (network(directive.argument()), header.as_deref()) {
            (Some(network), Some("x-forwarded-for")) => {
                if !server.trusted_proxies.contains(&network) {
                    server.trusted_proxies.push(network);
                }
                (Outcome::Carried, "trusted_proxies")
            }
            (Some(_), Some("proxy_protocol")) => (Outcome::Carried, "proxy_protocol_from"),
            (Some(_), _) => (
                Outcome::Missing,
                "the caller's address is taken from the PROXY header or X-Forwarded-For only",
            ),
            (None, _) => (Outcome::Missing, "only networks such as 10.0.0.0/8 can be trusted"),
        };
        ledger.settle(directive, Section::Server, outcome, note);
    }
    if let Some(directive) = scope.find("real_ip_header") {
        let is_known = matches!(header.as_deref(), Some("x-forwarded-for" | "proxy_protocol"));
        let outcome = if is_known { Outcome::Carried } else { Outcome::Missing };
        ledger.settle(directive, Section::Server, outcome, "");
    }
    if let Some(directive) = scope.find("real_ip_recursive") {
        let note =
            "X-Forwarded-For is read from its end, over trusted addresses to the first other one";
        ledger.settle(directive, Section::Server, Outcome::Carried, note);
    }
}

/// The client certificate and the limits, which are hubgate's once and nginx's for each block.
pub(super) fn translate_trust(
    block: &Block<'_>,
    absolute: &impl Fn(&str) -> String,
    draft: &mut Draft,
    ledger: &mut Ledger,
) {
    let section = Section::ClientCertificate;
    let scope = &block.scope;
    let trust = block.trust();
    draft.trust_anchors = trust.anchors.iter().map(|path| absolute(path)).collect();
    draft.verify_depth = Some(trust.depth);
    if let Some(mode) = scope.find("ssl_verify_client") {
        let note = match mode.argument() {
            "on" => "demanded by every webhook, with its exact name and a signature besides",
            "optional" => {
                "demanded by the webhooks, not asked for by the sites; one that is presented and \
                 not good never gets through the handshake"
            }
            _ => "nginx takes any certificate here; hubgate only what an anchor vouches for",
        };
        ledger.settle(mode, section, Outcome::Stricter, note);
    }
    for directive in scope.all("ssl_client_certificate") {
        let note = "trust_anchors; nothing else is trusted. Meta signs with its own CA since 2026: \
                    see that the file has it";
        ledger.settle(directive, section, Outcome::Carried, note);
    }
    for directive in scope.all("ssl_trusted_certificate") {
        let (outcome, note) = match trust.anchors.contains(&directive.argument()) {
            true => (Outcome::Carried, "trust_anchors"),
            false => (
                Outcome::Stricter,
                "not trusted for client certificates, which nginx does, too; stapling needs no file",
            ),
        };
        ledger.settle(directive, section, outcome, note);
    }
    if let Some(depth) = scope.find("ssl_verify_depth") {
        ledger.settle(depth, section, Outcome::Carried, "verify_depth");
    }
}

/// Times and counts of `[limits]`.
pub(super) fn translate_limits(block: &Block<'_>, draft: &mut Draft, ledger: &mut Ledger) {
    let scope = &block.scope;
    let rows: [(&str, &'static str, Option<u64>); 5] = [
        ("client_header_timeout", "header_timeout_ms", time(scope, "client_header_timeout")),
        ("keepalive_timeout", "keep_alive_timeout_ms", time(scope, "keepalive_timeout")),
        ("keepalive_requests", "requests_per_connection", count(scope, "keepalive_requests")),
        (
            "http2_max_concurrent_streams",
            "h2_concurrent_streams",
            count(scope, "http2_max_concurrent_streams"),
        ),
        ("large_client_header_buffers", "header_max_bytes", header_bytes(scope)),
    ];
    for (name, key, value) in rows {
        let Some(directive) = scope.find(name) else { continue };
        let (outcome, note) = match value {
            Some(value) => {
                draft.limits.push((key, value));
                (Outcome::Carried, key.to_owned())
            }
            None => (Outcome::Uncertain, format!("there is no such `{key}`; its default is used")),
        };
        ledger.settle(directive, Section::Limits, outcome, note);
    }
}

fn time(scope: &Scope<'_>, name: &str) -> Option<u64> {
    let time = scope.argument(name).and_then(value::milliseconds);
    time.filter(|time| (1..=86_400_000).contains(time))
}

fn count(scope: &Scope<'_>, name: &str) -> Option<u64> {
    let count = scope.argument(name).and_then(value::number);
    count.filter(|count| (1..=16_777_216).contains(count))
}

fn header_bytes(scope: &Scope<'_>) -> Option<u64> {
    let directive = scope.find("large_client_header_buffers")?;
    let count = value::number(directive.argument())?;
    let bytes = count.checked_mul(value::bytes(directive.arguments.get(1)?)?)?;
    Some(bytes.clamp(8_192, 1_048_576))
}

/// What nginx takes where nothing is written.
const NGINX_DEPTH: u64 = 1;
