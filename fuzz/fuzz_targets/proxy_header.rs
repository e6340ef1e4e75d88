//! Whatever a connection begins with: it is refused, or a PROXY header of bounded length was read from it.
#![no_main]

use futures_util::FutureExt;
use libfuzzer_sys::fuzz_target;
use webhook_operator::http::proxy_protocol::{Source, read};

/// The fixed part of version 2, and the most that may follow it.
const LONGEST: usize = 16 + 4096;

fuzz_target!(|input: &[u8]| {
    let mut stream = input;
    let read_at_once = read(&mut stream).now_or_never().expect("a slice never waits");
    let used = input.len() - stream.len();
    assert!(used <= LONGEST);
    let Ok(source) = read_at_once else { return };
    let header = &input[..used];
    assert!(header.starts_with(b"PROXY ") && header.ends_with(b"\r\n") || header[0] == b'\r');
    // What follows has no say in it.
    let mut alone = header;
    let again = read(&mut alone).now_or_never().expect("a slice never waits");
    assert_eq!(again.expect("a header"), source);
    if let (Source::Address(address), true) = (source, header.starts_with(b"PROXY ")) {
        let text = std::str::from_utf8(header).expect("ASCII");
        let written = text.split(' ').nth(2).expect("a source");
        assert_eq!(written.parse(), Ok(address));
    }
});
