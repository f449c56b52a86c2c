//! Whether a request is meant for this machine, after the host that it names.
//!
//! A loopback address keeps other machines away, but not the browser of somebody who sits at this
//! one: a web page can have its own name point at 127.0.0.1 (DNS rebinding), and its scripts then
//! read answers as if they were its own. What gives such a request away is the page's name in
//! `Host`. So only names that no page of the internet can have are answered.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::HOST;
use http::{Request, Version};

/// What a request says of the host that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedHost {
    /// This machine, or none where HTTP/1.0 allows for that; no browser leaves it out.
    Local,
    /// Some other one.
    Foreign,
    /// None, or several (RFC 9112 section 3.2).
    Malformed,
}

impl NamedHost {
    /// Of the target's authority and of `Host`, each that is there counts.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let mut hosts = request.headers().get_all(HOST).iter();
        let (host, second) = (hosts.next(), hosts.next());
        let may_be_absent = request.version() == Version::HTTP_10;
        if second.is_some() || (host.is_none() && !may_be_absent) {
            return Self::Malformed;
        }
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let host = host.map(http::HeaderValue::as_bytes);
        match target.into_iter().chain(host).all(is_local) {
            true => Self::Local,
            false => Self::Foreign,
        }
    }
}

/// `localhost`, a name below it (RFC 6761 section 6.3), or a loopback address, with any port: a
/// tunnel (`ssh -L`) has one of its own.
fn is_local(authority: &[u8]) -> bool {
    let Ok(authority) = std::str::from_utf8(authority) else { return false };
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let is_loopback = address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
        return is_loopback && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    is_port(port) && is_local_name(host)
}

fn is_local_name(host: &str) -> bool {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return address.is_loopback();
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let (below, top) =
        host.rsplit_once('.').map_or((None, host), |(below, top)| (Some(below), top));
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    top.eq_ignore_ascii_case("localhost")
        && below.is_none_or(|below| below.split('.').all(is_label))
}

/// Digits, or nothing (RFC 3986 section 3.2.3).
fn is_port(port: &str) -> bool {
    port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_of_this_machine_are_local_and_no_others() {
        for local in [
            "localhost",
            "LocalHost:9180",
            "localhost.",
            "localhost:",
            "hub-1.my_pod.localhost:80",
            "127.0.0.1",
            "127.255.0.3:65535",
            "[::1]",
            "[0:0:0:0:0:0:0:1]:9180",
        ] {
            assert!(is_local(local.as_bytes()), "{local}");
        }
        for foreign in [
            "",
            ":9180",
            ".",
            ".localhost",
            "a..localhost",
            "localhost..",
            "evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "evil.example@localhost",
            "evil.example/.localhost",
            "evil.example:80.localhost",
            "localhost:x",
            "localhost:123456",
            "localhost:80:80",
            "localhost evil.example",
            "localhost,evil.example",
            "128.0.0.1",
            "0.0.0.0",
            "127.1",
            "0127.0.0.1",
            "2130706433",
            "192.168.0.1:9180",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[fe80::1]",
            "[localhost]",
        ] {
            assert!(!is_local(foreign.as_bytes()), "{foreign}");
        }
        assert!(!is_local(b"\xff.localhost"));
    }
}
