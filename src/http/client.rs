//! Determines the client of a trigger behind proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName};

use super::Networks;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client: the peer's own, or, if the peer is a trusted proxy, the last hop of
/// `X-Forwarded-For` that is not trusted. Each proxy appends the address of its own peer, so the
/// hops are read from the end: everything before the first untrusted hop was written by the client.
/// Several header lines form one list (RFC 9110, section 5.3).
///
/// `None` if the address is unknown: a trusted proxy wrote something that is not an address, or
/// `peer` is unknown. Callers must then reject requests that are restricted by address.
pub fn client_address(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    trusted: &Networks,
) -> Option<IpAddr> {
    let mut client = peer?.to_canonical();
    let mut hops = hops(headers);
    while trusted.contains(client) {
        match hops.next() {
            Some(hop) => client = address(hop)?,
            // All hops are trusted: the client is a proxy itself.
            None => break,
        }
    }
    Some(client)
}

/// The network that counts as one client. A host with an IPv6 address usually has its whole /64
/// (RFC 4291, section 2.5.4).
pub fn client_network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// The hops, last one first.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
}

/// Parses a hop in the forms that proxies write: with or without a port, IPv6 with or without
/// brackets.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let bare = || hop.parse().ok();
    let with_port = || hop.parse().ok().map(|address: SocketAddr| address.ip());
    let in_brackets = || {
        let inside = hop.strip_prefix('[')?.strip_suffix(']')?;
        inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    let address = bare().or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use ipnet::IpNet;

    /// The proxies of these tests.
    fn trusted() -> Networks {
        ["10.0.0.0/8", "2001:db8:1::/48"].iter().map(|net| net.parse::<IpNet>().unwrap()).collect()
    }

    fn client(peer: &str, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let peer = Some(peer.parse().unwrap());
        client_address(peer, &headers, &trusted()).map(|address| address.to_string())
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_trusted_proxy() {
        for (peer, lines, expected) in [
            // Hops of untrusted peers are ignored.
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
            ("192.0.2.1", &["rubbish"], "192.0.2.1"),
            ("::ffff:192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
            // One proxy, and a client that forges hops.
            ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.1, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["rubbish, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["10.0.0.9,192.0.2.1"], "192.0.2.1"),
            ("::ffff:10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            // Several.
            ("10.0.0.1", &["192.0.2.1, 10.0.0.3, 10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.1", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            ("2001:db8:1::1", &["2001:db8::7, ::ffff:10.0.0.2"], "2001:db8::7"),
            // The client is itself a proxy.
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(client(peer, lines).as_deref(), Some(expected), "{peer} {lines:?}");
        }
    }

    #[test]
    fn hops_are_read_as_proxies_write_them() {
        for (hop, expected) in [
            ("192.0.2.1:54321", "192.0.2.1"),
            ("\t192.0.2.1 ", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:c000:201]:80", "192.0.2.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[hop]).as_deref(), Some(expected), "{hop}");
        }
    }

    #[test]
    fn what_a_proxy_wrote_that_is_no_address_makes_the_client_unknown() {
        for line in [
            "",
            " ",
            "192.0.2.1,",
            "192.0.2.1, ,10.0.0.2",
            "unknown",
            "_hidden",
            "192.0.2.1:",
            "192.0.2.1:99999",
            "192.0.2",
            "192.0.2.1/24",
            "0xc0.0.2.1",
            "192.0.2.01",
            "[192.0.2.1]",
            "[2001:db8::1",
            "2001:db8::1%eth0",
            "\"192.0.2.1\"",
            "192.0.2.1;10.0.0.1",
            "1é2.0.2.1",
            "198.51.100.1, rubbish",
            "rubbish, 10.0.0.2",
        ] {
            assert_eq!(client("10.0.0.1", &[line]), None, "{line:?}");
        }
    }

    #[test]
    fn of_a_peer_that_is_not_known_no_header_makes_a_known_one() {
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, HeaderValue::from_static("192.0.2.1"));
        assert_eq!(client_address(None, &headers, &trusted()), None);
    }
}
