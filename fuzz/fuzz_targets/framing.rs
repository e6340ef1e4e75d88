//! The lengths of requests, in bytes as they come from a socket: however they are cut, the same is found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webhook_operator::http::framing::Lengths;

fuzz_target!(|input: (usize, &[u8])| {
    let (cut, bytes) = input;
    let whole = Lengths::default().read(bytes);
    let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
    let mut lengths = Lengths::default();
    let found = lengths.read(first);
    assert_eq!(found.or_else(|| lengths.read(second)), whole);
});
