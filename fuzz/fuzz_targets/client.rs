//! Whatever stands in X-Forwarded-For: only trusted proxies are passed over, and never a panic.
#![no_main]

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;
use webhook_operator::http::{Networks, client_address};

const NAME: &str = "x-forwarded-for";

/// The lines of an input are the lines of the header.
fuzz_target!(|input: &[u8]| {
    let lines: Option<Vec<_>> =
        input.split(|byte| *byte == b'\n').map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let Some(lines) = lines else { return };
    let trusted: Networks =
        ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse::<IpNet>().unwrap()).into_iter().collect();
    let (proxy, stranger) = ("10.0.0.1".parse().ok(), "192.0.2.1".parse().ok());

    let joined = lines.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b","[..]);
    let mut one = HeaderMap::new();
    one.insert(NAME, HeaderValue::from_bytes(&joined).expect("of header values"));
    let mut many = HeaderMap::new();
    lines.into_iter().for_each(|line| drop(many.append(NAME, line)));

    let client = client_address(proxy, &many, &trusted);
    assert_eq!(client, client_address(proxy, &one, &trusted), "several lines are one list");
    assert_eq!(client_address(stranger, &many, &trusted), stranger, "a stranger is not believed");
    assert_eq!(client_address(None, &many, &trusted), None);
    let Some(client) = client else { return };
    assert_eq!(client, client.to_canonical());
    if trusted.contains(client) {
        let mut before = HeaderMap::new();
        // Had there been a stranger before them all, it would have been found.
        let line = [b"198.51.100.1,", joined.as_slice()].concat();
        before.insert(NAME, HeaderValue::from_bytes(&line).expect("of header values"));
        let found = client_address(proxy, &before, &trusted);
        assert_eq!(found, "198.51.100.1".parse().ok(), "all of these are trusted");
    }
});
