//! The stored form of headers: lines of `name: value`.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Encodes headers. Neither names nor values can contain line feeds.
pub fn to_bytes(headers: &HeaderMap) -> Vec<u8> {
    let len = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 3).sum();
    let mut bytes = Vec::with_capacity(len);
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

/// Decodes headers. Invalid lines are skipped.
pub fn from_bytes(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(colon) = line.windows(2).position(|pair| pair == b": ") else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(&line[colon + 2..]);
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_with_repeated_names_empty_values_and_bytes_that_are_no_text() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1: 2"));
        headers.append("x-a", HeaderValue::from_static(""));
        headers.append("x-b", HeaderValue::from_bytes(b"\xff\t\xfe").unwrap());
        assert_eq!(from_bytes(&to_bytes(&headers)), headers);
        assert_eq!(from_bytes(b"rubbish\n\n: \nx y: 1\n"), HeaderMap::new());
    }
}
