//! `Forwarded` (RFC 7239): whom a request came from, in one header.

use std::fmt::Write as _;
use std::net::IpAddr;

use http::HeaderValue;

/// One element: the caller's address, the host that it asked for, and the protocol.
///
/// `None` if it cannot be written, which no address and no host that was matched comes to.
pub(super) fn forwarded(
    address: &HeaderValue,
    host: &HeaderValue,
    protocol: &HeaderValue,
) -> Option<HeaderValue> {
    let mut value = match address.to_str().ok()?.parse() {
        Ok(IpAddr::V4(address)) => format!("for={address}"),
        // RFC 7239 section 6: the brackets are no characters of a token.
        Ok(IpAddr::V6(address)) => format!("for=\"[{address}]\""),
        Err(_no_address) => "for=unknown".to_owned(),
    };
    let host = host.to_str().ok().filter(|host| !host.contains(['"', '\\']));
    let _infallible = match host {
        Some(host) if host.bytes().all(is_of_a_token) => write!(value, ";host={host}"),
        Some(host) => write!(value, ";host=\"{host}\""),
        None => Ok(()),
    };
    let protocol = protocol.to_str().ok()?;
    let _infallible = write!(value, ";proto={protocol}");
    HeaderValue::try_from(value).ok()
}

/// Those that a host can have; RFC 9110 section 5.6.2 has more.
fn is_of_a_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(address: &'static str, host: &'static str) -> String {
        let [address, host] = [address, host].map(HeaderValue::from_static);
        let value =
            forwarded(&address, &host, &HeaderValue::from_static("https")).expect("can be written");
        value.to_str().expect("is ASCII").to_owned()
    }

    #[test]
    fn what_is_no_token_is_quoted() {
        assert_eq!(
            shown("192.0.2.1", "hooks.example"),
            "for=192.0.2.1;host=hooks.example;proto=https"
        );
        assert_eq!(
            shown("2001:db8::1", "hooks.example:444"),
            "for=\"[2001:db8::1]\";host=\"hooks.example:444\";proto=https"
        );
        assert_eq!(shown("192.0.2.1", "[::1]"), "for=192.0.2.1;host=\"[::1]\";proto=https");
    }

    #[test]
    fn nothing_can_end_its_quotes_or_add_a_pair() {
        assert_eq!(shown("a;proto=http", "a\";for=\"b"), "for=unknown;proto=https");
        assert_eq!(shown("unknown", "a;b"), "for=unknown;host=\"a;b\";proto=https");
    }
}
