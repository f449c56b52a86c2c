//! `proxy_set_header`: what the application is told about the caller.

use super::ledger::{Ledger, Outcome, Section};
use super::parse::Directive;
use super::scope::Scope;
use super::value::{variable, variables};

/// Whether nginx sends the upstream's own name as `Host`, which it does unless told otherwise.
pub(super) fn sends_own_host(scope: &Scope<'_>) -> bool {
    let headers = scope.all("proxy_set_header");
    let host = headers.iter().find(|header| is_named(header, "host"));
    match host.and_then(|header| header.arguments.get(1)).map(String::as_str) {
        None | Some("$proxy_host") => true,
        Some(_) => false,
    }
}

/// What nginx makes of a request for a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Websocket {
    /// It passes it on.
    Passed,
    /// It passes it on if it speaks HTTP/1.1 to the application, which its version decides.
    Unclear,
    /// It makes an ordinary request of it.
    Dropped,
}

/// Both headers of an upgrade are needed, and HTTP/1.1, which was not the default before nginx 1.29.7.
pub(super) fn websocket(scope: &Scope<'_>) -> Websocket {
    let headers = scope.all("proxy_set_header");
    let says = |name: &str, word: &str| {
        let header = headers.iter().find(|header| is_named(header, name));
        let value = header.and_then(|header| header.arguments.get(1));
        value.is_some_and(|value| can_be(value, &format!("http_{name}"), word, scope))
    };
    if !says("upgrade", "websocket") || !says("connection", "upgrade") {
        return Websocket::Dropped;
    }
    match scope.argument("proxy_http_version") {
        Some("1.1") => Websocket::Passed,
        None => Websocket::Unclear,
        Some(_) => Websocket::Dropped,
    }
}

/// Whether a header's value can have this word: it is written, or comes from the caller's own header,
/// or from a `map`.
fn can_be(value: &str, own_header: &str, word: &str, scope: &Scope<'_>) -> bool {
    let has_word = |text: &str| text.split(',').any(|item| item.trim().eq_ignore_ascii_case(word));
    let Some(name) = variable(value) else { return has_word(value) };
    let is_own = |text: &str| variable(text) == Some(own_header);
    let is_its_map = |directive: &&Directive| {
        let result = directive.arguments.get(1).and_then(|result| variable(result));
        directive.name == "map" && result == Some(name)
    };
    let maps = scope.everything().filter(is_its_map);
    let mut values = maps.flat_map(Directive::children).map(Directive::argument);
    name == own_header || values.any(|value| is_own(value) || has_word(value))
}

/// What of the client certificate goes into which header: keys of `identity_header_names`.
pub(super) fn identity(scope: &Scope<'_>, ledger: &Ledger) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for header in scope.all("proxy_set_header") {
        let Some(role) = role(header) else { continue };
        let name = header.argument();
        let is_free = |(known, other): &(&str, String)| *known != role && !is_the_same(other, name);
        if ledger.may_name_identity(name) && found.iter().all(is_free) {
            found.push((role, name.to_owned()));
        }
    }
    found
}

/// Settles every `proxy_set_header` in force.
pub(super) fn settle(scope: &Scope<'_>, section: Section, ledger: &mut Ledger) {
    let identity = identity(scope, ledger);
    for header in scope.all("proxy_set_header") {
        let value = header.arguments.get(1).map_or("", String::as_str);
        let (outcome, note) = match role(header) {
            Some(role) => of_identity(
                role,
                header,
                value,
                &identity,
                ledger.may_name_identity(header.argument()),
            ),
            None => of_other(header, value, scope),
        };
        ledger.settle(header, section, outcome, note);
    }
}

fn of_identity(
    role: &'static str,
    header: &Directive,
    value: &str,
    identity: &[(&'static str, String)],
    is_usable: bool,
) -> (Outcome, String) {
    if !is_usable {
        let note = "this header says something else, or no caller may send it: let the application \
                    read what of the certificate it needs under another name";
        return (Outcome::Missing, note.to_owned());
    }
    if !identity.contains(&(role, header.argument().to_owned())) {
        let note = format!(
            "`identity_header_names` has one name for `{role}`; let the application read that one"
        );
        return (Outcome::Missing, note);
    }
    let note = match value {
        "$ssl_client_cert" | "$ssl_client_raw_cert" => {
            "as `identity_header_names.certificate`, encoded as `$ssl_client_escaped_cert` is, \
             for a header has one line"
        }
        "$ssl_client_s_dn_legacy" | "$ssl_client_i_dn_legacy" => {
            "in the form of RFC 2253 (`CN=..,O=..`), not in that with slashes: see that the \
             application reads it"
        }
        _ => return (Outcome::Carried, format!("identity_header_names.{role}")),
    };
    (Outcome::Uncertain, note.to_owned())
}

fn of_other(header: &Directive, value: &str, scope: &Scope<'_>) -> (Outcome, String) {
    let name = header.argument().to_ascii_lowercase();
    let (outcome, note) = match (name.as_str(), value) {
        ("host", "$host" | "$http_host" | "$host:$server_port") => {
            (Outcome::Carried, "the caller's `Host` is kept: host_header = \"preserve\"")
        }
        ("host", "$proxy_host") => (Outcome::Carried, "host_header = \"upstream\""),
        ("host", _) => (
            Outcome::Missing,
            "`Host` is the caller's or the upstream's own name (`host_header`); let the \
             application take one of these",
        ),
        ("x-forwarded-for", _) => (
            Outcome::Stricter,
            "always set; what the caller itself claims is dropped, unless it comes from \
             `server.trusted_proxies`",
        ),
        ("x-forwarded-proto" | "x-forwarded-host" | "x-forwarded-port", _) => {
            (Outcome::Carried, "always set, to what is true")
        }
        ("x-request-id", _) => (Outcome::Carried, "always set, also in the logs"),
        ("connection" | "upgrade", _) => match websocket(scope) {
            Websocket::Passed => (
                Outcome::Carried,
                "`websocket = true` where it is a [[site]]; a webhook takes no upgrade",
            ),
            Websocket::Unclear => (
                Outcome::Uncertain,
                "nginx before 1.29.7 speaks HTTP/1.0 here, for want of `proxy_http_version 1.1`, \
                 and then WebSockets do not work: if they do, add `websocket = true` to the [[site]]",
            ),
            Websocket::Dropped => (Outcome::Carried, "connections are kept by themselves"),
        },
        ("x-real-ip", _) => (
            Outcome::Missing,
            "never sent: let the application read the last address of `X-Forwarded-For`",
        ),
        ("forwarded", _) => (
            Outcome::Missing,
            "add \"forwarded\" to `identity_headers` if the application reads it",
        ),
        _ if variables(value).any(|name| name.starts_with("ssl_")) => (
            Outcome::Missing,
            "this is not told to applications; what a caller sends under this name passes, so let \
             the application stop reading it",
        ),
        (_, "") => (
            Outcome::Missing,
            "what a caller sends under this name now passes: let the application ignore it",
        ),
        _ => (
            Outcome::Missing,
            "hubgate adds no headers of one's own, and what a caller sends under this name \
             passes: let the application not rely on it",
        ),
    };
    (outcome, note.to_owned())
}

/// Which part of the client certificate a header carries.
fn role(header: &Directive) -> Option<&'static str> {
    match variable(header.arguments.get(1)?)? {
        "ssl_client_verify" => Some("verify"),
        "ssl_client_s_dn" | "ssl_client_s_dn_legacy" => Some("subject"),
        "ssl_client_i_dn" | "ssl_client_i_dn_legacy" => Some("issuer"),
        "ssl_client_serial" => Some("serial"),
        "ssl_client_fingerprint" => Some("fingerprint"),
        "ssl_client_cert" | "ssl_client_raw_cert" | "ssl_client_escaped_cert" => {
            Some("certificate")
        }
        _ => None,
    }
}

/// As an application sees names that takes `_` for `-`.
fn is_the_same(name: &str, other: &str) -> bool {
    name.replace('_', "-").eq_ignore_ascii_case(&other.replace('_', "-"))
}

fn is_named(header: &Directive, name: &str) -> bool {
    header.argument().eq_ignore_ascii_case(name)
}
