//! The bytes of a PROXY protocol header. A pure parser: no socket, no clock.
//!
//! In: what has arrived so far. Out: what the header says and where it ends, or that more is needed,
//! or why these bytes are none. Format: haproxy's `doc/proxy-protocol.txt`, sections 2.1 (v1) and
//! 2.2 (v2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How far the bytes have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All of them belong to the header, and it goes on.
    More,
    /// The header is whole.
    Whole {
        /// The endpoints of the connection in front, if it says them.
        endpoints: Option<Addresses>,
        /// How many of the bytes are the header's.
        length: usize,
    },
}

/// Both endpoints of the connection to whoever stands in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// They begin like none.
    Missing,
    /// They begin like one.
    Malformed,
}

/// Looks at the first bytes of a connection.
pub(super) fn parse(bytes: &[u8]) -> Result<Progress, HeaderFault> {
    if is_beginning(bytes, V1_BEGINNING) {
        v1(bytes)
    } else if is_beginning(bytes, V2_BEGINNING) {
        v2(bytes)
    } else {
        Err(HeaderFault::Missing)
    }
}

/// Whether bytes begin with `beginning`, as far as either goes.
fn is_beginning(bytes: &[u8], beginning: &[u8]) -> bool {
    bytes.iter().zip(beginning).all(|(byte, expected)| byte == expected)
}

/// Whether the whole beginning of a header is there, and so no accident.
pub(super) fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(V1_BEGINNING) || bytes.starts_with(V2_BEGINNING)
}

fn v1(bytes: &[u8]) -> Result<Progress, HeaderFault> {
    let within = bytes.get(..V1_MAX_BYTES).unwrap_or(bytes);
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < V1_MAX_BYTES {
            Ok(Progress::More)
        } else {
            Err(HeaderFault::Malformed)
        };
    };
    let line = within.get(V1_BEGINNING.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| str::from_utf8(line).ok()).ok_or(HeaderFault::Malformed)?;
    let endpoints = v1_line(line).ok_or(HeaderFault::Malformed)?;
    Ok(Progress::Whole { endpoints, length: end + 1 })
}

/// What stands between `PROXY ` and the end of the line; `None`: malformed.
fn v1_line(line: &str) -> Option<Option<Addresses>> {
    let (family, rest) = line.split_once(' ').unwrap_or((line, ""));
    if family == "UNKNOWN" {
        // Whatever follows must be ignored.
        return Some(None);
    }
    let words: Vec<&str> = rest.splitn(V1_WORDS + 1, ' ').collect();
    let [source, destination, source_port, destination_port] = words.as_slice() else {
        return None;
    };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    Some(Some(Addresses {
        source: SocketAddr::new(address(source)?, port(source_port)?),
        destination: SocketAddr::new(address(destination)?, port(destination_port)?),
    }))
}

/// Decimal, without a sign or zeros before it.
fn port(digits: &str) -> Option<u16> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| is_plain)
}

fn v2(bytes: &[u8]) -> Result<Progress, HeaderFault> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED_BYTES>() else {
        return Ok(Progress::More);
    };
    let [.., command, family, high, low] = *fixed;
    let announced = usize::from(u16::from_be_bytes([high, low]));
    let length = V2_FIXED_BYTES + announced;
    if length > V2_MAX_BYTES {
        return Err(HeaderFault::Malformed);
    }
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(HeaderFault::Malformed),
    };
    // Also of LOCAL, whose addresses nobody looks at: the least that is there to be wrong.
    let needed = match family {
        // Unspecified: no addresses that would mean anything.
        0x00 | 0x01 | 0x02 | 0x10 | 0x20 | 0x30 => 0,
        0x11 => V2_INET_BYTES,
        0x21 => V2_INET6_BYTES,
        0x31 | 0x32 => V2_UNIX_BYTES,
        // Datagrams do not come over a stream, and other values must be rejected (section 2.2).
        _ => return Err(HeaderFault::Malformed),
    };
    if !is_local && announced < needed {
        return Err(HeaderFault::Malformed);
    }
    let Some(rest) = rest.get(..announced) else { return Ok(Progress::More) };
    let endpoints = match family {
        _ if is_local => None,
        0x11 => v2_inet(rest),
        0x21 => v2_inet6(rest),
        _ => None,
    };
    Ok(Progress::Whole { endpoints, length })
}

fn v2_inet(bytes: &[u8]) -> Option<Addresses> {
    let (source, rest) = bytes.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    Some(v2_ends(Ipv4Addr::from(*source), Ipv4Addr::from(*destination), rest.first_chunk()?))
}

fn v2_inet6(bytes: &[u8]) -> Option<Addresses> {
    let (source, rest) = bytes.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    Some(v2_ends(Ipv6Addr::from(*source), Ipv6Addr::from(*destination), rest.first_chunk()?))
}

fn v2_ends(
    source: impl Into<IpAddr>,
    destination: impl Into<IpAddr>,
    ports: &[u8; 4],
) -> Addresses {
    let [a, b, c, d] = *ports;
    Addresses {
        source: SocketAddr::new(source.into(), u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination.into(), u16::from_be_bytes([c, d])),
    }
}

const V1_BEGINNING: &[u8] = b"PROXY ";
/// Section 2.1: the longest line, with its end.
const V1_MAX_BYTES: usize = 107;
/// Two addresses and two ports.
const V1_WORDS: usize = 4;

const V2_BEGINNING: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The beginning, command, family, and the length of the rest.
const V2_FIXED_BYTES: usize = 16;
const V2_INET_BYTES: usize = 12;
const V2_INET6_BYTES: usize = 36;
const V2_UNIX_BYTES: usize = 216;

/// The longest v2 header. Balancers add some hundred bytes of TLVs to the addresses, a few thousand
/// if a certificate is among them; nginx takes as many. They are skipped.
pub(super) const V2_MAX_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(source: &str, destination: &str, length: usize) -> Result<Progress, HeaderFault> {
        let (source, destination) = (source.parse().expect("s"), destination.parse().expect("d"));
        Ok(Progress::Whole { endpoints: Some(Addresses { source, destination }), length })
    }

    fn v2_header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [V2_BEGINNING, &[command, family], &length, rest].concat()
    }

    const INET: &[u8] = &[192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0x01, 0xbb];

    #[test]
    fn lines_of_version_1_are_read() {
        let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n\x16\x03";
        assert_eq!(parse(line), whole("192.0.2.7:12345", "198.51.100.1:443", 45));
        let line = b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n";
        assert_eq!(parse(line), whole("[2001:db8::7]:1", "[::1]:65535", 36));
        let unknown = Ok(Progress::Whole { endpoints: None, length: 15 });
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), unknown);
        let worst = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
        assert_eq!(worst.len(), V1_MAX_BYTES);
        let worst = parse(worst.as_bytes());
        assert_eq!(worst, Ok(Progress::Whole { endpoints: None, length: V1_MAX_BYTES }));
    }

    #[test]
    fn lines_that_are_wrong_in_any_way_are_malformed() {
        for line in [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
            "PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\0\r\n",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(HeaderFault::Malformed), "{line:?}");
        }
        let endless = format!("PROXY UNKNOWN {}\r\n", "f".repeat(92));
        assert_eq!(parse(endless.as_bytes()), Err(HeaderFault::Malformed));
    }

    #[test]
    fn headers_of_version_2_are_read_and_what_follows_the_addresses_is_skipped() {
        let tlvs = [INET, b"\x04\x00\x03abc\xea\x00\x01x"].concat();
        for rest in [INET, &tlvs] {
            let header = v2_header(0x21, 0x11, rest);
            let read = whole("192.0.2.7:12345", "198.51.100.1:443", header.len());
            assert_eq!(parse(&header), read);
            assert_eq!(parse(&[&header[..], b"\x16\x03"].concat()), read);
        }
        let six = [[0x20; 16], [0x30; 16]].concat();
        let header = v2_header(0x21, 0x21, &[&six[..], &[0, 1, 0, 2]].concat());
        let read = whole(
            "[2020:2020:2020:2020:2020:2020:2020:2020]:1",
            "[3030:3030:3030:3030:3030:3030:3030:3030]:2",
            52,
        );
        assert_eq!(parse(&header), read);
    }

    #[test]
    fn what_says_no_addresses_of_ip_leaves_the_peers_own() {
        for header in [
            v2_header(0x20, 0x00, &[]),
            v2_header(0x20, 0x11, INET),
            v2_header(0x20, 0x11, &[]),
            v2_header(0x21, 0x00, b"whatever"),
            v2_header(0x21, 0x31, &[0; 216]),
        ] {
            let length = header.len();
            assert_eq!(
                parse(&header),
                Ok(Progress::Whole { endpoints: None, length }),
                "{header:?}"
            );
        }
    }

    #[test]
    fn headers_of_version_2_that_are_wrong_in_any_way_are_malformed() {
        for header in [
            v2_header(0x11, 0x11, INET),
            v2_header(0x22, 0x11, INET),
            v2_header(0x21, 0x12, INET),
            v2_header(0x21, 0x41, INET),
            v2_header(0x20, 0xff, INET),
            v2_header(0x21, 0x11, INET.split_last().expect("has bytes").1),
            v2_header(0x21, 0x21, INET),
            v2_header(0x21, 0x31, &[0; 215]),
            v2_header(0x21, 0x11, &[0; V2_MAX_BYTES - V2_FIXED_BYTES + 1]),
        ] {
            assert_eq!(parse(&header), Err(HeaderFault::Malformed), "{header:?}");
        }
    }

    #[test]
    fn what_begins_otherwise_is_no_header() {
        for bytes in [&b"\x16\x03\x01"[..], b"GET / HTTP/1.1", b"PROXYX", b"\r\n\r\nX", b"proxy "] {
            assert_eq!(parse(bytes), Err(HeaderFault::Missing), "{bytes:?}");
            assert!(!is_header(bytes), "{bytes:?}");
        }
        assert_eq!(parse(b""), Ok(Progress::More));
        assert!(!is_header(b"PROX") && is_header(b"PROXY ") && is_header(V2_BEGINNING));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn no_bytes_make_it_panic_or_read_beyond_them(
            beginning in prop::sample::select(vec![&b""[..], V1_BEGINNING, V2_BEGINNING]),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [beginning, &rest].concat();
            if let Ok(Progress::Whole { length, .. }) = parse(&bytes) {
                prop_assert!(length <= bytes.len() && length <= V2_MAX_BYTES);
            }
        }

        /// However a good header is cut, its pieces ask for more, and what follows changes nothing.
        #[test]
        fn a_header_that_comes_in_pieces_is_the_same_header(
            source in any::<SocketAddr>(),
            port in any::<u16>(),
            tlvs in prop::collection::vec(any::<u8>(), 0..40),
            cut in any::<prop::sample::Index>(),
            is_line in any::<bool>(),
        ) {
            let destination = SocketAddr::new(source.ip(), port);
            let header = match (is_line, source.ip()) {
                (true, ip) => {
                    let family = if ip.is_ipv4() { "TCP4" } else { "TCP6" };
                    format!("PROXY {family} {ip} {ip} {} {port}\r\n", source.port()).into_bytes()
                }
                (false, IpAddr::V4(ip)) => {
                    let ports = [source.port().to_be_bytes(), port.to_be_bytes()].concat();
                    let rest = [&ip.octets()[..], &ip.octets(), &ports, &tlvs].concat();
                    v2_header(0x21, 0x11, &rest)
                }
                (false, IpAddr::V6(ip)) => {
                    let ports = [source.port().to_be_bytes(), port.to_be_bytes()].concat();
                    let rest = [&ip.octets()[..], &ip.octets(), &ports, &tlvs].concat();
                    v2_header(0x21, 0x21, &rest)
                }
            };
            let source = SocketAddr::new(source.ip(), source.port());
            let whole = Ok(Progress::Whole {
                endpoints: Some(Addresses { source, destination }),
                length: header.len(),
            });
            prop_assert_eq!(parse(&header), whole);
            prop_assert_eq!(parse(&[&header[..], b"PROXY \r\n"].concat()), whole);
            prop_assert_eq!(parse(header.split_at(cut.index(header.len())).0), Ok(Progress::More));
        }
    }
}
