//! Networks: addresses that are trusted for what they say of others.
//!
//! A set is asked for each connection and request, so it is kept sorted: a look-up takes as many steps as the number of
//! networks has binary digits, and none for an empty set.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::fault::Fault;
use super::findings::{Findings, Written};

/// A network in CIDR form, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

/// Networks to look an address up in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// As written, in canonical form.
    list: Vec<Network>,
    /// Sorted, and without overlaps.
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
}

/// The text is no network, or has bits set behind its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl Network {
    /// What one subscriber is usually given, by an address out of it: that alone in IPv4, the /64 in
    /// IPv6.
    pub(crate) fn of_client(address: IpAddr) -> Self {
        match address.to_canonical() {
            v4 @ IpAddr::V4(_) => Self(v4.into()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                let subnet = Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0);
                Self(Ipv6Net::new(subnet, SUBNET_PREFIX).unwrap_or(subnet.into()).into())
            }
        }
    }

    /// Whether it is every address of its family.
    pub fn is_everybody(self) -> bool {
        self.0.prefix_len() == 0
    }
}

/// Strict: `10.0.0.1/8` is refused, for it may be meant as one address or as a network.
impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let network: IpNet = match text.parse::<IpAddr>() {
            Ok(address) => address.into(),
            Err(_not_alone) => text.parse().map_err(|_invalid| NotANetwork)?,
        };
        if network != network.trunc() {
            return Err(NotANetwork);
        }
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8, as it is when a caller comes from there.
        let mapped = network.prefix_len().checked_sub(MAPPED_PREFIX);
        match (network.addr().to_canonical(), mapped) {
            (IpAddr::V4(address), Some(prefix)) if network.addr().is_ipv6() => {
                let network = Ipv4Net::new(address, prefix).map_err(|_too_long| NotANetwork)?;
                Ok(Self(network.into()))
            }
            (IpAddr::V4(_) | IpAddr::V6(_), _) => Ok(Self(network)),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
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
            IpAddr::V4(address) => {
                let behind = self.v4.partition_point(|network| network.network() <= address);
                last_of(&self.v4, behind).is_some_and(|network| network.contains(&address))
            }
            IpAddr::V6(address) => {
                let behind = self.v6.partition_point(|network| network.network() <= address);
                last_of(&self.v6, behind).is_some_and(|network| network.contains(&address))
            }
        }
    }
}

/// What begins at the address that was looked for, or before it; the others begin behind it.
fn last_of<T>(networks: &[T], behind: usize) -> Option<&T> {
    networks.get(behind.checked_sub(1)?)
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let list: Vec<Network> = networks.into_iter().collect();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for Network(network) in &list {
            match network {
                IpNet::V4(network) => v4.push(*network),
                IpNet::V6(network) => v6.push(*network),
            }
        }
        Self { list, v4: Ipv4Net::aggregate(&v4), v6: Ipv6Net::aggregate(&v6) }
    }
}

/// RFC 4291 section 2.5.4: the rest is for the host alone to choose.
const SUBNET_PREFIX: u8 = 64;

/// RFC 4291 section 2.5.5.2: `::ffff:0:0/96`.
const MAPPED_PREFIX: u8 = 96;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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
    fn a_client_is_alone_in_ipv4_and_one_of_its_subnet_in_ipv6() {
        for (client, network) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ] {
            let client = client.parse().expect("an address");
            assert_eq!(Network::of_client(client).to_string(), network);
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
                    let address = Ipv4Addr::from_bits(spread(*byte));
                    let network = Ipv4Net::new(address, *prefix).expect("at most 32");
                    Network(network.trunc().into())
                })
                .collect();
            let bits = spread(address);
            let expected = list.iter().any(|Network(network)| match network {
                IpNet::V4(network) => {
                    (bits ^ network.addr().to_bits()) & network.netmask().to_bits() == 0
                }
                IpNet::V6(_) => false,
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
