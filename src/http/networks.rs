//! Sets of IP networks.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// A set of IPv4 and IPv6 networks. An IPv4-mapped IPv6 address counts as the IPv4 address (RFC
/// 4291, section 2.5.5.2): `::ffff:192.0.2.1` is in `192.0.2.0/24`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Box<[IpNet]>);

impl Networks {
    /// Whether one of the networks contains the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> Self {
        Self(networks.into_iter().map(canonical).collect())
    }
}

/// Converts a network of IPv4-mapped addresses to IPv4; the first 96 bits are the same for all of
/// them.
fn canonical(network: IpNet) -> IpNet {
    let prefix = network.prefix_len().checked_sub(96);
    match (network.addr().to_canonical(), network, prefix) {
        (IpAddr::V4(address), IpNet::V6(_), Some(prefix)) => {
            Ipv4Net::new(address, prefix).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        texts.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
    }

    #[test]
    fn an_address_is_found_in_its_network_however_either_is_written() {
        for (network, address, is_in) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.9/24", "192.0.2.1", true),
            ("192.0.2.0/24", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.0/120", "192.0.2.1", true),
            ("::ffff:192.0.2.0/120", "192.0.3.1", false),
            ("::ffff:0.0.0.0/96", "198.51.100.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "192.0.2.1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::1/128", "2001:db8::2", false),
        ] {
            let found = networks(&[network]).contains(address.parse().unwrap());
            assert_eq!(found, is_in, "{address} in {network}");
        }
    }

    #[test]
    fn one_of_several_networks_is_enough_and_of_none_nothing_is_in() {
        let two = networks(&["192.0.2.0/24", "2001:db8::/32"]);
        assert!(two.contains("2001:db8::1".parse().unwrap()));
        assert!(!two.contains("198.51.100.1".parse().unwrap()));
        assert!(!Networks::default().contains("192.0.2.1".parse().unwrap()));
    }
}
