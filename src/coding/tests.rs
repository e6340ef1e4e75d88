use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use zstd_safe::{CCtx, CParameter};

use super::{Coding, DecodeError, Decoder, MAX_MEMBERS, Progress};

const LIMIT: usize = 8_000_000;

type Encode = fn(&[u8]) -> Vec<u8>;

/// An encoder of each format, with the coding that decodes it.
const FORMATS: [(Coding, Encode); 5] = [
    (Coding::Gzip, gzip),
    (Coding::Deflate, zlib),
    (Coding::Deflate, raw_deflate),
    (Coding::Brotli, brotli),
    (Coding::Zstd, zstd),
];

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn brotli(plain: &[u8]) -> Vec<u8> {
    brotli_with(plain, 22, false)
}

fn brotli_with(plain: &[u8], window_log: i32, is_large: bool) -> Vec<u8> {
    let params = ::brotli::enc::BrotliEncoderParams {
        quality: 3,
        lgwin: window_log,
        large_window: is_large,
        ..Default::default()
    };
    let mut encoded = Vec::new();
    ::brotli::BrotliCompress(&mut &*plain, &mut encoded, &params).unwrap();
    encoded
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(zstd_safe::compress_bound(plain.len()));
    zstd_safe::compress(&mut encoded, plain, 1).unwrap();
    encoded
}

/// A frame of zstd that does not tell its length, so that it has a window.
fn zstd_with(plain: &[u8], window_log: u32) -> Vec<u8> {
    let mut context = CCtx::create();
    context.set_parameter(CParameter::WindowLog(window_log)).unwrap();
    context.set_parameter(CParameter::ContentSizeFlag(false)).unwrap();
    context.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
    let mut encoded = Vec::with_capacity(zstd_safe::compress_bound(plain.len()) + 64);
    let mut output = zstd_safe::OutBuffer::around(&mut encoded);
    let mut input = zstd_safe::InBuffer::around(plain);
    while input.pos() < plain.len() {
        context.compress_stream(&mut output, &mut input).unwrap();
    }
    assert_eq!(context.end_stream(&mut output).unwrap(), 0);
    encoded
}

/// The output, and the memory that the decoder announced.
fn decode_within(
    coding: Coding,
    input: impl Into<Bytes>,
    limit: usize,
) -> (Result<Bytes, DecodeError>, usize) {
    let mut decoder = Decoder::new(coding, input.into(), limit);
    let mut memory = 0;
    loop {
        memory += decoder.growth();
        match decoder.step() {
            Ok(Progress::Unfinished) => {}
            Ok(Progress::Finished) => return (Ok(decoder.into_output()), memory),
            Err(error) => return (Err(error), memory),
        }
    }
}

fn decode(coding: Coding, input: impl Into<Bytes>) -> Result<Bytes, DecodeError> {
    decode_within(coding, input, LIMIT).0
}

/// Text that compresses as JSON does.
fn text(len: usize) -> Vec<u8> {
    (0..)
        .flat_map(|n: u32| format!(r#"{{"id":{n},"name":"n{}"}},"#, n % 977 * 7919).into_bytes())
        .take(len)
        .collect()
}

#[test]
fn bodies_of_every_length_come_back_in_several_steps() {
    for len in [1, 511, 512, 65_535, 65_536, 65_537, 300_000] {
        let plain = text(len);
        for (coding, encode) in FORMATS {
            assert_eq!(decode(coding, encode(&plain)).unwrap(), plain, "{coding:?} {len}");
        }
    }
}

#[test]
fn an_output_of_the_limit_is_allowed_and_one_byte_more_is_not() {
    for len in [1, 600, 100_000] {
        for (coding, encode) in FORMATS {
            let encoded = encode(&text(len));
            assert!(decode_within(coding, encoded.clone(), len).0.is_ok(), "{coding:?} {len}");
            let (error, _) = decode_within(coding, encoded, len - 1);
            assert_eq!(error, Err(DecodeError::TooLarge), "{coding:?} {len}");
        }
    }
}

#[test]
fn a_bomb_costs_no_more_memory_than_its_limit_allows() {
    let zeros = vec![0; 1_000_000];
    for (coding, encode) in FORMATS {
        let (error, memory) = decode_within(coding, encode(&zeros), 100_000);
        assert_eq!(error, Err(DecodeError::TooLarge), "{coding:?}");
        // The output, a window as long as it, and the decoder.
        assert!(memory <= 2 * 100_001 + 512 * 1024, "{coding:?}: {memory}");
    }
}

#[test]
fn memory_is_announced_for_the_output_and_the_window() {
    let plain = text(1_000_000);
    for (coding, encode) in FORMATS {
        let (_, memory) = decode_within(coding, encode(&plain), LIMIT);
        let copies = if matches!(coding, Coding::Brotli | Coding::Zstd) { 2 } else { 1 };
        assert!(memory >= copies * plain.len(), "{coding:?}: {memory}");
        assert!(memory <= copies * 2 * plain.len() + 1024 * 1024, "{coding:?}: {memory}");
    }
}

#[test]
fn a_truncated_body_is_malformed_wherever_it_ends() {
    let plain = text(300);
    for (coding, encode) in FORMATS {
        let encoded = Bytes::from(encode(&plain));
        for end in 0..encoded.len() {
            let error = decode(coding, encoded.slice(..end));
            assert_eq!(error, Err(DecodeError::Malformed), "{coding:?} {end}");
        }
    }
}

#[test]
fn bytes_after_the_end_are_malformed() {
    let plain = text(300);
    for (coding, encode) in FORMATS {
        for rest in [&b"x"[..], b"\0", b"garbage after the end"] {
            let body = [&encode(&plain), rest].concat();
            assert_eq!(decode(coding, body), Err(DecodeError::Malformed), "{coding:?} {rest:?}");
        }
    }
    for (coding, encode) in [FORMATS[1], FORMATS[2], FORMATS[3]] {
        let twice = encode(&plain).repeat(2);
        assert_eq!(decode(coding, twice), Err(DecodeError::Malformed), "{coding:?}");
    }
}

#[test]
fn several_members_of_gzip_and_frames_of_zstd_are_one_body() {
    let (first, second) = (text(100), text(70_000));
    for (coding, encode) in [FORMATS[0], FORMATS[4]] {
        let body = [encode(&first), encode(b""), encode(&second)].concat();
        assert_eq!(decode(coding, body).unwrap(), [&first[..], &second].concat(), "{coding:?}");
    }
    // RFC 8878, section 3.1.2.
    let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
    let body = [&skippable[..], &zstd(&first), skippable].concat();
    assert_eq!(decode(Coding::Zstd, body).unwrap(), first);
}

#[test]
fn the_number_of_gzip_members_is_limited() {
    let member = gzip(b"a");
    assert_eq!(decode(Coding::Gzip, member.repeat(MAX_MEMBERS)).unwrap().len(), MAX_MEMBERS);
    assert_eq!(decode(Coding::Gzip, member.repeat(MAX_MEMBERS + 1)), Err(DecodeError::Malformed));
}

#[test]
fn a_wrong_checksum_is_malformed() {
    let plain = text(300);
    for (coding, mut encoded) in [
        (Coding::Gzip, gzip(&plain)),
        (Coding::Deflate, zlib(&plain)),
        (Coding::Zstd, zstd_with(&plain, 17)),
    ] {
        assert_eq!(decode(coding, encoded.clone()).unwrap(), plain, "{coding:?}");
        // The last four bytes are the checksum, except in gzip, where they are the length.
        *encoded.last_mut().unwrap() ^= 1;
        assert_eq!(decode(coding, encoded), Err(DecodeError::Malformed), "{coding:?}");
    }
    let mut encoded = gzip(&plain);
    let checksum = encoded.len() - 8;
    encoded[checksum] ^= 1;
    assert_eq!(decode(Coding::Gzip, encoded), Err(DecodeError::Malformed));
}

#[test]
fn windows_up_to_the_limit_are_decoded_and_longer_ones_are_not() {
    let plain = text(300);
    for window_log in [10, 20, 23] {
        assert_eq!(decode(Coding::Zstd, zstd_with(&plain, window_log)).unwrap(), plain);
    }
    assert_eq!(decode(Coding::Zstd, zstd_with(&plain, 24)), Err(DecodeError::Malformed));
    // The largest window of the format, 3.75 TiB, costs nothing.
    let (error, memory) = decode_within(Coding::Zstd, &b"\x28\xb5\x2f\xfd\0\xff"[..], LIMIT);
    assert_eq!(error, Err(DecodeError::Malformed));
    assert!(memory < 1024 * 1024, "{memory}");
    for window_log in [10, 16, 17, 24] {
        let encoded = brotli_with(&plain, window_log, false);
        assert_eq!(decode(Coding::Brotli, encoded).unwrap(), plain, "{window_log}");
    }
    let large = brotli_with(&text(2_000_000), 26, true);
    assert_eq!(decode(Coding::Brotli, large), Err(DecodeError::Malformed));
}

/// Empty blocks and members produce nothing: a step ends by its input, too.
#[test]
fn a_step_consumes_a_bounded_input_even_if_it_produces_nothing() {
    let frame = zstd(b"");
    let body = frame.repeat(140_000 / frame.len());
    assert!(steps(Coding::Zstd, body.clone()) >= body.len() / (64 * 1024));
}

fn steps(coding: Coding, body: Vec<u8>) -> usize {
    let mut decoder = Decoder::new(coding, body.into(), LIMIT);
    let mut steps = 1;
    while decoder.step().unwrap() == Progress::Unfinished {
        steps += 1;
    }
    steps
}

#[test]
fn a_step_produces_a_bounded_output_whatever_its_input() {
    for (coding, encode) in FORMATS {
        let steps = steps(coding, encode(&vec![0; 1_000_000]));
        assert!(steps >= 1_000_000 / (64 * 1024), "{coding:?} {steps}");
    }
}

proptest! {
    // Encoders that are not optimized are slow.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_was_encoded_comes_back(
        plain in vec(any::<u8>(), 0..500),
        repeated in 1..40_usize,
        (coding, encode) in select(&FORMATS[..]),
    ) {
        let plain = plain.repeat(repeated);
        prop_assert_eq!(decode(coding, encode(&plain)), Ok(Bytes::from(plain)));
    }

    #[test]
    fn random_bytes_are_decoded_within_the_limit_or_refused(
        body in vec(any::<u8>(), 0..200),
        (coding, encode) in select(&FORMATS[..]),
        flipped in any::<proptest::sample::Index>(),
    ) {
        let mut changed = encode(&body);
        let at = flipped.index(changed.len());
        changed[at] ^= 0x10;
        for input in [body, changed] {
            if let Ok(output) = decode_within(coding, input, 1000).0 {
                prop_assert!(output.len() <= 1000);
            }
        }
    }
}
