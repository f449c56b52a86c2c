//! Directives that need nothing of their own in hubgate, or have no counterpart, and why.
//!
//! Looked up for what no other module of this package has settled. What is not here is unknown, and an
//! unknown directive in a location counts as a restriction: the location is not opened.

use super::ledger::Outcome;

mod access;
mod process;
mod protocol;
mod response;
mod tls;
mod upstream;

/// What becomes of a directive wherever it stands.
pub(super) fn fate(name: &str) -> Option<(Outcome, &'static str)> {
    let row = TABLES.iter().copied().flatten().find(|(names, ..)| names.contains(&name));
    row.map(|(_, outcome, note)| (*outcome, *note))
}

/// Whether leaving the directive out could let in what nginx keeps out.
pub(super) fn is_restriction(name: &str) -> bool {
    RESTRICTIONS.contains(&name) || !(is_plain(name) || fate(name).is_some())
}

/// Directives that are translated elsewhere in this package, and restrict nobody.
fn is_plain(name: &str) -> bool {
    PLAIN.contains(&name)
}

const RESTRICTIONS: &[&str] = &[
    "allow",
    "deny",
    "auth_basic",
    "auth_basic_user_file",
    "auth_request",
    "internal",
    "rewrite",
    "return",
    "satisfy",
    "secure_link",
    "secure_link_md5",
    "secure_link_secret",
    "valid_referers",
];

const PLAIN: &[&str] = &[
    "client_body_timeout",
    "client_header_timeout",
    "client_max_body_size",
    "error_page",
    "if",
    "include",
    "keepalive_requests",
    "keepalive_timeout",
    "limit_except",
    "listen",
    "location",
    "map",
    "proxy_connect_timeout",
    "proxy_pass",
    "proxy_read_timeout",
    "proxy_send_timeout",
    "proxy_set_header",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
    "proxy_ssl_name",
    "proxy_ssl_server_name",
    "proxy_ssl_trusted_certificate",
    "proxy_ssl_verify",
    "real_ip_header",
    "real_ip_recursive",
    "server_name",
    "set",
    "set_real_ip_from",
    "ssl_protocols",
    "ssl_reject_handshake",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_trusted_certificate",
    "ssl_verify_client",
    "ssl_verify_depth",
    "try_files",
    "upstream",
    "server",
    "http",
    "large_client_header_buffers",
    "http2_max_concurrent_streams",
];

/// Names that share a fate: what becomes of them, and why.
type Row = (&'static [&'static str], Outcome, &'static str);

/// No name stands in two rows.
const TABLES: &[&[Row]] =
    &[process::TABLE, tls::TABLE, protocol::TABLE, access::TABLE, response::TABLE, upstream::TABLE];
