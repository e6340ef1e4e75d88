//! Address policy: which addresses of listeners and issuers the operator may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::routes::NamedBy;

/// Exceptions from the refused address classes, and networks denied to URLs, both from flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Networks that are allowed although their class is refused.
    pub allowed: Vec<IpNet>,
    /// Networks that URLs of tenants must not reach, even if `allowed` contains them: those of the
    /// cluster.
    pub denied_to_urls: Vec<IpNet>,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressRefusal {
    /// Its class is refused: loopback, link-local, metadata and the others of
    /// [`AddressPolicy::check`].
    Class,
    /// Its network is denied to URLs.
    DeniedToUrls,
}

/// Metadata services of cloud providers outside the link-local range. Those of Amazon EC2 are a
/// network, see [`is_refused`].
const METADATA: [IpAddr; 4] = [
    // Alibaba Cloud
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure: WireServer, which hands out the secrets of a machine's extensions
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Google Cloud
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    // Oracle Cloud
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

impl AddressPolicy {
    /// Whether a connection to this address is allowed.
    ///
    /// Loopback, link-local, multicast, unspecified, broadcast and metadata addresses are refused,
    /// also where an IPv6 address embeds them: such an address is checked by the IPv4 addresses in
    /// it. `denied_to_urls` applies to the address itself and to the embedded ones.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn check(&self, address: IpAddr, named_by: NamedBy) -> Result<(), AddressRefusal> {
        let meanings = meanings(address);
        let is_allowed = |meaning: &IpAddr| !is_refused(*meaning) || holds(&self.allowed, *meaning);
        if !meanings.iter().flatten().all(is_allowed) {
            return Err(AddressRefusal::Class);
        }
        let is_denied = |meaning: &IpAddr| holds(&self.denied_to_urls, *meaning);
        let is_denied = is_denied(&address) || meanings.iter().flatten().any(is_denied);
        if named_by == NamedBy::Url && is_denied {
            return Err(AddressRefusal::DeniedToUrls);
        }
        Ok(())
    }
}

fn holds(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

fn is_refused(address: IpAddr) -> bool {
    METADATA.contains(&address)
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unspecified()
        || match address {
            // 0.0.0.0/8 is «this network» (RFC 1122): Linux connects 0.0.0.0 to itself.
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
            IpAddr::V6(v6) => match v6.segments() {
                // Amazon EC2's local services: instance metadata, and credentials of EKS pods.
                [0xfd00, 0x0ec2, ..] => true,
                // NAT64 with a local-use prefix (RFC 8215) shorter than /96: the position of the
                // IPv4 address depends on the prefix length, which is unknown here.
                [0x64, 0xff9b, 1, ..] => true,
                _ => v6.is_unicast_link_local(),
            },
        }
}

/// The addresses that a connection reaches: the address itself, or the IPv4 addresses that an IPv6
/// address embeds.
fn meanings(address: IpAddr) -> [Option<IpAddr>; 2] {
    let IpAddr::V6(v6) = address else { return [Some(address), None] };
    if v6.is_loopback() || v6.is_unspecified() {
        return [Some(address), None];
    }
    match v6.segments() {
        // IPv4-mapped and IPv4-compatible (RFC 4291 2.5.5), and IPv4-translated of SIIT (RFC 2765).
        [0, 0, 0, 0, 0, 0xffff | 0, a, b] | [0, 0, 0, 0, 0xffff, 0, a, b] => [Some(v4(a, b)), None],
        // NAT64: the well-known prefix (RFC 6052), and the first /96 of the local-use one (RFC 8215).
        [0x64, 0xff9b, 0 | 1, 0, 0, 0, a, b] => [Some(v4(a, b)), None],
        // 6to4 (RFC 3056).
        [0x2002, a, b, ..] => [Some(v4(a, b)), None],
        // Teredo (RFC 4380): its server, and the client, whose bits are inverted.
        [0x2001, 0, a, b, _, _, c, d] => [Some(v4(a, b)), Some(v4(!c, !d))],
        // ISATAP (RFC 5214): an interface below any prefix.
        [.., 0 | 0x200, 0x5efe, a, b] => [Some(address), Some(v4(a, b))],
        _ => [Some(address), None],
    }
}

fn v4(high: u16, low: u16) -> IpAddr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &AddressPolicy, address: &str, by: NamedBy) -> Result<(), AddressRefusal> {
        policy.check(address.parse().unwrap(), by)
    }

    /// Every way in which an IPv6 address stands for an IPv4 address.
    fn embeddings(v4: &str) -> Vec<String> {
        let [a, b, c, d] = v4.parse::<Ipv4Addr>().unwrap().octets();
        let inverted = Ipv4Addr::new(!a, !b, !c, !d);
        vec![
            format!("::ffff:{v4}"),
            format!("::{v4}"),
            format!("::ffff:0:{v4}"),
            format!("64:ff9b::{v4}"),
            format!("64:ff9b:1::{v4}"),
            format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
            format!("2001:0:c000:0201:0:0:{inverted}"),
            format!("2001:0:{a:02x}{b:02x}:{c:02x}{d:02x}::{}", Ipv4Addr::new(!192, !0, !2, !1)),
            format!("2001:db8::5efe:{v4}"),
            format!("2001:db8::200:5efe:{v4}"),
        ]
    }

    #[test]
    fn refused_classes_are_refused_however_they_are_written() {
        let policy = AddressPolicy::default();
        let v4 = [
            "127.0.0.1",
            "127.9.9.9",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
        ];
        let v6 = [
            "0.0.0.0",
            "::",
            "::1",
            "::ffff:0.0.0.0",
            "64:ff9b::",
            "fe80::1",
            "fe80::a9fe:a9fe",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            // Local-use NAT64 with the IPv4 address elsewhere: after /48, /64, and another /96.
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1:0:7f:0:100:0",
            "64:ff9b:1:2:3:4:c000:0201",
        ];
        let embedded = v4.iter().flat_map(|v4| embeddings(v4));
        let written = v4.iter().chain(&v6).map(ToString::to_string);
        for refused in written.chain(embedded) {
            for by in [NamedBy::Service, NamedBy::Url] {
                assert_eq!(check(&policy, &refused, by), Err(AddressRefusal::Class), "{refused}");
            }
        }
    }

    #[test]
    fn other_addresses_are_permitted_however_they_are_written() {
        let policy = AddressPolicy::default();
        let v4 = ["10.96.0.10", "192.0.2.1", "100.64.0.1", "168.63.129.17", "100.100.100.201"];
        let v6 = ["2001:db8::1", "fd00::1", "fd20:ce::253", "2001:1::1", "64:ff9b:2::7f00:1"];
        let embedded = v4.iter().flat_map(|v4| embeddings(v4));
        for permitted in v4.iter().chain(&v6).map(ToString::to_string).chain(embedded) {
            assert_eq!(check(&policy, &permitted, NamedBy::Url), Ok(()), "{permitted}");
        }
    }

    #[test]
    fn a_flag_allows_just_what_it_names() {
        let allowed = ["127.0.0.1/32", "64:ff9b:1:2::/64"].map(|text| text.parse().unwrap());
        let policy = AddressPolicy { allowed: allowed.into(), ..AddressPolicy::default() };
        for (address, expected) in [
            ("127.0.0.1", Ok(())),
            ("::ffff:127.0.0.1", Ok(())),
            ("64:ff9b:1:2::1", Ok(())),
            ("64:ff9b:1:3::1", Err(AddressRefusal::Class)),
            ("127.0.0.2", Err(AddressRefusal::Class)),
            ("::1", Err(AddressRefusal::Class)),
        ] {
            assert_eq!(check(&policy, address, NamedBy::Service), expected, "{address}");
        }
    }

    #[test]
    fn denied_networks_are_closed_to_urls_however_they_are_written_and_open_to_services() {
        let networks = ["10.0.0.0/8", "fd12::/16", "2002:c000::/20"];
        let denied = networks.map(|text| text.parse().unwrap());
        let policy = AddressPolicy {
            // What is denied is not opened by what is allowed.
            allowed: vec!["10.0.0.0/8".parse().unwrap()],
            denied_to_urls: denied.into(),
        };
        let written = ["10.1.2.3", "fd12::1", "2002:c000:0201::1"].map(str::to_owned);
        for denied in written.into_iter().chain(embeddings("10.1.2.3")) {
            let refused = Err(AddressRefusal::DeniedToUrls);
            assert_eq!(check(&policy, &denied, NamedBy::Url), refused, "{denied}");
            assert_eq!(check(&policy, &denied, NamedBy::Service), Ok(()), "{denied}");
        }
        for open in ["11.0.0.1", "fd13::1", "192.0.2.1"] {
            assert_eq!(check(&policy, open, NamedBy::Url), Ok(()), "{open}");
        }
        let refused = Err(AddressRefusal::Class);
        assert_eq!(check(&policy, "169.254.169.254", NamedBy::Service), refused);
    }
}
