//! Restricts the admin port to users and programs of the local machine, and rejects requests that a
//! web site makes through a local browser. Pure.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName};

use crate::http::Peer;

/// Relation of a browser's request to the site that started it (Fetch Metadata, section 2.4).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Rejects requests from other machines, and cross-site requests of local browsers. `admin` is the
/// address of the admin port. The error is the message for the client.
pub fn check(parts: &Parts, peer: Peer, admin: SocketAddr) -> Result<(), &'static str> {
    let host = local(parts, peer, admin)?;
    same_site(&parts.headers, &host)
}

/// Rejects requests from other machines only, so that links on other sites still work. Returns the
/// host of the request.
pub fn local(parts: &Parts, peer: Peer, admin: SocketAddr) -> Result<Authority, &'static str> {
    if !peer.is_some_and(is_loopback) {
        return Err("the admin port accepts requests from the local machine only");
    }
    // Prevents DNS rebinding: a site may have its own name resolve to this machine.
    let host = host(parts).filter(|host| is_ours(host, admin));
    host.ok_or("the header Host does not match the address of the admin port")
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn host(parts: &Parts) -> Option<Authority> {
    if let Some(authority) = parts.uri.authority() {
        return Some(authority.clone());
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

fn is_ours(host: &Authority, admin: SocketAddr) -> bool {
    if host.port_u16().unwrap_or(80) != admin.port() {
        return false;
    }
    let name = host.host();
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = literal.parse().ok();
    name.eq_ignore_ascii_case("localhost")
        || address.is_some_and(|address| is_loopback(address) || address == admin.ip())
}

/// Browsers send the origin of the page that makes a request; other programs send neither header
/// and pass.
fn same_site(headers: &HeaderMap, host: &Authority) -> Result<(), &'static str> {
    let refusal = Err("the admin port does not accept cross-site API requests");
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    if !sites.all(|site| site == "same-origin" || site == "none") {
        return refusal;
    }
    let ours = format!("http://{host}");
    let is_ours =
        |origin: &http::HeaderValue| origin.as_bytes().eq_ignore_ascii_case(ours.as_bytes());
    if headers.get_all(ORIGIN).iter().all(is_ours) { Ok(()) } else { refusal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn answer(peer: &str, headers: &[(&str, &str)]) -> Result<(), &'static str> {
        let request = headers.iter().fold(Request::get("/api/deliveries"), |request, header| {
            request.header(header.0, header.1)
        });
        let (parts, ()) = request.body(()).unwrap().into_parts();
        check(&parts, peer.parse().ok(), "127.0.0.1:9090".parse().unwrap())
    }

    #[test]
    fn only_local_clients_are_accepted() {
        let host = [("host", "127.0.0.1:9090")];
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(answer(peer, &host), Ok(()), "{peer}");
        }
        for peer in ["192.0.2.1", "::ffff:192.0.2.1", "fe80::1", "unknown"] {
            assert!(answer(peer, &host).is_err(), "{peer}");
        }
    }

    #[test]
    fn dns_rebinding_is_refused() {
        for host in ["localhost:9090", "LOCALHOST:9090", "[::1]:9090", "127.0.0.2:9090"] {
            assert_eq!(answer("::1", &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example:9090",
            "localhost.evil.example:9090",
            "127.0.0.1.evil.example:9090",
            "localhost",
            "localhost:80",
            "192.0.2.1:9090",
            "",
        ] {
            assert!(answer("::1", &[("host", host)]).is_err(), "{host}");
        }
        assert!(answer("::1", &[]).is_err());
        let twice = [("host", "localhost:9090"), ("host", "evil.example:9090")];
        assert!(answer("::1", &twice).is_err());
    }

    #[test]
    fn cross_site_requests_are_refused() {
        let with = |header| answer("::1", &[("host", "localhost:9090"), header]);
        for header in [
            ("origin", "http://localhost:9090"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
        ] {
            assert_eq!(with(header), Ok(()), "{header:?}");
        }
        for header in [
            ("origin", "http://evil.example"),
            ("origin", "http://localhost:3000"),
            ("origin", "https://localhost:9090"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(with(header).is_err(), "{header:?}");
        }
    }
}
