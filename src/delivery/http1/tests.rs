use bytes::{Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::reader::{ResponsePart, ResponseReader};
use super::request::MAX_SLICES;
use super::*;
use crate::delivery::Pieces;

/// What was read of a response: its status, and its body if it was complete.
type Read = Option<(u16, Option<Vec<u8>>)>;

/// Reads a response that arrives in pieces of `piece` bytes, after which the connection is closed
/// (or stays open). Also says whether the connection could be reused.
fn read(bytes: &[u8], piece: usize, closes: bool) -> (Read, bool) {
    let mut reader = ResponseReader::new(BytesMut::new());
    let mut pieces = bytes.chunks(piece.max(1));
    let mut head = None;
    let mut body = Vec::new();
    loop {
        match reader.next_part() {
            Ok(Some(ResponsePart::Head(read))) => head = Some(read.status.as_u16()),
            Ok(Some(ResponsePart::Data(data))) => body.extend_from_slice(&data),
            Ok(Some(ResponsePart::End)) => {
                // What follows the response arrives as well.
                pieces.for_each(|piece| reader.buffer.extend_from_slice(piece));
                return (head.map(|status| (status, Some(body))), reader.is_reusable());
            }
            Ok(None) => match pieces.next() {
                Some(piece) => reader.buffer.extend_from_slice(piece),
                None if closes && reader.close().is_ok() => {}
                None => return (head.map(|status| (status, None)), false),
            },
            Err(_) => return (head.map(|status| (status, None)), false),
        }
    }
}

/// Reads a response with hyper's client. The connection is closed after it.
fn read_by_hyper(bytes: &[u8]) -> Read {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (client, mut server) = tokio::io::duplex(bytes.len() + 4096);
        let (mut sender, connection) =
            http1::Builder::new().handshake(TokioIo::new(client)).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::post("/").body(Empty::<Bytes>::new()).unwrap();
        let response = tokio::spawn(sender.send_request(request));
        // A response before its request would be an error.
        let mut received = BytesMut::new();
        while !received.ends_with(b"\r\n\r\n") {
            server.read_buf(&mut received).await.unwrap();
        }
        server.write_all(bytes).await.unwrap();
        server.shutdown().await.unwrap();
        let response = response.await.unwrap().ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok();
        Some((status, body.map(|body| body.to_bytes().to_vec())))
    })
}

fn complete(status: u16, body: &str) -> Read {
    Some((status, Some(body.as_bytes().to_vec())))
}

fn incomplete(status: u16) -> Read {
    Some((status, None))
}

#[test]
fn the_end_of_a_response_and_the_fate_of_its_connection_follow_rfc_9112() {
    const REUSED: bool = true;
    const CLOSED: bool = false;
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(33_000));
    let informed = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17) + "HTTP/1.1 200 OK\r\n\r\n";
    let extended = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;{}\r\na\r\n0\r\n\r\n",
        "x".repeat(2000)
    );
    for (response, expected, reused) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", complete(200, "ok"), REUSED),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", complete(200, ""), REUSED),
        ("HTTP/1.1 204 No Content\r\n\r\n", complete(204, ""), REUSED),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", complete(204, ""), REUSED),
        ("HTTP/1.1 304 x\r\ntransfer-encoding: chunked\r\n\r\n", complete(304, ""), REUSED),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", complete(200, "until the end"), CLOSED),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", incomplete(200), CLOSED),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more", complete(200, "ok"), CLOSED),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            complete(200, ""),
            CLOSED,
        ),
        (
            "HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 0\r\n\r\n",
            complete(200, ""),
            CLOSED,
        ),
        ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", complete(200, ""), CLOSED),
        (
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n",
            complete(200, ""),
            REUSED,
        ),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", None, CLOSED),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
            complete(200, "abc"),
            REUSED,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n",
            complete(200, ""),
            REUSED,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n0\r\n\r\n",
            complete(200, ""),
            CLOSED,
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nx", complete(200, "x"), CLOSED),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            incomplete(200),
            CLOSED,
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", incomplete(200), CLOSED),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            incomplete(200),
            CLOSED,
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", incomplete(200), CLOSED),
        (&extended, incomplete(200), CLOSED),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nlink: a\r\n\r\nHTTP/1.1 202 x\r\ncontent-length: 0\r\n\r\n",
            complete(202, ""),
            REUSED,
        ),
        (&informed, None, CLOSED),
        ("HTTP/1.1 101 x\r\nupgrade: h2c\r\n\r\n", complete(101, ""), CLOSED),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
            complete(200, "a"),
            REUSED,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na", None, CLOSED),
        ("HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\na", None, CLOSED),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n", None, CLOSED),
        ("HTTP/1.1 020 x\r\n\r\n", None, CLOSED),
        ("HTTP/1.1 20 x\r\n\r\n", None, CLOSED),
        ("HTTP/2.0 200 OK\r\n\r\n", None, CLOSED),
        ("HTTP/1.1 200 OK\r\na b: c\r\n\r\n", None, CLOSED),
        ("ICY 200 OK\r\n\r\n", None, CLOSED),
        ("", None, CLOSED),
        ("HTTP/1.1 200 OK\r\n", None, CLOSED),
        (&long, None, CLOSED),
    ] {
        let shown = &response[..response.len().min(120)];
        for piece in [1, 3, usize::MAX] {
            assert_eq!(
                read(response.as_bytes(), piece, true),
                (expected.clone(), reused),
                "{shown:?}"
            );
        }
    }
}

#[test]
fn a_response_without_a_length_ends_only_with_the_connection() {
    let response = b"HTTP/1.1 200 OK\r\n\r\nunfinished";
    assert_eq!(read(response, usize::MAX, false), (incomplete(200), false));
}

#[test]
fn the_headers_that_an_attempt_uses_are_kept() {
    let mut reader = ResponseReader::new(BytesMut::from(
        &b"HTTP/1.1 429 x\r\nRETRY-AFTER: 7\r\nContent-type: text/xml\r\ncontent-encoding: gzip\r\n\r\n"[..],
    ));
    let Ok(Some(ResponsePart::Head(head))) = reader.next_part() else { panic!("no head") };
    assert_eq!(head.retry_after.unwrap(), "7");
    assert_eq!(head.content_type.unwrap(), "text/xml");
    assert_eq!(head.content_encoding.unwrap(), "gzip");
}

#[test]
fn a_request_is_its_head_and_the_pieces_of_its_body_from_any_position() {
    let large = Bytes::from(vec![b'x'; 5000]);
    let mut body = Pieces::default();
    body.push_slice(b"{");
    body.push(&large);
    body.push_slice(b"}");
    let mut head = RequestHead::post(&"/hooks?a=b".parse().unwrap());
    head.push(&http::header::HOST, b"shop:80");
    let name = http::HeaderName::from_static("x");
    head.push(&name, b"1");
    head.push(&name, "\u{e9}".as_bytes());
    let request = head.with_body(body);
    let expected = "POST /hooks?a=b HTTP/1.1\r\nhost: shop:80\r\nx: 1\r\nx: \u{e9}\r\n\
        content-length: 5002\r\n\r\n{"
        .to_owned()
        + &"x".repeat(5000)
        + "}";
    assert_eq!(request.byte_count(), expected.len());
    for skip in [0, 1, 90, expected.len() - 1, expected.len()] {
        let mut slices = [std::io::IoSlice::new(&[]); MAX_SLICES];
        let count = request.slices(skip, &mut slices);
        assert_eq!(
            slices[..count].iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>(),
            expected.as_bytes()[skip..],
            "{skip}"
        );
    }
}

/// Responses that are mostly well-formed.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let version = prop_oneof![8 => Just("HTTP/1.1"), 2 => Just("HTTP/1.0"), 1 => Just("HTTP/1.2")];
    let status =
        prop_oneof![6 => 200_u16..600, 1 => 100_u16..104, 1 => 204_u16..206, 1 => 0_u16..1100];
    let header = prop_oneof![
        4 => (0_u16..12).prop_map(|length| format!("Content-Length: {length}\r\n")),
        3 => Just("Transfer-Encoding: chunked\r\n".to_owned()),
        1 => Just("transfer-encoding: gzip, Chunked \r\n".to_owned()),
        1 => Just("transfer-encoding: gzip\r\n".to_owned()),
        1 => Just("Connection: close\r\n".to_owned()),
        1 => Just("Connection: keep-alive\r\n".to_owned()),
        1 => "[!-~ ]{0,20}\r\n",
        2 => "[a-z-]{1,8}:[ -~\t]{0,12}\r\n",
    ];
    let chunks = prop::collection::vec("[a-z]{0,5}", 0..4).prop_map(|chunks| {
        let chunk = |chunk: &String| format!("{:X}\r\n{chunk}\r\n", chunk.len());
        chunks.iter().map(chunk).collect::<String>() + "0\r\n\r\n"
    });
    let body = prop_oneof![4 => "[a-z]{0,12}", 4 => chunks, 1 => "[ -~\r\n]{0,20}"];
    (version, status, prop::collection::vec(header, 0..4), body)
        .prop_map(|(version, status, headers, body)| {
            format!("{version} {status:03} Reason\r\n{}\r\n{body}", headers.concat()).into_bytes()
        })
        .boxed()
}

/// Responses with a few bytes changed.
fn damaged_responses() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), 0..128_u8), 0..3);
    (responses(), damage).prop_map(|(mut bytes, damage)| {
        for (index, byte) in damage {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_response_is_read_as_by_hyper(bytes in damaged_responses()) {
        prop_assert_eq!(
            read(&bytes, usize::MAX, true).0,
            read_by_hyper(&bytes),
            "{}",
            bytes.escape_ascii()
        );
    }

    #[test]
    fn how_the_bytes_arrive_changes_nothing(bytes in damaged_responses(), piece in 1_usize..20) {
        prop_assert_eq!(read(&bytes, piece, true), read(&bytes, usize::MAX, true));
    }
}
