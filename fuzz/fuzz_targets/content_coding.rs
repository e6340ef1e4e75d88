//! Any body in any coding is decoded within its bound or refused, and what was encoded comes back.
#![no_main]

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use libfuzzer_sys::fuzz_target;
use webhook_operator::coding::{Coding, DecodeError, Decoder, Progress};

const LIMIT: usize = 256 * 1024;

/// The greatest memory beside the output and a window of its length.
const DECODER_BYTES: usize = 512 * 1024;

fuzz_target!(|input: &[u8]| {
    // The first byte of an input selects the coding, so that seeds are easy to write.
    let Some((selector, body)) = input.split_first() else {
        return;
    };
    let coding = match selector % 5 {
        0 => Coding::Gzip,
        1 | 2 => Coding::Deflate,
        3 => Coding::Brotli,
        _ => Coding::Zstd,
    };
    let _ = decode(coding, Bytes::copy_from_slice(body));
    assert_eq!(decode(coding, encode(selector % 5, body).into()).as_deref(), Ok(body));
});

fn decode(coding: Coding, body: Bytes) -> Result<Bytes, DecodeError> {
    let mut decoder = Decoder::new(coding, body, LIMIT);
    let mut memory = 0;
    loop {
        memory += decoder.growth();
        assert!(memory <= 2 * (LIMIT + 1) + DECODER_BYTES);
        if decoder.step()? == Progress::Finished {
            let output = decoder.into_output();
            assert!(output.len() <= LIMIT);
            return Ok(output);
        }
    }
}

fn encode(selector: u8, plain: &[u8]) -> Vec<u8> {
    let level = Compression::fast();
    match selector {
        0 => written(GzEncoder::new(Vec::new(), level), plain, GzEncoder::finish),
        1 => written(ZlibEncoder::new(Vec::new(), level), plain, ZlibEncoder::finish),
        2 => written(DeflateEncoder::new(Vec::new(), level), plain, DeflateEncoder::finish),
        3 => {
            let params = brotli::enc::BrotliEncoderParams { quality: 2, ..Default::default() };
            let mut encoded = Vec::new();
            brotli::BrotliCompress(&mut &*plain, &mut encoded, &params)
                .expect("memory has no errors");
            encoded
        }
        _ => {
            let mut encoded = Vec::with_capacity(zstd_safe::compress_bound(plain.len()));
            zstd_safe::compress(&mut encoded, plain, 1).expect("the buffer is large enough");
            encoded
        }
    }
}

fn written<W: Write>(
    mut encoder: W,
    plain: &[u8],
    finish: impl FnOnce(W) -> std::io::Result<Vec<u8>>,
) -> Vec<u8> {
    encoder.write_all(plain).expect("memory has no errors");
    finish(encoder).expect("memory has no errors")
}
