//! Who called and how, where trusted proxies stand between.
//!
//! In: the headers of a request whose peer is trusted to speak for others. Out: the address that the
//! outermost trusted proxy saw, read from the end of `X-Forwarded-For`, and scheme and port. Pure
//! functions; what a stranger wrote in front of that address is never looked at.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Networks;
use crate::upstream::headers::{X_FORWARDED_FOR, X_FORWARDED_PORT, X_FORWARDED_PROTO};

/// Walks from the right over trusted addresses; the first other one is the caller. What is no
/// address ends the walk at the last good one, and so does the beginning of the list.
pub(super) fn caller(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    let mut caller = peer;
    // RFC 9110 section 5.3: several lines are one list, in their order.
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    for entry in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
        if !trusted.contains(caller) {
            break;
        }
        let Some(address) = address(entry) else { break };
        caller = address;
    }
    caller
}

/// With or without a port, as different proxies write it.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let address = text.parse().ok().or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}

/// What a proxy in front of plain HTTP says that the caller spoke, if it says one of the two.
pub(super) fn proto(headers: &HeaderMap) -> HeaderValue {
    match only(headers, &X_FORWARDED_PROTO) {
        Some(b"http") => HeaderValue::from_static("http"),
        _ => HTTPS,
    }
}

/// The port that such a proxy says was connected to.
pub(super) fn port(headers: &HeaderMap) -> Option<HeaderValue> {
    let digits = str::from_utf8(only(headers, &X_FORWARDED_PORT)?).ok()?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = digits.parse().ok().filter(|_| is_plain)?;
    Some(HeaderValue::from(port))
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let only = values.next()?;
    values.next().is_none().then_some(only.as_bytes())
}

/// What is true of every caller that speaks TLS with us.
pub(super) const HTTPS: HeaderValue = HeaderValue::from_static("https");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn called(lines: &[&str]) -> String {
        let networks = ["10.0.0.0/8", "2001:db8::/32"];
        let trusted = networks.iter().map(|text| text.parse().expect("a network")).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(line).expect("a value"));
        }
        caller(IpAddr::from([10, 0, 0, 1]), &headers, &trusted).to_string()
    }

    #[test]
    fn the_first_untrusted_address_from_the_right_is_the_caller() {
        for (lines, expected) in [
            (&[][..], "10.0.0.1"),
            (&["203.0.113.5"], "203.0.113.5"),
            (&["1.1.1.1, 203.0.113.5"], "203.0.113.5"),
            (&["1.1.1.1, 203.0.113.5, 10.0.0.7,10.0.0.8"], "203.0.113.5"),
            (&["1.1.1.1", "203.0.113.5,10.0.0.7", "10.0.0.8"], "203.0.113.5"),
            (&["1.1.1.1, 2001:db8::7, 10.0.0.7"], "1.1.1.1"),
            (&["10.9.9.9, 10.0.0.7"], "10.9.9.9"),
            (&["203.0.113.5:1234"], "203.0.113.5"),
            (&["[2a00::1]:1234"], "2a00::1"),
            (&["[2a00::1]"], "2a00::1"),
            (&["2a00::1\t"], "2a00::1"),
            (&["1.1.1.1, ::ffff:10.0.0.7"], "1.1.1.1"),
            (&["::ffff:203.0.113.5"], "203.0.113.5"),
        ] {
            assert_eq!(called(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn scheme_and_port_are_taken_if_they_are_said_once_and_make_sense() {
        let said = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let port = port(&headers);
            let port = port.map(|port| port.to_str().expect("digits").to_owned());
            (proto(&headers).to_str().expect("a word").to_owned(), port)
        };
        let (proto, port) = ("x-forwarded-proto", "x-forwarded-port");
        let https = |port: Option<&str>| ("https".to_owned(), port.map(str::to_owned));

        assert_eq!(said(&[]), https(None));
        assert_eq!(said(&[(proto, "https"), (port, "443")]), https(Some("443")));
        assert_eq!(said(&[(proto, "http")]), ("http".to_owned(), None));
        for other in ["HTTP", "ws", "http, https", ""] {
            assert_eq!(said(&[(proto, other)]), https(None), "{other}");
        }
        assert_eq!(said(&[(proto, "http"), (proto, "http")]), https(None));
        for other in ["65536", "443, 80", "+80", "x", ""] {
            assert_eq!(said(&[(port, other)]), https(None), "{other}");
        }
    }

    #[test]
    fn what_is_no_address_ends_the_walk_at_the_last_good_one() {
        for (lines, expected) in [
            (&["1.1.1.1, unknown"][..], "10.0.0.1"),
            (&["1.1.1.1, _hidden, 10.0.0.7"], "10.0.0.7"),
            (&["1.1.1.1,, 10.0.0.7"], "10.0.0.7"),
            (&["1.1.1.1, "], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&["1.1.1.1 2.2.2.2"], "10.0.0.1"),
            (&["1.1.1.1;10.0.0.7"], "10.0.0.1"),
            (&["1.1.1.1, 010.0.0.7"], "10.0.0.1"),
            (&["1.1.1.1, \"10.0.0.7\""], "10.0.0.1"),
        ] {
            assert_eq!(called(lines), expected, "{lines:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Whatever a stranger claims, the proxy that it called writes its address behind that.
        #[test]
        fn no_claim_moves_the_address_that_a_trusted_proxy_saw(
            reserved in prop::collection::vec("[ -~]{0,40}|10\\.0\\.0\\.[0-9]|203\\.0\\.113\\.9", 0..5),
            proxies in prop::collection::vec("10\\.0\\.0\\.[0-9]", 0..3),
        ) {
            let behind = [vec!["203.0.113.5".to_owned()], proxies].concat().join(", ");
            let mut lines: Vec<&str> = reserved.iter().map(String::as_str).collect();
            lines.push(&behind);
            prop_assert_eq!(called(&lines), "203.0.113.5");
            let joined = lines.join(",");
            prop_assert_eq!(called(&[&joined]), "203.0.113.5");
        }
    }
}
