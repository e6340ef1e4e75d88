//! Frames of HTTP/2 (RFC 9113), as attackers write them.

use crate::setting::Target;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// RFC 9113, section 6.
#[derive(Clone, Copy)]
pub enum Kind {
    Data = 0,
    Headers = 1,
    Reset = 3,
    Settings = 4,
    Ping = 6,
    Continuation = 9,
}

/// One frame.
pub fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    // Payloads here are short.
    let [_, len @ ..] = (payload.len() as u32).to_be_bytes();
    [&len[..], &[kind as u8, flags], &stream.to_be_bytes(), payload].concat()
}

/// What a connection begins with.
pub fn hello(settings: &[u8]) -> Vec<u8> {
    [PREFACE, &frame(Kind::Settings, 0, 0, settings)].concat()
}

/// The header block of a trigger (RFC 7541): indexed method and scheme, literal path, authority and content type.
pub fn trigger(target: &Target) -> Vec<u8> {
    let authority = target.address.to_string();
    let literal = |index: u8, text: &str| {
        // Both are shorter than 127 bytes.
        [&[index, text.len() as u8], text.as_bytes()].concat()
    };
    // Entry 31 of the static table, as an integer with a prefix of 4 bits.
    let content_type = [&[0x0f, 31 - 15][..], &literal(0, "application/json")[1..]].concat();
    [vec![0x83, 0x86], literal(4, &target.path), literal(1, &authority), content_type].concat()
}
