//! Names: what logs and metrics show, and hosts.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::fault::Fault;
use super::findings::{Findings, Written};

/// A name or a label as it will stand in logs and metrics.
pub(super) fn visible(written: &Written<String>, findings: &mut Findings) -> Option<String> {
    let fault = match &written.value {
        name if name.is_empty() => Fault::Empty,
        name if name.contains(char::is_control) => Fault::ControlCharacter,
        name => return Some(name.clone()),
    };
    findings.fault(&written.at, fault);
    None
}

/// Whether this is an IPv4 address, an IPv6 address in brackets, or a host name.
///
/// A name whose last label is a number is neither: resolvers take `127.1` and `0x7f.1` for
/// addresses (WHATWG URL standard, section 3.5, "ends in a number").
pub(super) fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let last = host.rsplit('.').next().unwrap_or(host);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let ends_in_a_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    host.len() <= MAXIMUM_HOST && !ends_in_a_number && host.split('.').all(is_label)
}

/// A label of a host name (RFC 1123 section 2.1), with the underscore that private networks use.
fn is_label(label: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAXIMUM_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(is_allowed)
}

/// RFC 1035 section 2.3.4, in text.
const MAXIMUM_HOST: usize = 253;
const MAXIMUM_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_hosts() {
        for host in ["localhost", "app_1", "a.example", "127.0.0.1", "[::1]", "1a.example", "x1"] {
            assert!(is_host(host), "{host}");
        }
    }

    #[test]
    fn other_texts_are_not_hosts() {
        let long = format!("{}.example", "a".repeat(64));
        for host in [
            "", "a..b", "a.", ".a", "-a", "a-", "a b", "::1", "[::1", "127.1", "a.0x1f", "a:1",
            "\u{e9}", &long,
        ] {
            assert!(!is_host(host), "{host}");
        }
    }
}
