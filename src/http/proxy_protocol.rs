//! The PROXY protocol, versions 1 and 2: a load balancer that forwards TCP connections names the
//! client of each in a header.
//!
//! After HAProxy's "The PROXY protocol, Versions 1 & 2" (doc/proxy-protocol.txt). Exactly the header
//! is read: the bytes after it belong to TLS or HTTP.
//!
//! Own code instead of a crate: the parser is the first code that reads bytes of strangers on the
//! public port. It must not read beyond the header, and must reject what the specification rejects.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest line of version 1, including its CRLF (section 2.1).
const V1_BYTES: usize = 107;

/// The signature of version 2 (section 2.2).
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest accepted variable part of version 2. Addresses take at most 216 bytes; the rest are
/// extensions, for which balancers use a few hundred bytes.
const V2_REST_BYTES: usize = 4096;

/// The size of two IPv6 addresses and two ports.
const V2_ADDRESS_BYTES: usize = 36;

/// The reason for rejecting a connection.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The connection starts with other bytes.
    #[error("missing PROXY protocol header")]
    Missing,
    /// The header violates the protocol.
    #[error("the PROXY protocol header is malformed: {0}")]
    Malformed(&'static str),
    /// The connection ended or broke.
    #[error("connection closed before the end of the PROXY protocol header")]
    Broken(#[from] io::Error),
}

use HeaderError::Malformed;

/// The client of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The client has this address.
    Address(IpAddr),
    /// The balancer itself, for a health check (`LOCAL`).
    Balancer,
    /// The balancer does not know the client, or the connection is not TCP over IP (`UNKNOWN`,
    /// `AF_UNSPEC`, `AF_UNIX`).
    Unknown,
}

/// Reads the header. The caller sets the deadline.
///
/// # Errors
/// If the header is missing, malformed or too long. The connection must then be closed.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Source, HeaderError> {
    // The shortest header of either version is longer than this.
    let mut start = [0; V2_SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == V2_SIGNATURE {
        return read_v2(stream).await;
    }
    if start.starts_with(b"PROXY ") {
        return read_v1(stream, &start).await;
    }
    Err(HeaderError::Missing)
}

async fn read_v1(
    stream: &mut (impl AsyncRead + Unpin),
    start: &[u8],
) -> Result<Source, HeaderError> {
    let mut line = [0; V1_BYTES];
    let mut len = start.len();
    line[..len].copy_from_slice(start);
    // Byte by byte, to not read beyond the end of the line.
    while !line[..len].ends_with(b"\r\n") {
        let next = line.get_mut(len).ok_or(Malformed("the line is too long"))?;
        *next = stream.read_u8().await?;
        len += 1;
    }
    v1_source(&line[..len - 2])
}

fn v1_source(line: &[u8]) -> Result<Source, HeaderError> {
    let line = std::str::from_utf8(line).map_err(|_| Malformed("the line is not ASCII"))?;
    let mut words = line.split(' ').skip(1);
    match words.next() {
        Some("TCP4") => v1_address::<Ipv4Addr>(words),
        Some("TCP6") => v1_address::<Ipv6Addr>(words),
        // The rest of the line must be ignored.
        Some("UNKNOWN") => Ok(Source::Unknown),
        _ => Err(Malformed("the protocol is not TCP4, TCP6 or UNKNOWN")),
    }
}

/// Parses source and destination address, source and destination port.
fn v1_address<'a, A: std::str::FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<Source, HeaderError> {
    let mut address = || words.next()?.parse::<A>().ok();
    let source = address().ok_or(Malformed("invalid source address"))?;
    address().ok_or(Malformed("invalid destination address"))?;
    let mut port = || words.next()?.parse::<u16>().ok();
    let ports = port().zip(port());
    if ports.is_none() || words.next().is_some() {
        return Err(Malformed("invalid ports"));
    }
    Ok(Source::Address(source.into()))
}

async fn read_v2(stream: &mut (impl AsyncRead + Unpin)) -> Result<Source, HeaderError> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [version_and_command, family, high, low] = fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > V2_REST_BYTES {
        return Err(Malformed("the header is too long"));
    }
    let mut addresses = [0; V2_ADDRESS_BYTES];
    let kept = len.min(V2_ADDRESS_BYTES);
    stream.read_exact(&mut addresses[..kept]).await?;
    // Extensions are skipped; none is needed.
    let extensions = (len - kept) as u64;
    let skipped = tokio::io::copy(&mut stream.take(extensions), &mut tokio::io::sink()).await?;
    if skipped < extensions {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    v2_source(version_and_command, family, &addresses[..kept])
}

fn v2_source(version_and_command: u8, family: u8, addresses: &[u8]) -> Result<Source, HeaderError> {
    let too_short = Malformed("the header is too short for its address family");
    match (version_and_command, family) {
        (0x20, _) => Ok(Source::Balancer),
        // TCP over IPv4 and IPv6. The source address comes first.
        (0x21, 0x11) => match addresses.first_chunk::<12>() {
            Some(&[a, b, c, d, ..]) => Ok(Source::Address(Ipv4Addr::new(a, b, c, d).into())),
            None => Err(too_short),
        },
        (0x21, 0x21) => match addresses.first_chunk::<V2_ADDRESS_BYTES>() {
            Some(all) => {
                let source = all.first_chunk::<16>().ok_or(too_short)?;
                Ok(Source::Address(Ipv6Addr::from(*source).into()))
            }
            None => Err(too_short),
        },
        (0x21, family) if family >> 4 <= 3 && family & 0xf <= 2 => Ok(Source::Unknown),
        (0x21, _) => Err(Malformed("unknown address family")),
        _ => Err(Malformed("unknown version or command")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The source, and the remaining bytes of the connection.
    async fn header(bytes: &[u8]) -> Result<(Source, &[u8]), HeaderError> {
        let mut stream = bytes;
        read(&mut stream).await.map(|source| (source, stream))
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&V2_SIGNATURE[..], &[command, family], &len, rest].concat()
    }

    fn address(text: &str) -> Source {
        Source::Address(text.parse().unwrap())
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0xd4, 0x31, 0, 80];

    fn v6() -> Vec<u8> {
        let octets = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        [&octets("2001:db8::1")[..], &octets("2001:db8::2"), &[0xd4, 0x31, 0, 80]].concat()
    }

    #[tokio::test]
    async fn a_header_is_read_to_its_end_and_not_beyond() {
        let longest = "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535";
        let longest = format!("{longest}{}\r\n", " ".repeat(V1_BYTES - 2 - longest.len()));
        let extended = [&V4[..], &[0x04, 0, 1, 0]].concat();
        let most = [v6(), vec![0; V2_REST_BYTES - V2_ADDRESS_BYTES]].concat();
        for (bytes, source) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 54321 80\r\n".to_vec(), address("192.0.2.1")),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 54321 80\r\n".to_vec(), address("2001:db8::1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Source::Unknown),
            (longest.into_bytes(), Source::Unknown),
            (v2(0x21, 0x11, &V4), address("192.0.2.1")),
            (v2(0x21, 0x11, &extended), address("192.0.2.1")),
            (v2(0x21, 0x21, &v6()), address("2001:db8::1")),
            (v2(0x21, 0x21, &most), address("2001:db8::1")),
            (v2(0x21, 0x00, b""), Source::Unknown),
            (v2(0x21, 0x12, &V4), Source::Unknown),
            (v2(0x21, 0x31, &[0; 216]), Source::Unknown),
            (v2(0x20, 0x00, b""), Source::Balancer),
            (v2(0x20, 0x11, &V4), Source::Balancer),
        ] {
            let sent = [&bytes[..], b"POST / HTTP/1.1\r\n"].concat();
            let read = header(&sent).await.unwrap();
            assert_eq!(read, (source, &b"POST / HTTP/1.1\r\n"[..]), "{bytes:?}");
            for end in 0..bytes.len() {
                let cut = header(&bytes[..end]).await;
                assert!(matches!(cut, Err(HeaderError::Broken(_))), "{bytes:?} to {end}: {cut:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        for bytes in [
            &b"POST / HTTP/1.1\r\n"[..],
            b"PRI * HTTP/2.0\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",
            b"proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
            b"\r\n\r\n\0\r\nQUIT\r\x21\x11\0\0",
        ] {
            assert!(matches!(header(bytes).await, Err(HeaderError::Missing)), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_malformed_header_is_refused() {
        let endless = [b"PROXY UNKNOWN".to_vec(), vec![b' '; 200]].concat();
        for bytes in [
            &b"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n"[..],
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n",
            b"PROXY TCP4 192.0.2.1  198.51.100.1 1 2\r\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 rubbish 1 2\r\n",
            b"PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n",
            b"PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n\r\n",
            b"PROXY \r\n\r\n\r\n\r\n",
            b"PROXY TCP4 \xff92.0.2.1 198.51.100.1 1 2\r\n",
            &endless,
            &v2(0x11, 0x11, &V4),
            &v2(0x22, 0x11, &V4),
            &v2(0x21, 0x41, &V4),
            &v2(0x21, 0x13, &V4),
            &v2(0x21, 0x11, &V4[..11]),
            &v2(0x21, 0x21, &v6()[..35]),
            &v2(0x21, 0x21, &[0; V2_REST_BYTES + 1]),
        ] {
            let read = header(bytes).await;
            assert!(matches!(read, Err(Malformed(_))), "{bytes:?}: {read:?}");
        }
    }
}
