//! Which addresses a listener call may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The classes of addresses that no listener has, and what the operator's flags allow all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Networks that are allowed although they belong to a refused class.
    pub allowed: Vec<IpNet>,
}

/// Metadata services of clouds outside the link-local range: Alibaba Cloud's, and the IPv6
/// address of Amazon EC2's.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

impl AddressPolicy {
    /// Whether a connection to this address may be made.
    ///
    /// Refused are loopback, link-local, multicast, unspecified, broadcast and metadata addresses,
    /// in IPv6 also where they are written as an IPv4-mapped, IPv4-compatible, 6to4 or NAT64
    /// address.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = embedded_v4(address);
        !is_refused(address) || self.allowed.iter().any(|network| network.contains(&address))
    }
}

fn is_refused(address: IpAddr) -> bool {
    METADATA.contains(&address)
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unspecified()
        || match address {
            // 0.0.0.0/8 is «this network» (RFC 1122): Linux connects 0.0.0.0 to itself.
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        }
}

/// The IPv4 address that an IPv6 address stands for (RFC 4291 2.5.5, RFC 6052, RFC 3056).
fn embedded_v4(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if v6.is_loopback() || v6.is_unspecified() {
        return address;
    }
    let v4 = match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] => (a, b),
        [0x2002, a, b, ..] => (a, b),
        _ => return address,
    };
    let ([a, b], [c, d]) = (v4.0.to_be_bytes(), v4.1.to_be_bytes());
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_classes_are_refused_however_they_are_written() {
        let policy = AddressPolicy::default();
        for refused in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "100.100.100.200",
            "fd00:ec2::254",
            "::7f00:1",
        ] {
            assert!(!policy.permits(refused.parse().unwrap()), "{refused}");
        }
        for allowed in ["10.96.0.10", "192.0.2.1", "2001:db8::1", "fd00::1", "100.64.0.1"] {
            assert!(policy.permits(allowed.parse().unwrap()), "{allowed}");
        }
    }

    #[test]
    fn a_flag_allows_just_what_it_names() {
        let policy = AddressPolicy { allowed: vec!["127.0.0.1/32".parse().unwrap()] };
        assert!(policy.permits("127.0.0.1".parse().unwrap()));
        assert!(policy.permits("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!policy.permits("127.0.0.2".parse().unwrap()));
        assert!(!policy.permits("::1".parse().unwrap()));
    }
}
