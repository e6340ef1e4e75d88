//! The response of a listener: it is read without a panic, whatever it is, and how its bytes are cut changes nothing.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use webhook_operator::delivery::http1::reader::{ResponsePart, ResponseReader};

/// What was read: the status, the body as far as it came, and whether the response ended.
#[derive(Debug, Default, PartialEq)]
struct Read {
    status: Option<u16>,
    body: Vec<u8>,
    ended: bool,
    reusable: bool,
}

fn read(bytes: &[u8], piece: usize) -> Read {
    let mut reader = ResponseReader::new(BytesMut::new());
    let mut pieces = bytes.chunks(piece);
    let mut read = Read::default();
    loop {
        match reader.next_part() {
            Ok(Some(ResponsePart::Head(head))) => read.status = Some(head.status.as_u16()),
            Ok(Some(ResponsePart::Data(data))) => {
                assert!(!data.is_empty());
                read.body.extend_from_slice(&data);
            }
            Ok(Some(ResponsePart::End)) => {
                pieces.for_each(|piece| reader.buffer.extend_from_slice(piece));
                read.ended = true;
                read.reusable = reader.is_reusable();
                return read;
            }
            Ok(None) => match pieces.next() {
                Some(piece) => reader.buffer.extend_from_slice(piece),
                None if reader.close().is_ok() => {}
                None => return read,
            },
            Err(_) => return read,
        }
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let cut = read(bytes, usize::from(piece).max(1));
    assert_eq!(cut, read(bytes, usize::MAX));
    assert!(cut.body.len() <= bytes.len());
    assert!(!cut.ended || cut.status.is_some());
});
