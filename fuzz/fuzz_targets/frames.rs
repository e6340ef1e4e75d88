//! The frames of an HTTP/2 connection, in bytes as they come from a socket: however they are cut, as many are counted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webhook_operator::http::frames::Frames;
use webhook_operator::http::opening::PREFACE;

fuzz_target!(|input: (usize, &[u8])| {
    let (cut, bytes) = input;
    let whole = Frames::default().read(bytes);
    // A frame has a head of 9 bytes.
    assert!(whole as usize <= bytes.len().saturating_sub(PREFACE.len()) / 9);
    let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
    let mut frames = Frames::default();
    assert_eq!(frames.read(first) + frames.read(second), whole);
});
