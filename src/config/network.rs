//! Networks: addresses that are trusted for what they say of others.
//!
//! A set is asked on the road, so it is kept sorted: a look-up takes as many steps as the number of
//! networks has binary digits, and none for an empty set.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::error::Fault;
use super::findings::{Findings, Written};

/// A network in CIDR form, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Networks to look an address up in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// As written, in canonical form.
    list: Vec<Network>,
    /// Sorted, and without overlaps.
    v4: Vec<RangeInclusive<u32>>,
    v6: Vec<RangeInclusive<u128>>,
}

/// The text is no network, or has bits set behind its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl Network {
    /// As other programs write it: with bits behind the prefix, which do not count.
    pub fn from_sloppy(text: &str) -> Option<Self> {
        let Some((address, prefix)) = text.split_once('/') else { return text.parse().ok() };
        let (address, bits) = (address.parse::<IpAddr>().ok()?, prefix.parse().ok()?);
        let first = match address {
            IpAddr::V4(address) => {
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask_v4(bits)))
            }
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask_v6(bits)))
            }
        };
        format!("{first}/{prefix}").parse().ok()
    }

    /// Whether it is every address of its family.
    pub fn is_everybody(self) -> bool {
        self.prefix == 0
    }
}

/// Strict: `10.0.0.1/8` is refused, for it may be meant as one address or as a network.
impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_invalid| NotANetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_invalid| NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
        };
        let behind = match address {
            IpAddr::V4(address) => u128::from(address.to_bits() & !mask_v4(prefix)),
            IpAddr::V6(address) => address.to_bits() & !mask_v6(prefix),
        };
        if prefix > longest || behind != 0 {
            return Err(NotANetwork);
        }
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8, as it is when a caller comes from there.
        match address.to_canonical() {
            IpAddr::V4(v4) if address.is_ipv6() && prefix >= MAPPED_PREFIX => {
                Ok(Self { address: IpAddr::V4(v4), prefix: prefix - MAPPED_PREFIX })
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Ok(Self { address, prefix }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

impl Networks {
    pub(super) fn check(written: &[Written<String>], findings: &mut Findings) -> Self {
        let mut list = Vec::new();
        for text in written {
            match text.value.parse() {
                Ok(network) => list.push((network, &text.at)),
                Err(NotANetwork) => findings.fault(&text.at, Fault::NotANetwork),
            }
        }
        findings.must_differ(list.iter().map(|(network, at)| (*network, *at)));
        list.into_iter().map(|(network, _)| network).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// As written, in canonical form.
    pub fn iter(&self) -> std::slice::Iter<'_, Network> {
        self.list.iter()
    }

    /// Whether one of them has this address; an IPv4-mapped one counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => is_within(&self.v4, address.to_bits()),
            IpAddr::V6(address) => is_within(&self.v6, address.to_bits()),
        }
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let mut set = Self::default();
        for network in networks {
            set.list.push(network);
            match network.address {
                IpAddr::V4(first) => {
                    let first = Ipv4Addr::to_bits(first);
                    set.v4.push(first..=first | !mask_v4(network.prefix));
                }
                IpAddr::V6(first) => {
                    let first = Ipv6Addr::to_bits(first);
                    set.v6.push(first..=first | !mask_v6(network.prefix));
                }
            }
        }
        sort(&mut set.v4);
        sort(&mut set.v6);
        set
    }
}

/// Networks are apart or one holds the other, so what begins within another is in it.
fn sort<T: Ord + Copy>(ranges: &mut Vec<RangeInclusive<T>>) {
    ranges.sort_by_key(|range| (*range.start(), std::cmp::Reverse(*range.end())));
    ranges.dedup_by(|later, earlier| earlier.contains(later.start()));
}

fn is_within<T: Ord>(ranges: &[RangeInclusive<T>], address: T) -> bool {
    let behind = ranges.partition_point(|range| *range.start() <= address);
    let last = behind.checked_sub(1).and_then(|index| ranges.get(index));
    last.is_some_and(|range| *range.end() >= address)
}

/// A prefix that is too long masks everything; whoever parses refuses it.
fn mask_v4(prefix: u8) -> u32 {
    !u32::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    !u128::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

/// RFC 4291 section 2.5.5.2: `::ffff:0:0/96`.
const MAPPED_PREFIX: u8 = 96;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().expect("a network")
    }

    #[test]
    fn networks_and_addresses_are_read() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ] {
            assert_eq!(network(text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_network_or_has_bits_behind_its_prefix_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::1/64",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/08x",
            "localhost",
            "10.0.0/8",
            "10.0.0.0/8/8",
            "10.0.0.0/300",
            "*",
            "[::1]",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }

    #[test]
    fn bits_behind_the_prefix_can_be_left_out() {
        for (text, network) in [
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("192.0.2.1", Some("192.0.2.1/32")),
            ("10.0.0.0/33", None),
            ("unix:", None),
            ("lb.example", None),
        ] {
            let read = Network::from_sloppy(text).map(|network| network.to_string());
            assert_eq!(read.as_deref(), network, "{text}");
        }
    }

    #[test]
    fn mapped_addresses_are_ipv4_and_everybody_of_ipv6_is_nobody_of_ipv4() {
        let set = |texts: &[&str]| texts.iter().map(|text| network(text)).collect::<Networks>();
        let has = |set: &Networks, address: &str| set.contains(address.parse().expect("valid"));

        let private = set(&["10.0.0.0/8"]);
        assert!(has(&private, "10.255.255.255") && has(&private, "::ffff:10.0.0.1"));
        assert!(!has(&private, "11.0.0.0") && !has(&private, "9.255.255.255"));
        let six = set(&["::/0"]);
        assert!(has(&six, "2001:db8::1"));
        assert!(!has(&six, "192.0.2.1") && !has(&six, "::ffff:192.0.2.1"));
        assert!(!has(&set(&[]), "127.0.0.1"));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_set_has_what_one_of_its_networks_has(
            networks in prop::collection::vec((any::<u8>(), 0_u8..=32), 0..12),
            address in any::<u8>(),
        ) {
            // Few bits of the address vary, so that networks hold each other.
            let spread = |byte: u8| u32::from(byte) << 24 | u32::from(byte & 0xf) << 12;
            let list: Vec<Network> = networks
                .iter()
                .map(|(byte, prefix)| {
                    let address = Ipv4Addr::from_bits(spread(*byte) & mask_v4(*prefix));
                    Network { address: address.into(), prefix: *prefix }
                })
                .collect();
            let bits = spread(address);
            let expected = list.iter().any(|network| match network.address {
                IpAddr::V4(first) => bits & mask_v4(network.prefix) == first.to_bits(),
                IpAddr::V6(_) => false,
            });
            let set: Networks = list.into_iter().collect();
            prop_assert_eq!(set.contains(Ipv4Addr::from_bits(bits).into()), expected);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-f:./]{0,24}") {
            let read = text.parse::<Network>();
            if let Ok(network) = read {
                prop_assert_eq!(network.to_string().parse(), Ok(network));
            }
        }
    }
}
